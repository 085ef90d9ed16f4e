"""The settings: one TOML file, overridden by the environment, every key known and typed."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec

PREFIX = "GOVSENSE_"
FILE_VARIABLE = "GOVSENSE_SETTINGS"
DEFAULT_FILE = "govsense.toml"
SERIES_STORES = ("sqlite", "influxdb")
LEAST_JOURNAL_MIB = 16  # eight segments, each larger than any group of messages


class SettingsError(Exception):
    """A setting is wrong; the text names its source, what was got and what is allowed."""


def setting(default: Any, meaning: str) -> Any:
    """A dataclass field with its default and the sentence that documents it."""
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Platform:
    data_dir: str = setting(
        "var", "directory of everything that the platform writes: journal, series, ledger"
    )


@dataclass(frozen=True)
class Mqtt:
    host: str = setting("127.0.0.1", "address of the broker")
    port: int = setting(1883, "port of the broker; for `govsense up` 0 takes any free one")
    username: str = setting("", "user name at the broker; empty connects without one")
    password_file: str = setting("", "file that holds the password, alone on its first line")
    tls_ca: str = setting("", "file of the certificate authority; empty connects without TLS")
    client_id: str = setting("govsense-ingest", "client identifier of the receiver's session")


@dataclass(frozen=True)
class Http:
    host: str = setting("127.0.0.1", "address on which the API listens")
    port: int = setting(8080, "port on which the API listens; 0 takes any free one")
    allowed_hosts: str = setting(
        "localhost,127.0.0.1,[::1]", "names by which browsers may call the API, comma-separated"
    )
    allowed_origins: str = setting(
        "", "origins of pages elsewhere that may read the API, comma-separated; empty: none"
    )
    allow_cleartext: bool = setting(
        False, "listen beyond this machine, where keys travel in clear without a TLS proxy in front"
    )
    trusted_proxies: str = setting(
        "", "addresses of proxies whose X-Forwarded-For is believed, comma-separated"
    )


@dataclass(frozen=True)
class Limits:
    requests_per_minute: str = setting(
        "viewer=1200, operator=1200, admin=6000, auditor=1200",
        "requests a minute that a key may make, by its role",
    )
    page_items: str = setting(
        "viewer=10000, operator=10000, admin=10000, auditor=10000",
        "items of the largest page, by role; each path has its own maximum too",
    )
    stored_rows: str = setting(
        "viewer=200000, operator=200000, admin=200000, auditor=200000",
        "stored rows that one answer of telemetry may be made from, by role",
    )


@dataclass(frozen=True)
class Oidc:
    issuer: str = setting("", "issuer of OpenID Connect whose tokens are taken; empty: none")
    audience: str = setting("", "audience that its tokens must name")
    jwks: str = setting("", "URL or file of its keys")
    algorithms: str = setting(
        "RS256,ES256,EdDSA", "signatures that are taken, of these three, comma-separated"
    )
    role_claim: str = setting("govsense_role", "claim that names the role; dots lead into objects")
    provinces_claim: str = setting(
        "govsense_provinces", 'claim that lists provinces by ISO code; ["*"] for all'
    )
    agencies_claim: str = setting("govsense_agencies", 'claim that lists agencies; ["*"] for all')


@dataclass(frozen=True)
class Storage:
    series: str = setting("sqlite", "where telemetry is kept: sqlite or influxdb")
    series_path: str = setting("", "file of the telemetry; empty: series.db in the data directory")
    ledger_url: str = setting(
        "", "SQLAlchemy URL of the ledger; empty: SQLite ledger.db in the data directory"
    )
    ledger_password_file: str = setting(
        "", "file with the password of the ledger's user in PostgreSQL, alone on its first line"
    )
    raw_days: int = setting(90, "days that raw readings are kept")
    five_minute_days: int = setting(400, "days that 5-minute roll-ups are kept")
    hour_days: int = setting(1830, "days that 1-hour roll-ups are kept; 1-day ones stay for ever")
    bin_days: int = setting(400, "days that the five-minute bins of availability are kept")


@dataclass(frozen=True)
class Influx:
    url: str = setting("http://127.0.0.1:8086", "where InfluxDB listens")
    database: str = setting("govsense", "name of the database or bucket of raw readings")
    org: str = setting("", "organisation, for InfluxDB 2")
    write_token_file: str = setting(
        "", "file with the credential of ingest, a token or user:password; empty for none"
    )
    read_token_file: str = setting("", "file with the credential of the API; empty for none")
    spool_max_mib: int = setting(4096, "largest size of what waits on disk for InfluxDB")


@dataclass(frozen=True)
class Ingest:
    journal_max_mib: int = setting(
        2048, "largest size of the journal, 16 or more; when it is full, the broker holds"
    )
    group_commit_ms: int = setting(20, "longest wait before messages are put on disk together")
    group_commit_messages: int = setting(500, "most messages that are put on disk together")
    batch_messages: int = setting(4000, "most messages that the processor commits together")
    batch_ms: int = setting(25, "shortest time between two commits of the processor")
    snapshot_s: int = setting(20, "seconds between two snapshots of the detectors")


@dataclass(frozen=True)
class Reports:
    settling_hours: float = setting(
        48.0, "hours after the end of a period, for late data to come, until its report is final"
    )
    calendar_file: str = setting(
        "", "CSV file of changed working days: date,open,name; empty: the holidays of Laos"
    )
    contracted_floor_pct: float = setting(
        80.0, "share of the contracted speed that a speed test must reach, in per cent"
    )
    least_tests: int = setting(10, "speed tests in a period, with fewer nothing is judged by them")
    target_down_mbps: float = setting(50.0, "broadband roll-out: least median download speed")
    target_up_mbps: float = setting(25.0, "broadband roll-out: least median upload speed")
    target_rtt_ms: float = setting(100.0, "broadband roll-out: largest median round trip")


@dataclass(frozen=True)
class ClockSettings:
    start: str = setting(
        "", "RFC 3339 time at which platform time begins; empty: the time of the machine"
    )
    speed: float = setting(1.0, "seconds of platform time per second of the machine")
    origin_ms: int = setting(
        0, "machine time, ms since 1970, at which platform time is `start`; 0: process start"
    )


@dataclass(frozen=True)
class Settings:
    """Every setting by section; `GOVSENSE_SECTION__KEY` in the environment sets one."""

    platform: Platform = field(default_factory=Platform)
    mqtt: Mqtt = field(default_factory=Mqtt)
    http: Http = field(default_factory=Http)
    limits: Limits = field(default_factory=Limits)
    oidc: Oidc = field(default_factory=Oidc)
    storage: Storage = field(default_factory=Storage)
    influx: Influx = field(default_factory=Influx)
    ingest: Ingest = field(default_factory=Ingest)
    reports: Reports = field(default_factory=Reports)
    clock: ClockSettings = field(default_factory=ClockSettings)

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return Path(self.platform.data_dir)

    @property
    def series_path(self) -> Path:
        """The file of the telemetry."""
        return Path(self.storage.series_path or self.data_dir / "series.db")

    @property
    def ledger_url(self) -> str:
        """The SQLAlchemy URL of the ledger."""
        return self.storage.ledger_url or f"sqlite:///{self.data_dir / 'ledger.db'}"


def load(file: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from a TOML file and the environment, which wins.

    Without `file`: the one that GOVSENSE_SETTINGS names, else ./govsense.toml where it exists.
    Raises SettingsError for an unreadable file, an unknown key or a value of the wrong type.
    """
    if file is None:
        named = environ.get(FILE_VARIABLE)
        file = Path(named) if named else Path(DEFAULT_FILE)
        tree = _read(file) if named or file.exists() else {}
    else:
        tree = _read(file)
    _refuse_unknown(tree, str(file))
    variables = {}  # setting: the variable that it is from
    for name, value in environ.items():
        if name.startswith(PREFIX) and "__" in name:
            section, key = name.removeprefix(PREFIX).lower().split("__", 1)
            _refuse_unknown({section: {key: value}}, f"environment variable {name}")
            tree.setdefault(section, {})[key] = value
            variables[f"{section}.{key}"] = f"environment variable {name}"
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as exc:
        what, _, place = str(exc).rstrip("`").partition(" - at `$.")
        raise SettingsError(f"{variables.get(place, file)}: {place}: {what}") from exc
    _check(settings)
    return settings


def meanings() -> dict[str, tuple[Any, str]]:
    """`section.key` of every setting with its default and its meaning."""
    return {
        f"{section.name}.{key.name}": (key.default, key.metadata["meaning"])
        for section in fields(Settings)
        for key in fields(section.default_factory)  # type: ignore[arg-type]
    }


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"cannot read the settings file {file}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{file} is not valid TOML: {exc}") from exc


def _refuse_unknown(tree: dict[str, Any], source: str) -> None:
    known = meanings()
    sections = sorted({name.split(".")[0] for name in known})
    for section, keys in tree.items():
        if section not in sections or not isinstance(keys, dict):
            raise SettingsError(
                f"{source}: unknown section {section!r}{_nearest(section, sections)}"
            )
        for key in keys:
            if f"{section}.{key}" not in known:
                near = _nearest(f"{section}.{key}", list(known))
                raise SettingsError(f"{source}: unknown setting {section}.{key}{near}")


def _nearest(got: str, known: list[str]) -> str:
    near = difflib.get_close_matches(got, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"


def _check(settings: Settings) -> None:
    positive = {
        "clock.speed": settings.clock.speed,
        "ingest.group_commit_messages": settings.ingest.group_commit_messages,
        "ingest.batch_messages": settings.ingest.batch_messages,
        "ingest.snapshot_s": settings.ingest.snapshot_s,
        "storage.raw_days": settings.storage.raw_days,
        "storage.five_minute_days": settings.storage.five_minute_days,
        "storage.hour_days": settings.storage.hour_days,
        "storage.bin_days": settings.storage.bin_days,
        "influx.spool_max_mib": settings.influx.spool_max_mib,
        "reports.settling_hours": settings.reports.settling_hours,
        "reports.contracted_floor_pct": settings.reports.contracted_floor_pct,
        "reports.least_tests": settings.reports.least_tests,
        "reports.target_down_mbps": settings.reports.target_down_mbps,
        "reports.target_up_mbps": settings.reports.target_up_mbps,
        "reports.target_rtt_ms": settings.reports.target_rtt_ms,
    }
    for name, value in positive.items():
        if not value > 0:
            raise SettingsError(f"{name} is {value}; it must be above 0")
    if settings.storage.series not in SERIES_STORES:
        raise SettingsError(
            f"storage.series is {settings.storage.series!r}; it must be one of"
            f" {', '.join(SERIES_STORES)}"
        )
    if settings.ingest.journal_max_mib < LEAST_JOURNAL_MIB:
        raise SettingsError(
            f"ingest.journal_max_mib is {settings.ingest.journal_max_mib};"
            f" it must be {LEAST_JOURNAL_MIB} or more"
        )
    for name, port in {"mqtt.port": settings.mqtt.port, "http.port": settings.http.port}.items():
        if not 0 <= port <= 65535:
            raise SettingsError(f"{name} is {port}; it must be 0 to 65535")

"""The stores that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtime.settings import Settings
from storage.influx.names import Names
from storage.influx.series import InfluxSeries
from storage.influx.server import Address, Server
from storage.influx.spool import Spool
from storage.ledger import migrations
from storage.ledger.migrations import Ledger
from storage.series.retention import Retention
from storage.series.sqlite import SqliteSeries
from storage.series.store import SeriesStore


def open_ledger(settings: Settings) -> Ledger:
    """The ledger, at the version of this govsense. Raises LedgerError."""
    return migrations.open_ledger(settings.ledger_url, password_file=ledger_password_file(settings))


def ledger_password_file(settings: Settings) -> Path | None:
    """Where the password of the ledger in PostgreSQL is, if the settings name a file."""
    file = settings.storage.ledger_password_file
    return Path(file) if file else None


def uses_influxdb(settings: Settings) -> bool:
    """Whether telemetry goes to InfluxDB."""
    return settings.storage.series == "influxdb"


def open_series(
    settings: Settings, ledger: Ledger, now_ms: Callable[[], int], *, read_only: bool = False
) -> SeriesStore:
    """The store of telemetry, for ingest or (read_only) for the API. Raises SeriesError."""
    if not uses_influxdb(settings):
        return SqliteSeries.open(settings.series_path, read_only=read_only)
    return InfluxSeries(
        open_spool(settings, read_only=read_only),
        Server(influx_address(settings, write=not read_only)),
        describe=Names(ledger),
        retention=retention(settings),
        now_ms=now_ms,
    )


def open_spool(settings: Settings, *, read_only: bool = False) -> Spool:
    """The spool between ingest and InfluxDB. Raises SeriesError."""
    return Spool(
        settings.data_dir / "spool.db",
        max_bytes=settings.influx.spool_max_mib * 2**20,
        read_only=read_only,
    )


def influx_address(settings: Settings, *, write: bool) -> Address:
    """InfluxDB with the credential that may write, or the one that may read."""
    influx = settings.influx
    token_file = influx.write_token_file if write else influx.read_token_file
    return Address(
        influx.url, influx.database, influx.org, Path(token_file) if token_file else None
    )


def retention(settings: Settings) -> Retention:
    """How long each level of telemetry is kept."""
    kept = settings.storage
    return Retention(kept.raw_days, kept.five_minute_days, kept.hour_days)

"""`govsense doctor` finds what is wrong with real servers, and nothing where all is well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ingest.broker_checks import QUEUED
from runtime import cli
from storage.influx import credentials
from storage.influx.server import Address, Server
from storage.influx.setup import create
from storage.ledger.migrations import open_ledger
from tests.influx.influxd import KEEP_ALL, Influxd
from tests.project.broker import Installation, free_port, program
from tests.storage import postgresql

Found = dict[str, tuple[str, str]]  # what: (state, why)
BARE = "listener {port} 127.0.0.1\nallow_anonymous true\n"


class Doctor:
    """Settings in the environment, and the command with its answer."""

    def __init__(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.directory = directory
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.set(platform__data_dir=str(directory / "data"), mqtt__port=str(free_port()))

    def set(self, **settings: str) -> None:
        """Settings by section and key."""
        for name, value in settings.items():
            self._monkeypatch.setenv(f"GOVSENSE_{name.upper()}", value)

    def ask(self, *options: str) -> tuple[int, Found]:
        """The exit code, and what was found."""
        code = cli.main(["doctor", "--json", *options])
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        assert all(line["state"] in ("ok", "warning", "wrong") for line in lines)
        return code, {line["what"]: (line["state"], line["why"]) for line in lines}


@pytest.fixture
def doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    return Doctor(tmp_path, monkeypatch, capsys)


def states(found: Found, *whats: str) -> dict[str, str]:
    """The states of some checks, without `broker: `."""
    return {what: found[f"broker: {what}"][0] for what in whats}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A broker with the files of deploy/mosquitto, and two devices."""
    program("mosquitto")
    installation = Installation(tmp_path_factory.mktemp("doctor") / "own")
    installation.write("probe-1", "probe-2")
    (installation.directory / "probe").write_text(installation.passwords["probe-1"] + "\n")
    with installation.running():
        yield installation


def use(doctor: Doctor, installation: Installation, port: int) -> list[str]:
    """Let the doctor look at a broker as ingest; its options to try to spoof."""
    secrets = installation.directory / "secrets"
    doctor.set(
        mqtt__port=str(port),
        mqtt__username="ingest",
        mqtt__password_file=str(secrets / "mqtt_ingest_password"),
    )
    file = installation.directory / "probe"
    return ["--device", "probe-1", "--password-file", str(file)]


@pytest.mark.mosquitto
def test_our_own_broker_passes(doctor: Doctor, installation: Installation) -> None:
    """The files of deploy/mosquitto: nothing is wrong, and spoofing was really tried."""
    options = use(doctor, installation, installation.port)
    code, found = doctor.ask(*options)
    assert code == 0, found
    expected = dict.fromkeys(("payloads", "queue", "spoofing", "anonymous", "dropped"), "ok")
    assert states(found, *expected) == expected, found
    assert "goes nowhere" in found["broker: spoofing"][1]
    assert found["broker"] == ("ok", f"127.0.0.1:{installation.port} lets us in as ingest")


@pytest.mark.mosquitto
def test_an_open_broker_is_wrong(
    doctor: Doctor, installation: Installation, tmp_path: Path
) -> None:
    """allow_anonymous, no ACL and Mosquitto's default queue: each is found, with its remedy."""
    other = Installation(tmp_path / "other")
    (other.directory / "config").mkdir(parents=True)
    (other.directory / "config/mosquitto.conf").write_text(BARE.format(port=other.port))
    with other.running():
        code, found = doctor.ask(*use(doctor, installation, other.port))
    assert code == 1
    expected = dict.fromkeys(("queue", "spoofing", "anonymous"), "wrong")
    assert states(found, *expected) == expected, found
    assert "pattern write gov/v1/+/%u/#" in found["broker: spoofing"][1]
    assert "allow_anonymous false" in found["broker: anonymous"][1]
    kept = int(found["broker: queue"][1].split(" of ")[0])
    assert 0 < kept < QUEUED
    assert states(found, "payloads") == {"payloads": "ok"}


@pytest.mark.mosquitto
def test_an_acl_that_lets_devices_write_anywhere_is_wrong(doctor: Doctor, tmp_path: Path) -> None:
    """Logins alone are not enough, and a limit of payloads is found as well."""
    loose = Installation(tmp_path / "loose")
    loose.write("probe-1")
    (loose.directory / "probe").write_text(loose.passwords["probe-1"])
    acl = loose.directory / "config/acl"
    acl.write_text(acl.read_text().replace("pattern write gov/v1/+/%u/#", "pattern write gov/v1/#"))
    config = loose.directory / "config/mosquitto.conf"
    config.write_text(config.read_text().replace("message_size_limit 1048576",
                                                 "message_size_limit 100000"))  # fmt: skip
    with loose.running():
        code, found = doctor.ask(*use(doctor, loose, loose.port))
    assert code == 1
    assert "can write in another device's name" in found["broker: spoofing"][1]
    assert found["broker: anonymous"][0] == "ok"
    assert found["broker: payloads"][0] == "wrong"


@pytest.mark.mosquitto
def test_a_wrong_password_is_said_to_be_one(
    doctor: Doctor, installation: Installation, tmp_path: Path
) -> None:
    """Ours, or the device's."""
    options = use(doctor, installation, installation.port)
    (tmp_path / "guess").write_text("guess")
    _, found = doctor.ask("--device", "probe-1", "--password-file", str(tmp_path / "guess"))
    assert "does not let probe-1 in: Not authorized" in found["broker: spoofing"][1]
    doctor.set(mqtt__password_file=str(tmp_path / "guess"))
    code, found = doctor.ask(*options)
    assert code == 1
    assert "does not let us in as ingest: Not authorized" in found["broker"][1]


def test_a_broker_that_is_away_is_wrong(doctor: Doctor) -> None:
    """One line, and the end of the checks that need it."""
    code, found = doctor.ask()
    assert code == 1
    assert found["broker"][0] == "wrong"
    assert not [what for what in found if what.startswith("broker: ")]


def test_the_machine_is_looked_at(doctor: Doctor, tmp_path: Path) -> None:
    """Disk against the bounds, permissions, versions, secrets: with what to do."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    doctor.set(mqtt__password_file=str(secret), ingest__journal_max_mib="16")
    _, found = doctor.ask()
    assert found["disk"][0] == "ok"
    assert found["data directory"][0] == "ok"
    assert found["versions"][0] == "ok", found["versions"]
    assert found["mqtt.password_file"][0] == "warning"
    assert "clock: NTP" in found
    data.chmod(0o777)
    doctor.set(ingest__journal_max_mib=str(2**40), clock__speed="60")
    code, found = doctor.ask()
    assert code == 1
    assert found["data directory"] == ("wrong", f"everybody may write to {data}: chmod o-w {data}")
    assert found["disk"][0] != "ok"
    assert found["clock: speed"][0] == "warning"


def test_a_ledger_in_sqlite_is_tried_and_not_made(doctor: Doctor, tmp_path: Path) -> None:
    """No file appears; one that is there can be written to; one of the future is wrong."""
    _, found = doctor.ask()
    assert found["ledger"][0] == "warning"
    assert not (tmp_path / "data").exists()
    file = tmp_path / "data" / "ledger.db"
    ledger = open_ledger(f"sqlite:///{file}")
    _, found = doctor.ask()
    assert (found["ledger"][0], found["ledger: rights"][0]) == ("ok", "ok")
    with ledger.begin() as connection:
        connection.exec_driver_sql("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    ledger.close()
    _, found = doctor.ask()
    assert found["ledger"][0] == "wrong"
    assert "has version 99" in found["ledger"][1]


@pytest.mark.postgresql
def test_a_superuser_of_postgresql_is_warned_of(doctor: Doctor) -> None:
    """An owner of its database alone is fine; one who may only read is wrong."""
    with (
        postgresql.server() as server,
        postgresql.database(server, "doctored") as url,
    ):
        open_ledger(url).close()
        doctor.set(storage__ledger_url=url)
        _, found = doctor.ask()
        assert found["ledger: least rights"][0] == "warning"
        assert found["clock: PostgreSQL"] == ("ok", "within 2 s of ours")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE ROLE plain LOGIN")
            connection.execute("CREATE ROLE reader LOGIN")
            connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
            connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        doctor.set(storage__ledger_url=url.replace("govsense@", "plain@"))
        _, found = doctor.ask()
        assert (found["ledger: least rights"][0], found["ledger: rights"][0]) == ("ok", "ok")
        doctor.set(storage__ledger_url=url.replace("govsense@", "reader@"))
        code, found = doctor.ask()
        assert code == 1
        assert "permission denied" in found["ledger: rights"][1]
    code, found = doctor.ask()
    assert found["ledger"][0] == "wrong"
    assert "start its server" in found["ledger"][1]


@pytest.mark.influx
def test_influxdb_credentials_are_tried_for_what_they_must_not_do(
    doctor: Doctor, tmp_path: Path
) -> None:
    """Least rights pass; a read credential that can write, and a write one that reads, do not."""
    influxd = Influxd(tmp_path / "influxd", extra_http="auth-enabled = true")
    influxd.start()
    try:
        admin = tmp_path / "admin"
        admin.write_text("root:root")
        server = Server(Address(influxd.url, token_file=admin))
        server.ask("CREATE USER root WITH PASSWORD 'root' WITH ALL PRIVILEGES")
        create(server, KEEP_ALL)
        writer, reader = credentials.grant(server, tmp_path / "secrets")
        server.close()
        doctor.set(
            storage__series="influxdb",
            influx__url=influxd.url,
            influx__write_token_file=str(writer),
            influx__read_token_file=str(reader),
        )
        whats = [f"influxdb{part}" for part in ("", ": write", ": read", ": write only",
                                                ": read only")]  # fmt: skip
        _, found = doctor.ask()
        assert {what: found[what][0] for what in whats} == dict.fromkeys(whats, "ok"), found
        assert found["clock: InfluxDB"][0] == "ok"
        doctor.set(influx__read_token_file=str(admin), influx__write_token_file=str(admin))
        code, found = doctor.ask()
        assert code == 1
        assert found["influxdb: read only"][0] == found["influxdb: write only"][0] == "wrong"
        assert "may write too" in found["influxdb: read only"][1]
        doctor.set(influx__read_token_file=str(writer), influx__write_token_file=str(reader))
        _, found = doctor.ask()
        assert found["influxdb: write"][0] == found["influxdb: read"][0] == "wrong"
        doctor.set(influx__read_token_file="", influx__write_token_file="")
        _, found = doctor.ask()
        assert found["influxdb: rights"][0] == "warning"
    finally:
        influxd.stop()
    _, found = doctor.ask()
    assert found["influxdb"][0] == "wrong"


def test_half_a_login_is_refused(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    """A device without its password file cannot be tried."""
    assert cli.main(["doctor", "--device", "probe-1"]) == 2
    assert "belong together" in capsys.readouterr().out

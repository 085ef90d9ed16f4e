"""Restore: never over a running platform, never over data unless told, and then nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import cli
from storage.ledger.migrations import open_ledger
from tests.ingest.stores import Stores, drain, rounds


def filled(directory: Path, count: int) -> Path:
    """A data directory with so many settled messages."""
    directory.mkdir()
    stores = Stores(directory)
    stores.arrive(rounds(0, count))
    drain(stores.processor())
    stores.close()
    return directory


def readings(directory: Path) -> int:
    """How many readings a data directory holds."""
    stores = Stores(directory)
    found = stores.stored()
    stores.close()
    return found


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of 20 readings, made by the command."""
    target = tmp_path / "backup"
    assert cli.main(["backup", str(target), "--data-dir", str(filled(tmp_path / "a", 20))]) == 0
    return target


def test_the_commands_check_a_backup(backup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both say that it is whole, or which file is not, and change nothing."""
    for call in (["backup", "--verify"], ["restore", "--check"]):
        assert cli.main([*call, str(backup)]) == 0
        assert "is whole" in capsys.readouterr().out
    (backup / "ledger.db").write_bytes(b"")
    for call in (["backup", "--verify"], ["restore", "--check"], ["restore"]):
        assert cli.main([*call, str(backup), "--data-dir", str(backup.parent / "b")]) == 1
        assert "ledger.db is damaged: it has 0 bytes" in capsys.readouterr().err
    assert not (backup.parent / "b").exists()


def test_a_backup_may_be_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """FILE.tar is checked and restored as a directory is, and refused where it is damaged."""
    file = tmp_path / "backup.tar"
    assert cli.main(["backup", str(file), "--data-dir", str(filled(tmp_path / "a", 20))]) == 0
    target = tmp_path / "b"
    assert cli.main(["restore", str(file), "--data-dir", str(target)]) == 0
    assert sorted(os.listdir(target)) == ["journal", "ledger.db", "series.db"]
    assert readings(target) == 20
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "backup.tar"]  # no leftovers
    whole = file.read_bytes()
    other = ["--data-dir", str(tmp_path / "c")]
    at = whole.find(b"SQLite format 3") + 5000
    for damaged, said in {
        whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]: ".db is damaged: its SHA-256",
        whole[: len(whole) // 2]: "backup.tar is damaged",
        b"no tar at all": "backup.tar is damaged",
    }.items():
        file.write_bytes(damaged)
        for call in (["backup", "--verify"], ["restore", "--check"], ["restore"]):
            assert cli.main([*call, str(file), *other]) == 1
            assert said in capsys.readouterr().err
    assert os.listdir(tmp_path / "c") == []


def test_data_that_is_there_is_moved_aside_only_when_told(
    backup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused first; with --replace the old data is whole in a directory beside it."""
    there = filled(tmp_path / "b", 5)
    call = ["restore", str(backup), "--data-dir", str(there)]
    assert cli.main(call) == 1
    assert "there is data already" in capsys.readouterr().err
    assert readings(there) == 5
    assert cli.main([*call, "--replace"]) == 0
    assert readings(there) == 20
    (aside,) = there.glob("replaced-*")
    assert f"is now {aside / 'ledger.db'}" in capsys.readouterr().out
    assert readings(aside) == 5


@pytest.mark.parametrize("lock", ["up.lock", "journal/lock", "journal/processor.lock"])
def test_a_running_platform_is_not_restored_over(
    backup: Path, tmp_path: Path, lock: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever holds a lock of the data directory lives, and --replace does not help."""
    there = filled(tmp_path / "b", 5)
    program = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, there / lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        call = ["restore", "--replace", str(backup), "--data-dir", str(there)]
        assert cli.main(call) == 1
        assert f"(it holds {lock})" in capsys.readouterr().err
        holder.communicate()
    assert readings(there) == 5
    assert cli.main(call) == 0


def test_an_api_that_has_the_ledger_open_is_noticed(
    backup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It holds no lock of ours, but it has the file open."""
    there = filled(tmp_path / "b", 5)
    program = (
        "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]); file.execute('PRAGMA"
        " journal_mode = WAL'); file.execute('SELECT * FROM meta').fetchall();"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, there / "ledger.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert cli.main(["restore", "--replace", str(backup), "--data-dir", str(there)]) == 1
        assert f"a process has {there / 'ledger.db'} open" in capsys.readouterr().err
        holder.communicate()


def test_what_is_in_servers_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With PostgreSQL and InfluxDB in the settings, their tools are named at each step."""
    data = filled(tmp_path / "a", 3)
    monkeypatch.setenv("GOVSENSE_STORAGE__LEDGER_URL", "postgresql+psycopg://u@127.0.0.1/govsense")
    monkeypatch.setenv("GOVSENSE_STORAGE__SERIES", "influxdb")
    target = tmp_path / "backup"
    assert cli.main(["backup", str(target), "--data-dir", str(data)]) == 0
    said = capsys.readouterr().out
    assert "NOT in this backup: the ledger, which is in PostgreSQL: save it with pg_dump" in said
    assert "influxd backup -portable" in said
    assert not (target / "ledger.db").exists()
    assert cli.main(["restore", str(target), "--data-dir", str(tmp_path / "b")]) == 0
    assert "pg_dump" in capsys.readouterr().out


def test_stores_go_where_the_settings_say(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telemetry and ledger may lie on other disks."""
    monkeypatch.setenv("GOVSENSE_STORAGE__SERIES_PATH", str(tmp_path / "big" / "telemetry.db"))
    monkeypatch.setenv("GOVSENSE_STORAGE__LEDGER_URL", f"sqlite:///{tmp_path / 'fast' / 'l.db'}")
    assert cli.main(["restore", str(backup), "--data-dir", str(tmp_path / "b")]) == 0
    assert sorted(os.listdir(tmp_path / "b")) == ["journal"]
    assert (tmp_path / "big" / "telemetry.db").exists()
    open_ledger(f"sqlite:///{tmp_path / 'fast' / 'l.db'}").close()

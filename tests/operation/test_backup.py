"""Backup under load, kill, restore, and count; a damaged backup is refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.backup import Stores, back_up
from ingest.journal import HeldJournal, JournalReader
from storage.backup import manifest
from storage.backup.manifest import BackupError
from storage.backup.snapshot import Snapshot
from storage.ledger import progress
from storage.ledger.migrations import open_ledger
from tests.influx.influxd import Influxd
from tests.ingest.stores import Stores as Filled
from tests.ingest.stores import drain, rounds
from tests.operation.load import Load, stored
from tests.path.platform import Platform, one_office, running
from tests.project.broker import Client, wait_for

OUTCOMES = ("stored", "duplicate", "quarantined")


def conserved(platform: Platform) -> dict[str, float]:
    """The counters of messages, of which the law holds."""
    counts = platform.metrics()
    found = {name: counts[f"govsense_messages_{name}_total"] for name in OUTCOMES}
    pending = counts["govsense_messages_pending"]
    assert counts["govsense_messages_received_total"] == sum(found.values()) + pending
    return found | {"pending": pending}


@pytest.mark.mosquitto
def test_what_was_acknowledged_before_a_backup_is_there_once_after_its_restore(
    tmp_path: Path,
) -> None:
    """Backup under 1,000 messages/s, kill -9, restore elsewhere: every message, exactly once."""
    backup, elsewhere = tmp_path / "backup", tmp_path / "elsewhere"
    with (
        running(tmp_path / "data", one_office()) as platform,
        Client().connected(platform.port) as client,
    ):
        load = Load(client, rate_hz=1000)
        received = JournalReader(platform.directory / "journal", 0)
        with load.running():
            wait_for(lambda: received.head.position > 1500, "the load is under way", 30)
            acknowledged = received.head.position
            made = platform.run("backup", str(backup))
            assert made.returncode == 0, made.stderr
            wait_for(lambda: received.head.position > acknowledged + 1000, "the load goes on", 30)
        received.close()
        platform.kill("ingest")
        platform.kill("api")
    described = manifest.read(backup)
    assert described.cursor <= described.journal_position >= acknowledged
    restored = platform.run("restore", str(backup), "--data-dir", str(elsewhere))
    assert restored.returncode == 0, restored.stderr
    with running(elsewhere, one_office()) as again:
        last = described.journal_position
        wait_for(lambda: sum(conserved(again).values()) >= last, "all is known of", 30)
        wait_for(lambda: conserved(again)["pending"] == 0, "all is processed", 30)
        counts = conserved(again)
        again.stop("ingest")
    numbers = stored(elsewhere / "series.db", load)
    assert numbers == list(range(len(numbers)))  # none is missing, none is there twice
    assert acknowledged <= len(numbers) < load.published
    assert counts == {"stored": len(numbers), "duplicate": 0, "quarantined": 0, "pending": 0}


@pytest.mark.influx
@pytest.mark.mosquitto
def test_with_influxdb_the_spool_and_its_ledger_are_of_one_moment(tmp_path: Path) -> None:
    """While the drainer empties the spool: after a restore every message counts once."""
    influxd = Influxd(tmp_path / "influxd")
    influxd.start()
    environment = {"GOVSENSE_STORAGE__SERIES": "influxdb", "GOVSENSE_INFLUX__URL": influxd.url}
    backup, elsewhere = tmp_path / "backup", tmp_path / "elsewhere"
    try:
        with (
            running(tmp_path / "data", one_office(), "broker", **environment) as platform,
            Client().connected(platform.port) as client,
        ):
            assert platform.run("influx", "init").returncode == 0
            platform.start("ingest", "api")
            load = Load(client, rate_hz=500)
            with load.running():
                wait_for(lambda: conserved(platform)["stored"] > 500, "the load is under way", 30)
                made = platform.run("backup", str(backup))
                assert made.returncode == 0, made.stderr
                assert "NOT in this backup: the telemetry in InfluxDB" in made.stdout
            platform.kill("ingest")
            restored = platform.run("restore", str(backup), "--data-dir", str(elsewhere))
            assert restored.returncode == 0, restored.stderr
        with running(elsewhere, one_office(), **environment) as again:
            wait_for(lambda: conserved(again)["pending"] == 0, "all is processed", 30)
            counts = conserved(again)
            assert counts["stored"] > 500
            assert (counts["duplicate"], counts["quarantined"]) == (0, 0)
    finally:
        influxd.stop()


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """Stores with 30 settled messages and 10 that wait in the journal."""
    directory = tmp_path / "data"
    directory.mkdir()
    found = Filled(directory)
    found.arrive(rounds(0, 30))
    drain(found.processor())
    found.arrive(rounds(30, 40))
    yield found
    found.close()


def stores_in(directory: Path) -> Stores:
    return Stores(
        journal=directory / "journal",
        series=directory / "series.db",
        spool=directory / "spool.db",
        ledger=directory / "ledger.db",
    )


def silent(what: str, done: int, of: int) -> None:
    """No progress is shown."""


@pytest.fixture
def backup(filled: Filled, tmp_path: Path) -> Path:
    """A backup of them."""
    target = tmp_path / "backup"
    back_up(stores_in(filled.directory), target, not_included=[], progress=silent)
    return target


def test_the_cursor_lies_inside_the_journal_of_the_backup(backup: Path) -> None:
    """The 10 messages that are not settled can be read from the copy."""
    ledger = open_ledger(f"sqlite:///{backup / 'ledger.db'}")
    cursor = progress.position(ledger)
    ledger.close()
    reader = JournalReader(backup / "journal", cursor)
    assert (cursor, len(reader.read(max_records=100))) == (30, 10)
    reader.close()


def test_telemetry_that_is_written_while_the_moment_is_taken_is_not_torn_from_its_ledger(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is committed between both snapshots makes it try again, until they fit."""
    processor = filled.processor()

    class Interrupted(Snapshot):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            if path.name == "series.db" and processor.pending:
                processor.step()

    monkeypatch.setattr("ingest.backup.Snapshot", Interrupted)
    target = tmp_path / "torn"
    back_up(stores_in(filled.directory), target, not_included=[], progress=silent)
    assert manifest.read(target).cursor == 40
    copy = tmp_path / "copy"
    shutil.copytree(target, copy)
    again = Filled(copy)
    drain(again.processor())
    assert again.outcomes() == (40, 0, 0)
    assert again.stored() == 40
    again.close()


def test_segments_that_the_processor_deletes_meanwhile_are_in_the_backup(
    filled: Filled, tmp_path: Path
) -> None:
    """Held open, a segment is read after its deletion."""
    held = HeldJournal(filled.directory / "journal")
    assert held.mark()
    for path in (filled.directory / "journal").glob("*.seg"):
        path.unlink()
    held.copy_to(tmp_path / "copy")
    held.close()
    reader = JournalReader(tmp_path / "copy", 0)
    assert len(reader.read(max_records=100)) == 40
    reader.close()


@pytest.mark.parametrize("name", ["ledger.db", "series.db", "journal/head", "*.seg"])
def test_a_flipped_bit_is_refused_by_name(backup: Path, name: str) -> None:
    """Whichever file it is in, the file is named."""
    file = next(backup.rglob(name)) if "*" in name else backup / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BackupError, match=f"{file.name} is damaged"):
        manifest.check(backup, silent)


def test_a_missing_or_strange_file_is_refused_by_name(backup: Path) -> None:
    """What the manifest does not know, and what it knows and is not there."""
    (backup / "extra.db").write_bytes(b"")
    with pytest.raises(BackupError, match=r"extra\.db is not in the manifest"):
        manifest.check(backup, silent)
    (backup / "extra.db").unlink()
    (backup / "series.db").unlink()
    with pytest.raises(BackupError, match=r"series\.db: No such file"):
        manifest.check(backup, silent)


def test_a_damaged_manifest_is_refused(backup: Path) -> None:
    """Cut off anywhere, or with a digit changed: it is not taken for whole."""
    file = backup / manifest.NAME
    content = file.read_bytes()
    for end in range(0, len(content) - 2, 7):
        file.write_bytes(content[:end])
        with pytest.raises(BackupError, match=r"manifest\.json is damaged"):
            manifest.check(backup, silent)
    file.write_bytes(content.replace(b'"cursor": 30', b'"cursor": 31'))
    with pytest.raises(BackupError, match="does not match its own digest"):
        manifest.check(backup, silent)
    file.write_bytes(content)
    assert manifest.check(backup, silent).cursor == 30


def test_a_backup_is_never_overwritten_and_a_failed_one_leaves_nothing(
    backup: Path, filled: Filled, tmp_path: Path
) -> None:
    """The name is taken; and where a store cannot be read there is no directory afterwards."""
    before = sorted(backup.iterdir())
    with pytest.raises(BackupError, match="not overwritten"):
        back_up(stores_in(filled.directory), backup, not_included=[], progress=silent)
    assert sorted(backup.iterdir()) == before
    broken = stores_in(filled.directory)
    filled.series.close()
    broken.series.write_bytes(b"no database " * 1000)
    with pytest.raises(BackupError, match=r"series\.db cannot be read"):
        back_up(broken, tmp_path / "new", not_included=[], progress=silent)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("new")]

"""A processor that comes back: nothing is lost, nothing is counted twice, damage is told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from detection.findings import PLATFORM
from ingest.watch import Moment, Places, Watch
from storage.ledger.alerts import open_of_device
from storage.ledger.inventory import get_device
from storage.ledger.migrations import LedgerError, open_ledger
from tests.ingest.stores import T0_MS, Stores, drain, rounds


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


def test_damage_that_is_found_when_idle_is_counted_once(stores: Stores) -> None:
    """A damaged tail is in quarantine's count at once, and not again after a restart."""
    entries = rounds(0, 10)
    stores.arrive(entries)
    stores.damage(entries[9].payload)
    processor = stores.processor()
    drain(processor)
    processor.step()
    assert stores.outcomes() == (9, 0, 1)
    processor.snapshot()
    drain(stores.processor())
    assert stores.outcomes() == (9, 0, 1)
    assert stores.counts()["refused_journal-damaged"] == 1


def test_damage_before_the_cursor_is_not_counted_again(stores: Stores) -> None:
    """What is read again to bring the detectors back is not in the totals a second time."""
    entries = rounds(0, 20)
    stores.arrive(entries)
    stores.damage(entries[5].payload)
    drain(stores.processor(batch_messages=4))
    assert stores.outcomes() == (19, 0, 1)
    stores.arrive(rounds(20, 30))
    drain(stores.processor())
    assert stores.outcomes() == (29, 0, 1)
    assert stores.stored() == 29


def test_reading_again_past_damage_skips_no_record(stores: Stores) -> None:
    """Records behind the cursor are stored, also when damaged ones before it made room."""
    entries = rounds(0, 30)
    stores.arrive(entries[:20])
    processor = stores.processor()
    drain(processor)
    for entry in entries[3:9]:
        stores.damage(entry.payload)
    stores.arrive(entries[20:])
    drain(stores.processor())
    assert stores.stored() == 30
    assert stores.outcomes() == (30, 0, 0)


@pytest.mark.parametrize("damaged", [[], [0], [4], [9], [3, 4, 5]])
def test_a_batch_whose_facts_were_not_committed_counts_as_new(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, damaged: list[int]
) -> None:
    """After a crash between the two stores the batch is counted as it was, damage or not."""
    entries = rounds(0, 10)
    stores.arrive(entries)
    for number in damaged:
        stores.damage(entries[number].payload)
    processor = stores.processor()
    with monkeypatch.context() as crash:
        crash.setattr(processor, "_commit", _crash)
        with pytest.raises(CrashError):
            processor.step()
    good = 10 - len(damaged)
    assert stores.stored() == good
    assert stores.outcomes() == (0, 0, 0)
    stores.arrive(rounds(10, 15))
    drain(stores.processor())
    assert stores.outcomes() == (good + 5, 0, len(damaged))
    assert stores.counts()["readings_stored"] == good + 5


def test_a_device_is_seen_first_with_its_first_message(stores: Stores) -> None:
    """However many messages are processed together, rounds are expected from the first one on."""
    stores.arrive(rounds(0, 50))
    drain(stores.processor())
    device = get_device(stores.ledger, "p0", now_ms=T0_MS)
    assert device is not None
    assert (device.first_seen_ms, device.last_seen_ms) == (T0_MS, T0_MS + 49_000)


def test_a_ledger_older_than_the_telemetry_is_refused(stores: Stores) -> None:
    """Numbers of series that it does not know would be given to other series."""
    stores.arrive(rounds(0, 3))
    drain(stores.processor())
    stores.ledger.close()
    for path in stores.directory.glob("ledger.db*"):
        path.unlink()
    stores.ledger = open_ledger(f"sqlite:///{stores.directory / 'ledger.db'}")
    with pytest.raises(LedgerError, match="from the same backup"):
        stores.processor()


class CrashError(Exception):
    """Stands for kill -9."""


def _crash(*args: object, **keywords: object) -> None:
    raise CrashError


def test_alerts_on_the_platform_are_not_the_detectors(stores: Stores) -> None:
    """A start of the processor leaves an open alert on the platform to the watch."""
    at = Moment(0.0, T0_MS)
    watch = Watch(stores.ledger, Places("b", "j", "sp", "se", "l"), now=lambda: at)
    watch.refused("away", "it is away", by_ledger=True)
    watch.look_at_stores()
    watch.tell()
    stores.processor()
    assert [row.rule for row in open_of_device(stores.ledger, PLATFORM)] == ["store-away"]

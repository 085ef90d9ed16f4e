"""What an accepted device sent before ingest knew it is stored, whenever that was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.registry import Device
from ingest.journal import Entry
from storage.ledger.enrolment import accept
from storage.ledger.quarantine import QuarantineFilter, list_quarantine
from tests.ingest.stores import T0_MS, Stores, drain
from tests.path.platform import reading

TOPIC = "gov/v1/LA-LP/newcomer/telemetry"
NEWCOMER = Device("newcomer", "office", "connectivity-probe", 60.0, 1, {})


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    stores = Stores(tmp_path)
    yield stores
    stores.close()


def sent(first: int, last: int) -> list[Entry]:
    return [
        Entry(T0_MS + n * 1000, TOPIC, reading(T0_MS + n * 1000, n, dns_ms=float(n)))
        for n in range(first, last)
    ]


def held(stores: Stores) -> int:
    return len(list_quarantine(stores.ledger, QuarantineFilter(state="held"), limit=100))


def test_what_comes_between_the_acceptance_and_the_registry_is_stored(stores: Stores) -> None:
    """It is refused by the old registry, and replayed with what was held before."""
    processor = stores.processor()
    stores.arrive(sent(0, 5))
    drain(processor)
    assert stores.stored() == 0
    accept(stores.ledger, NEWCOMER, by="Noy", now_ms=T0_MS)
    processor.replay_requested()
    stores.arrive(sent(5, 10))
    drain(processor)
    assert held(stores) == 10
    processor.reload_registry()
    stores.arrive(sent(10, 15))
    drain(processor)
    assert processor.replay_requested() == 10
    assert (stores.stored(), held(stores)) == (15, 0)
    assert processor.replay_requested() == 0
    assert stores.outcomes() == (15, 0, 0)


def test_who_is_accepted_while_ingest_is_away_is_replayed_when_it_comes_back(
    stores: Stores,
) -> None:
    """A new process uses the registry that knows the device, and looks for what is due."""
    stores.arrive(sent(0, 5))
    drain(stores.processor())
    accept(stores.ledger, NEWCOMER, by="Noy", now_ms=T0_MS)
    stores.arrive(sent(3, 8))  # three and four again
    processor = stores.processor()
    drain(processor)
    assert processor.replay_requested() == 5
    assert (stores.stored(), held(stores)) == (8, 0)

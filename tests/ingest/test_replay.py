"""Replay from quarantine: the numbers end where they would be had nothing been refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from devices.registry import Registry
from ingest.journal import Entry
from storage.ledger.quarantine import QuarantineFilter, list_quarantine, request_replay, requested
from storage.ledger.registry import add_registry
from storage.ledger.schema import accounting
from tests.ingest.stores import P0, T0_MS, Stores, drain
from tests.path.platform import one_office, reading

HOUR_MS = T0_MS // 3_600_000 * 3_600_000


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


def test_a_replay_in_vain_changes_no_number(stores: Stores) -> None:
    """What is refused again was counted when it came."""
    payload = reading(T0_MS, 1, nat_rtt_p50_ms=20.0, speed_of_light=3e8)
    stores.arrive([Entry(T0_MS, P0, payload), Entry(T0_MS, P0, b"{")])
    processor = stores.processor()
    drain(processor)
    counts, hours = stores.counts(), _hours(stores)
    assert hours == {("p0", HOUR_MS): (1, 0, 0, 2)}
    for _ in range(3):
        _request(stores)
        assert processor.replay_requested() == 2
        assert _hours(stores) == hours
        assert stores.counts() == counts
    assert {row.whole for row in list_quarantine(stores.ledger, QuarantineFilter(), limit=9)} == {
        True,
        False,
    }


def test_a_crash_in_a_replay_counts_its_readings_as_new(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash between the two stores the replay is counted as it was."""
    stores.arrive([_of_p9(n) for n in range(5)])
    processor = stores.processor()
    drain(processor)
    assert stores.outcomes() == (0, 0, 5)
    _register_p9(stores)
    processor.reload_registry()
    _request(stores)
    with monkeypatch.context() as crash:
        crash.setattr(processor, "_commit", _crash)
        with pytest.raises(CrashError):
            processor.replay_requested()
    stores.arrive([_of_p9(9)])
    processor = stores.processor()
    drain(processor)
    processor.replay_requested()
    assert stores.outcomes() == (6, 0, 0)
    assert stores.counts()["readings_stored"] == 6
    assert _hours(stores) == {("p9", HOUR_MS): (6, 0, 0, 0)}


def test_a_replay_holds_few_payloads_in_memory(stores: Stores) -> None:
    """However many are requested, they are taken in pieces."""
    stores.arrive([Entry(T0_MS, P0, b"{" + b" " * 10_000)] * 50)
    drain(stores.processor())
    _request(stores)
    taken = requested(stores.ledger, limit=1000, max_bytes=100_000)
    assert [row.id for row in taken] == list(range(1, 11))


class CrashError(Exception):
    """Stands for kill -9."""


def _crash(*args: object, **keywords: object) -> None:
    raise CrashError


def _of_p9(number: int) -> Entry:
    at_ms = T0_MS + number * 1000
    topic = P0.replace("p0", "p9")
    return Entry(at_ms, topic, reading(at_ms, number, nat_rtt_p50_ms=20.0))


def _register_p9(stores: Stores) -> None:
    office = one_office()
    p9 = replace(office.devices["p0"], device="p9")
    add_registry(stores.ledger, Registry(office.sites, {"p9": p9}))


def _request(stores: Stores) -> None:
    request_replay(stores.ledger, QuarantineFilter())


def _hours(stores: Stores) -> dict[tuple[str, int], tuple[int, ...]]:
    with stores.ledger.read() as connection:
        rows = connection.execute(select(accounting)).all()
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}

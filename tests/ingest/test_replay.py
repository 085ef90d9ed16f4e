"""Replay from quarantine: the numbers end where they would be had nothing been refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from devices.registry import Registry
from ingest.journal import RETAINED, Entry
from storage.ledger.quarantine import QuarantineFilter, list_quarantine, request_replay, requested
from storage.ledger.registry import add_registry
from storage.ledger.schema import accounting, device_states
from storage.ledger.sequences import device_sequences
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


def test_an_old_status_that_is_replayed_does_not_undo_a_newer_one(stores: Stores) -> None:
    """What a device said last stays, in its state and in the events."""
    stores.arrive([Entry(T0_MS, _status("p9"), b'{"v":1,"state":"offline"}')])
    processor = stores.processor()
    drain(processor)
    _register_p9(stores)
    processor.reload_registry()
    stores.arrive([Entry(T0_MS + 1000, _status("p9"), b'{"v":1,"state":"online"}')])
    drain(processor)
    _request(stores)
    assert processor.replay_requested() == 1
    assert _state(stores, "p9") == "online"
    assert stores.outcomes() == (2, 0, 0)


def test_a_replayed_status_counts_where_nothing_newer_is_known(stores: Stores) -> None:
    """A birth that came before the registration tells the state, telemetry or not."""
    stores.arrive([Entry(T0_MS, _status("p9"), b'{"v":1,"state":"online"}')])
    processor = stores.processor()
    drain(processor)
    _register_p9(stores)
    processor.reload_registry()
    stores.arrive([_of_p9(5)])
    drain(processor)
    assert _state(stores, "p9") is None
    _request(stores)
    processor.replay_requested()
    assert _state(stores, "p9") == "online"


def test_messages_that_came_while_our_clock_was_behind_are_taken(stores: Stores) -> None:
    """With the receive time corrected they are as if the clock had been right, hours included."""
    behind_ms = 7 * 3_600_000
    right = reading(T0_MS, 1, nat_rtt_p50_ms=20.0)
    ahead = reading(T0_MS + 2 * 3_600_000, 2, nat_rtt_p50_ms=20.0)
    stores.arrive([Entry(T0_MS - behind_ms, P0, right), Entry(T0_MS - behind_ms, P0, ahead)])
    processor = stores.processor()
    drain(processor)
    assert _hours(stores) == {("p0", HOUR_MS - behind_ms): (0, 0, 0, 2)}
    _request(stores)
    processor.replay_requested()
    assert stores.outcomes() == (0, 0, 2)
    which = QuarantineFilter(reason="clock-future")
    assert request_replay(stores.ledger, which, behind_ms=behind_ms) == [1, 2]
    processor.replay_requested()
    assert stores.outcomes() == (1, 0, 1)
    assert stores.series.rows(range(9), 0, 2 * T0_MS, limit=9)[0].received_ms == T0_MS
    hours = {key: counts for key, counts in _hours(stores).items() if any(counts)}
    assert hours == {("p0", HOUR_MS): (1, 0, 0, 1)}


def test_retained_telemetry_is_replayed_only_when_asked_for(stores: Stores) -> None:
    """It may be of any age: a replay of everything leaves it."""
    payload = reading(T0_MS, 1, nat_rtt_p50_ms=20.0)
    stores.arrive([Entry(T0_MS, P0, payload, RETAINED), Entry(T0_MS, P0, b"{")])
    processor = stores.processor()
    drain(processor)
    assert request_replay(stores.ledger, QuarantineFilter()) == [2]
    assert request_replay(stores.ledger, QuarantineFilter(device="p0")) == []
    processor.replay_requested()
    assert stores.outcomes() == (0, 0, 2)
    assert request_replay(stores.ledger, QuarantineFilter(reason="retained")) == [1]
    processor.replay_requested()
    assert stores.outcomes() == (1, 0, 1)


def test_rounds_that_are_replayed_are_missed_no_more(stores: Stores) -> None:
    """What an unregistered device sent counts as come, also after a crash."""
    stores.arrive([_of_p9(1), _of_p9(2)])
    processor = stores.processor()
    drain(processor)
    _register_p9(stores)
    processor.reload_registry()
    stores.arrive([_of_p9(3)])
    drain(processor)
    processor.snapshot()
    _request(stores)
    processor.replay_requested()
    processor = stores.processor()
    processor.downlinks()
    rows = device_sequences(stores.ledger, "p9")
    assert [(row.highest, row.waiting, row.lost) for row in rows] == [(3, [], [])]


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


def _status(device: str) -> str:
    return f"gov/v1/LA-LP/{device}/status"


def _state(stores: Stores, device: str) -> str | None:
    query = select(device_states.c.state).where(device_states.c.device == device)
    with stores.ledger.read() as connection:
        state: str | None = connection.execute(query).scalar_one()
    return state


def _request(stores: Stores) -> None:
    request_replay(stores.ledger, QuarantineFilter())


def _hours(stores: Stores) -> dict[tuple[str, int], tuple[int, ...]]:
    with stores.ledger.read() as connection:
        rows = connection.execute(select(accounting)).all()
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}

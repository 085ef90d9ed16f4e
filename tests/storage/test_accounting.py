"""Accounting, heartbeats: what was expected of each device, hour by hour, and what came."""

from __future__ import annotations

import pytest

from storage.ledger import stats
from storage.ledger.accounting import HOUR_MS, Hour, device_hours
from storage.ledger.facts import DeviceSeen, Facts, commit
from storage.ledger.migrations import Ledger
from storage.ledger.registry import add_registry
from tests.storage.country import registered

FIRST = 1_790_000_000_000 // HOUR_MS * HOUR_MS  # a full hour
HALF = HOUR_MS // 2


def count(ledger: Ledger, hour_ms: int, received: int) -> None:
    """Say that rounds of one hour came; the device is heard since half past FIRST."""
    seen = DeviceSeen("probe-s1", FIRST + HALF, {}, None)
    counts = {("probe-s1", hour_ms): (received, 1, 2, 3)}
    commit(ledger, Facts(position=0, device_seen=[seen], accounting=counts), now_ms=FIRST)


def hours(ledger: Ledger, *, now_ms: int, from_ms: int = FIRST) -> list[Hour]:
    """Five hours of the device."""
    return device_hours(
        ledger, "probe-s1", from_ms=from_ms, to_ms=FIRST + 5 * HOUR_MS, now_ms=now_ms
    )


def test_every_hour_is_accounted_for(ledger: Ledger) -> None:
    """Expected are the rounds since the first message and up to now; what did not come is missing.

    Hours in which nothing came are there, hours that have not begun are not.
    """
    add_registry(ledger, registered([("s1", "LA-LP", "luangprabang")]))
    count(ledger, FIRST, 30)
    count(ledger, FIRST + HOUR_MS, 50)
    count(ledger, FIRST + 3 * HOUR_MS, 40)
    assert hours(ledger, now_ms=FIRST + 3 * HOUR_MS + HALF) == [
        Hour(FIRST, 30, 30, 1, 2, 3, 0),
        Hour(FIRST + HOUR_MS, 60, 50, 1, 2, 3, 10),
        Hour(FIRST + 2 * HOUR_MS, 60, 0, 0, 0, 0, 60),
        Hour(FIRST + 3 * HOUR_MS, 30, 40, 1, 2, 3, 0),
    ]


def test_what_came_before_the_first_message_is_not_missing(ledger: Ledger) -> None:
    """Rounds of hours before a device was first heard count, and none is expected."""
    add_registry(ledger, registered([("s1", "LA-LP", "luangprabang")]))
    count(ledger, FIRST - HOUR_MS, 12)
    (before, *_) = hours(ledger, now_ms=FIRST + HOUR_MS, from_ms=FIRST - HOUR_MS)
    assert before == Hour(FIRST - HOUR_MS, 0, 12, 1, 2, 3, 0)


def test_nothing_is_expected_of_a_device_that_was_never_heard(ledger: Ledger) -> None:
    """A registered device is missing nothing before its first message."""
    add_registry(ledger, registered([("s1", "LA-LP", "luangprabang")]))
    assert {tuple(hour)[1:] for hour in hours(ledger, now_ms=FIRST + HOUR_MS)} == {
        (0, 0, 0, 0, 0, 0)
    }


def test_an_unknown_device_has_no_account(ledger: Ledger) -> None:
    """Asking for a device that is not registered is an error."""
    with pytest.raises(KeyError, match="probe-s1"):
        hours(ledger, now_ms=FIRST + HOUR_MS)


def test_the_last_heartbeat_of_each_process_is_kept(ledger: Ledger) -> None:
    """A heartbeat replaces the one before of its process."""
    assert stats.read(ledger) == {}
    stats.beat(ledger, "ingest", 1, {"messages_pending": 5})
    stats.beat(ledger, "api", 2, {})
    stats.beat(ledger, "ingest", 3, {"messages_pending": 0})
    assert stats.read(ledger) == {"ingest": (3, {"messages_pending": 0}), "api": (2, {})}

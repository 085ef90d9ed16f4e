"""Accounting: for every device and hour what was expected, came, came late or twice, or never."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from storage.ledger.migrations import Ledger
from storage.ledger.schema import accounting, device_states, devices

HOUR_MS = 3_600_000


class Hour(NamedTuple):
    """Rounds of one device in one hour of event time; quarantined counts refusals.

    expected: rounds due in the part of the hour between the device's first message and now.
    missing: expected but not received.
    """

    hour_ms: int
    expected: int
    received: int
    late: int
    duplicate: int
    quarantined: int
    missing: int


def device_hours(
    ledger: Ledger, device: str, *, from_ms: int, to_ms: int, now_ms: int
) -> list[Hour]:
    """Every hour from from_ms up to to_ms or now, in order. Raises KeyError for no such device."""
    query = (
        select(devices.c.interval_s, device_states.c.first_seen_ms)
        .outerjoin_from(devices, device_states, devices.c.device == device_states.c.device)
        .where(devices.c.device == device)
    )
    counted = select(accounting).where(
        accounting.c.device == device,
        accounting.c.hour_ms >= from_ms // HOUR_MS * HOUR_MS,
        accounting.c.hour_ms < to_ms,
    )
    with ledger.read() as connection:
        facts = connection.execute(query).one_or_none()
        if facts is None:
            raise KeyError(device)
        counts = {row.hour_ms: row for row in connection.execute(counted)}
    interval_s, first_seen_ms = facts
    hours = []
    start = from_ms // HOUR_MS * HOUR_MS
    for hour_ms in range(start, min(to_ms, now_ms), HOUR_MS):
        expected = _expected(hour_ms, interval_s, first_seen_ms, now_ms)
        row = counts.get(hour_ms)
        received, late, duplicate, quarantined = row[2:6] if row else (0, 0, 0, 0)
        missing = max(0, expected - received)
        hours.append(Hour(hour_ms, expected, received, late, duplicate, quarantined, missing))
    return hours


def _expected(hour_ms: int, interval_s: float, first_seen_ms: int | None, now_ms: int) -> int:
    if first_seen_ms is None:
        return 0
    span_ms = min(hour_ms + HOUR_MS, now_ms) - max(hour_ms, first_seen_ms)
    return max(0, span_ms // max(1, round(interval_s * 1000)))

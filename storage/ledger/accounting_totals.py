"""Accounting summed over devices and hours, by the database."""

from __future__ import annotations

from typing import NamedTuple, TypeVarTuple

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, cast, func, literal, select

from storage.ledger.accounting import HOUR_MS
from storage.ledger.migrations import Ledger
from storage.ledger.schema import accounting, device_states, devices, sites

Ts = TypeVarTuple("Ts")


class Sum(NamedTuple):
    """Sums of storage.ledger.accounting.Hour over devices and hours; devices: how many."""

    devices: int
    expected: int
    received: int
    late: int
    duplicate: int
    quarantined: int
    missing: int


def sum_hours(
    ledger: Ledger, *, from_ms: int, to_ms: int, now_ms: int, province: str | None = None
) -> Sum:
    """The sum over every hour that begins in [from_ms, to_ms), both whole hours, and before now.

    missing is summed hour by hour: what one device sent too often does not fill another's gap.
    """
    with ledger.read() as connection:
        counted = connection.execute(_counted(from_ms, to_ms, now_ms, province)).one()
        received, late, duplicate, quarantined, met = (int(value or 0) for value in counted)
        devices_of = connection.execute(_intervals(province)).all()
    expected = sum(
        _expected(first_seen_ms, interval_ms, from_ms, min(to_ms, now_ms), now_ms)
        for interval_ms, first_seen_ms in devices_of
        if first_seen_ms is not None
    )
    missing = expected - met
    return Sum(len(devices_of), expected, received, late, duplicate, quarantined, missing)


def _expected(first_seen_ms: int, interval_ms: int, from_ms: int, end_ms: int, now_ms: int) -> int:
    """Rounds due in the hours that begin in [from_ms, end_ms): whole ones at once."""
    first = max(from_ms, first_seen_ms // HOUR_MS * HOUR_MS)
    whole_from = max(first, -(-first_seen_ms // HOUR_MS) * HOUR_MS)
    whole_to = max(whole_from, min(-(-end_ms // HOUR_MS), now_ms // HOUR_MS) * HOUR_MS)
    expected = (whole_to - whole_from) // HOUR_MS * (HOUR_MS // interval_ms)
    for hour_ms in (
        *range(first, min(whole_from, end_ms), HOUR_MS),
        *range(whole_to, end_ms, HOUR_MS),
    ):
        span_ms = min(hour_ms + HOUR_MS, now_ms) - max(hour_ms, first_seen_ms)
        expected += max(0, span_ms // interval_ms)
    return expected


def _interval_ms() -> ColumnElement[int]:
    rounded = cast(func.round(devices.c.interval_s * 1000), BigInteger)
    return case((rounded < 1, literal(1, BigInteger)), else_=rounded)


def _intervals(province: str | None) -> Select[int, int | None]:
    joined = devices.outerjoin(device_states, devices.c.device == device_states.c.device)
    query = select(_interval_ms(), device_states.c.first_seen_ms)
    return _within(query.select_from(joined), province)


def _counted(
    from_ms: int, to_ms: int, now_ms: int, province: str | None
) -> Select[*tuple[int, ...]]:
    hour, seen = accounting.c.hour_ms, device_states.c.first_seen_ms
    end = case((hour + HOUR_MS < now_ms, hour + HOUR_MS), else_=now_ms)
    start = case((seen > hour, seen), else_=hour)
    due = case((end > start, (end - start) // _interval_ms()), else_=0)
    met = case((seen.is_(None), 0), (accounting.c.received < due, accounting.c.received), else_=due)
    of_device = and_(
        accounting.c.device == devices.c.device, hour >= from_ms, hour < to_ms, hour < now_ms
    )
    counts = (
        accounting.c.received,
        accounting.c.late,
        accounting.c.duplicate,
        accounting.c.quarantined,
    )
    query = select(*(func.sum(count) for count in (*counts, met)))
    joined = devices.join(accounting, of_device).outerjoin(
        device_states, devices.c.device == device_states.c.device
    )
    return _within(query.select_from(joined), province)


def _within(query: Select[*Ts], province: str | None) -> Select[*Ts]:
    if province is None:
        return query
    return query.where(devices.c.site.in_(select(sites.c.site).where(sites.c.province == province)))

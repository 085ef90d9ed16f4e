"""Speed tests in the ledger: the rounds of probes that held one, packed by device and local day.

A year of a country is millions of them; packed, a month is read in a tenth of a second.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, tuple_

from storage.ledger.bin_days import AT_ONCE, DAY_MS, day_of
from storage.ledger.migrations import Ledger
from storage.ledger.schema import speed_days
from storage.ledger.upsert import upsert

PACKED = struct.Struct("<6d")  # at_ms and the five values of a test, NaN where there is none
NAN = float("nan")


class SpeedTest(NamedTuple):
    """One test of one probe. rtt_ms, sent, rcvd: of the same round's pings in the country."""

    device: str
    at_ms: int
    down_mbps: float | None
    up_mbps: float | None
    rtt_ms: float | None = None
    sent: float | None = None
    rcvd: float | None = None


def put_speed_tests(connection: Connection, tests: Iterable[SpeedTest]) -> None:
    """Keep tests; the same device and time again replaces what was measured then."""
    fresh: dict[tuple[int, str], dict[int, bytes]] = {}
    for one in tests:
        values = [NAN if value is None else value for value in one[2:]]
        key = (day_of(one.at_ms), one.device)
        fresh.setdefault(key, {})[one.at_ms] = PACKED.pack(one.at_ms, *values)
    keys = iter(sorted(fresh))
    while some := list(islice(keys, AT_ONCE)):
        known = _known(connection, some)
        rows = []
        for key in some:
            merged = {**_by_time(known.get(key, b"")), **fresh[key]}
            packed = b"".join(merged[at_ms] for at_ms in sorted(merged))
            rows.append({"day_ms": key[0], "device": key[1], "tests": packed})
        upsert(connection, speed_days, rows)


def unpacked(device: str, packed: bytes) -> Iterator[SpeedTest]:
    """The tests of a device's day, in order of time."""
    for at_ms, *values in PACKED.iter_unpack(packed):
        yield SpeedTest(device, int(at_ms), *(None if v != v else v for v in values))


def trim_speed_tests(ledger: Ledger, now_ms: int, *, keep_days: int) -> int:
    """Delete the days that ended more than keep_days ago; returns how many of devices' days."""
    before_ms = now_ms - (keep_days + 1) * DAY_MS
    with ledger.begin() as connection:
        return connection.execute(
            delete(speed_days).where(speed_days.c.day_ms <= before_ms)
        ).rowcount


def _known(connection: Connection, keys: list[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
    """Packed tests by day, locked in PostgreSQL, so that two writers do not undo each other."""
    query = (
        select(speed_days)
        .where(tuple_(speed_days.c.day_ms, speed_days.c.device).in_(keys))
        .order_by(speed_days.c.day_ms, speed_days.c.device)
        .with_for_update()
    )
    return {(day_ms, device): tests for day_ms, device, tests in connection.execute(query)}


def _by_time(packed: bytes) -> dict[int, bytes]:
    size = PACKED.size
    rows = (packed[n : n + size] for n in range(0, len(packed), size))
    return {int(PACKED.unpack(row)[0]): row for row in rows}

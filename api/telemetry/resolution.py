"""Lengths of buckets: as asked, chosen for a range, or for the columns of a chart."""

from __future__ import annotations

import re

from api.problems import invalid
from storage.series.levels import DAY_MS, HOUR_MS, start_of
from storage.series.sqlite import LOCAL_OFFSET_MS

AUTO = "auto"
AUTO_BUCKETS = 500  # of a series, at most: what a chart shows and a person reads
LENGTH = re.compile(r"([1-9][0-9]{0,5})([smhd])")
UNIT_MS = {"d": DAY_MS, "h": HOUR_MS, "m": 60_000, "s": 1000}
# Round lengths; from 5 minutes on each is made of whole roll-ups.
LADDER_MS = [
    *(seconds * 1000 for seconds in (1, 2, 5, 10, 15, 30)),
    *(minutes * 60_000 for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR_MS for hours in (1, 2, 3, 4, 6, 12)),
    *(days * DAY_MS for days in (1, 2, 7, 14, 28)),
]


def bucket_length_ms(text: str) -> int:
    """The length that a parameter states, like 5m; a 422 for anything else."""
    match = LENGTH.fullmatch(text)
    if match is None:
        raise invalid(
            "bucket",
            "is no length of time",
            got=text,
            allowed="a number and s, m, h or d: 5m; or auto",
        )
    return int(match[1]) * UNIT_MS[match[2]]


def stated(bucket_ms: int) -> str:
    """The length as a parameter states it, in its largest unit."""
    unit = next(unit for unit, ms in UNIT_MS.items() if bucket_ms % ms == 0)
    return f"{bucket_ms // UNIT_MS[unit]}{unit}"


def whole_buckets(from_ms: int, to_ms: int, bucket_ms: int) -> int:
    """How many buckets hold a part of [from_ms, to_ms)."""
    start_ms = start_of(from_ms, bucket_ms, LOCAL_OFFSET_MS)
    end_ms = start_of(to_ms + bucket_ms - 1, bucket_ms, LOCAL_OFFSET_MS)
    return (end_ms - start_ms) // bucket_ms


def fitting_length_ms(from_ms: int, to_ms: int, most: int, *, least_ms: int = 0) -> int:
    """The shortest round length, at least `least_ms`, that needs no more than `most` buckets.

    most: at least 2, so that there always is one: beyond 28 days, any number of days.
    """
    for bucket_ms in LADDER_MS:
        if bucket_ms >= least_ms and whole_buckets(from_ms, to_ms, bucket_ms) <= most:
            return bucket_ms
    shortest_ms = max(least_ms, (to_ms - from_ms) // (most - 1) + 1)
    return -(-shortest_ms // DAY_MS) * DAY_MS

"""The levels of a series: raw readings, and roll-ups of 5 minutes, 1 hour and 1 day."""

from __future__ import annotations

RAW = 0
FIVE_MINUTES_MS, HOUR_MS, DAY_MS = 300_000, 3_600_000, 86_400_000
LEVELS_MS = (FIVE_MINUTES_MS, HOUR_MS, DAY_MS)


def start_of(at_ms: int, bucket_ms: int, local_offset_ms: int) -> int:
    """Start of the bucket that holds a time; buckets of whole days begin at local midnight."""
    offset_ms = local_offset_ms if bucket_ms % DAY_MS == 0 else 0
    return (at_ms + offset_ms) // bucket_ms * bucket_ms - offset_ms

"""How long each level of a series is kept, and the walk that deletes what is older.

What is deleted of a level is known by its horizon, one for each series and level: before it,
only readings that came late are left, and roll_ups adds them to the level above.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from typing import NamedTuple

from storage.series.levels import DAY_MS, FIVE_MINUTES_MS, HOUR_MS, RAW, start_of

SCHEMA = """
CREATE TABLE horizon (
    series INTEGER, level_ms INTEGER, before_ms INTEGER NOT NULL, PRIMARY KEY (series, level_ms)
) WITHOUT ROWID
"""


class Retention(NamedTuple):
    """Days that each level is kept, at least as long as the finer one; days are kept for ever."""

    raw_days: int
    five_minute_days: int
    hour_days: int


class Bounds(NamedTuple):
    """What begins before these times may go, by level; each on a bound of the level above."""

    raw_ms: int
    five_minutes_ms: int
    hours_ms: int


def bounds(
    connection: sqlite3.Connection, now_ms: int, retention: Retention, local_offset_ms: int
) -> Bounds:
    """Bounds as of now; nothing that is not rolled up yet lies before them."""
    (oldest_dirty_ms,) = connection.execute("SELECT min(start_ms) FROM dirty").fetchone()
    before_ms = now_ms if oldest_dirty_ms is None else oldest_dirty_ms
    raw_ms = min(before_ms, now_ms - retention.raw_days * DAY_MS)
    five_minutes_ms = min(raw_ms, now_ms - retention.five_minute_days * DAY_MS)
    hours_ms = min(five_minutes_ms, now_ms - retention.hour_days * DAY_MS)
    return Bounds(
        start_of(raw_ms, FIVE_MINUTES_MS, local_offset_ms),
        start_of(five_minutes_ms, HOUR_MS, local_offset_ms),
        start_of(hours_ms, DAY_MS, local_offset_ms),
    )


class Walk:
    """One walk over all series, in as many steps as it takes."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.done = False
        self._after = -1

    def step(self, connection: sqlite3.Connection, *, budget_s: float) -> int:
        """Delete, within the caller's transaction, for about `budget_s`; returns how many rows."""
        until = time.monotonic() + budget_s
        deleted = 0
        for series in self._series(connection):
            deleted += _delete(connection, series, self.bounds)
            self._after = series
            if time.monotonic() > until:
                return deleted
        self.done = True
        return deleted

    def _series(self, connection: sqlite3.Connection) -> Iterator[int]:
        """Every series that has a roll-up, and so everything that may be deleted."""
        query = f"SELECT min(series) FROM roll_up_{DAY_MS} WHERE series > ?"
        while True:
            (series,) = connection.execute(query, (self._after,)).fetchone()
            if series is None:
                return
            yield series


def _delete(connection: sqlite3.Connection, series: int, bounds: Bounds) -> int:
    tables = (
        (RAW, "raw", "at_ms", bounds.raw_ms),
        (FIVE_MINUTES_MS, f"roll_up_{FIVE_MINUTES_MS}", "start_ms", bounds.five_minutes_ms),
        (HOUR_MS, f"roll_up_{HOUR_MS}", "start_ms", bounds.hours_ms),
    )
    total = 0
    for level_ms, table, column, before_ms in tables:
        deleted = connection.execute(
            f"DELETE FROM {table} WHERE series = ? AND {column} < ?", (series, before_ms)
        ).rowcount
        if deleted:
            connection.execute(
                "INSERT INTO horizon VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET before_ms = max(before_ms, excluded.before_ms)",
                (series, level_ms, before_ms),
            )
        total += deleted
    return total

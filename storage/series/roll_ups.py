"""Roll-ups of 5 minutes, 1 hour and 1 day, each made from the level below it.

A 5-minute bucket that changed is marked dirty in the transaction that changed it. Rolling it up
makes its row from raw readings, then the rows of its hour and its day, and takes the mark away. A
reader trusts a row of any level only if no bucket in its span is dirty, else it goes a level down.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

FIVE_MINUTES_MS, HOUR_MS, DAY_MS = 300_000, 3_600_000, 86_400_000
LEVELS_MS = (FIVE_MINUTES_MS, HOUR_MS, DAY_MS)
CHUNK = 500  # buckets rolled up in one transaction

SCHEMA = (
    "".join(
        f"""
CREATE TABLE roll_up_{level} (
    series INTEGER, start_ms INTEGER, count INTEGER NOT NULL,
    min REAL NOT NULL, max REAL NOT NULL, sum REAL NOT NULL, last REAL NOT NULL,
    PRIMARY KEY (series, start_ms)
) WITHOUT ROWID;"""
        for level in LEVELS_MS
    )
    + """
CREATE TABLE dirty (series INTEGER, start_ms INTEGER, PRIMARY KEY (series, start_ms)) WITHOUT ROWID;
CREATE INDEX dirty_by_time ON dirty (start_ms)"""
)


class Piece(NamedTuple):
    """A span of one series, summed up; a raw reading is a piece of one. n: how many readings."""

    start_ms: int
    n: int
    min: float
    max: float
    sum: float
    last: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket of one series. coverage: share of the expected rounds that came, 0 to 1."""

    series: int
    start_ms: int
    count: int
    min: float
    max: float
    mean: float
    last: float
    coverage: float


def start_of(at_ms: int, level_ms: int, local_offset_ms: int) -> int:
    """Start of the bucket of a level that holds a time; days begin at local midnight."""
    offset_ms = local_offset_ms if level_ms == DAY_MS else 0
    return (at_ms + offset_ms) // level_ms * level_ms - offset_ms


def pieces(
    connection: sqlite3.Connection,
    series: int,
    from_ms: int,
    to_ms: int,
    *,
    levels: Sequence[int],
    local_offset_ms: int,
) -> list[Piece]:
    """What is known of [from_ms, to_ms), in order of time, from the coarsest of `levels` down.

    Both ends lie on bounds of the coarsest level.
    """
    if not levels:
        query = (
            "SELECT at_ms, 1, value, value, value, value FROM raw"
            " WHERE series = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms"
        )
        return [Piece(*row) for row in connection.execute(query, (series, from_ms, to_ms))]
    *finer, level_ms = levels
    dirty = connection.execute(
        "SELECT start_ms FROM dirty WHERE series = ? AND start_ms >= ? AND start_ms < ?",
        (series, from_ms, to_ms),
    )
    changed = {start_of(start_ms, level_ms, local_offset_ms) for (start_ms,) in dirty}
    query = (
        f"SELECT start_ms, count, min, max, sum, last FROM roll_up_{level_ms}"
        " WHERE series = ? AND start_ms >= ? AND start_ms < ?"
    )
    rows = connection.execute(query, (series, from_ms, to_ms))
    found = [Piece(*row) for row in rows if row[0] not in changed]
    for start_ms in changed:
        found += pieces(
            connection,
            series,
            start_ms,
            start_ms + level_ms,
            levels=finer,
            local_offset_ms=local_offset_ms,
        )
    return sorted(found)


def combine(
    series: int, found: Sequence[Piece], bucket_ms: int, *, interval_ms: int, offset_ms: int
) -> list[Bucket]:
    """Pieces, in order of time, as buckets."""
    expected = bucket_ms / interval_ms
    buckets = []
    for number, group in groupby(found, lambda p: (p.start_ms + offset_ms) // bucket_ms):
        inside = list(group)
        total = _sum_up(inside, number * bucket_ms - offset_ms)
        buckets.append(
            Bucket(
                series,
                total.start_ms,
                total.n,
                total.min,
                total.max,
                total.sum / total.n,
                total.last,
                min(1.0, total.n / expected),
            )
        )
    return buckets


def roll_up(
    connection: sqlite3.Connection, now_ms: int, *, budget_s: float, local_offset_ms: int
) -> tuple[int, list[tuple[int, int]]]:
    """Roll up dirty buckets that have ended, the oldest first, until the budget is spent.

    Returns how many, and which (series, start_ms).
    """
    until = time.monotonic() + budget_s
    rolled: list[tuple[int, int]] = []
    while True:
        found = connection.execute(
            "SELECT series, start_ms FROM dirty WHERE start_ms <= ? ORDER BY start_ms LIMIT ?",
            (now_ms - FIVE_MINUTES_MS, CHUNK),
        ).fetchall()
        if found:
            connection.execute("BEGIN IMMEDIATE")
            _roll(connection, found, local_offset_ms)
            connection.execute("COMMIT")
            rolled += found
        if len(found) < CHUNK or time.monotonic() > until:
            return len(rolled), rolled


def _roll(
    connection: sqlite3.Connection, found: Sequence[tuple[int, int]], local_offset_ms: int
) -> None:
    (horizon_ms,) = connection.execute("SELECT raw_ms FROM horizon").fetchone()
    for series, start_ms in found:
        inside = pieces(
            connection, series, start_ms, start_ms + FIVE_MINUTES_MS,
            levels=(), local_offset_ms=local_offset_ms,
        )  # fmt: skip
        if start_ms < horizon_ms:
            inside = _beyond_horizon(connection, series, start_ms, inside)
        if inside:
            _put(connection, FIVE_MINUTES_MS, series, _sum_up(inside, start_ms))
    for finer_ms, level_ms in pairwise(LEVELS_MS):
        spans = {(s, start_of(start_ms, level_ms, local_offset_ms)) for s, start_ms in found}
        for series, start_ms in spans:
            rows = connection.execute(
                f"SELECT start_ms, count, min, max, sum, last FROM roll_up_{finer_ms}"
                " WHERE series = ? AND start_ms >= ? AND start_ms < ? ORDER BY start_ms",
                (series, start_ms, start_ms + level_ms),
            )
            inside = [Piece(*row) for row in rows]
            if inside:
                _put(connection, level_ms, series, _sum_up(inside, start_ms))
    connection.executemany("DELETE FROM dirty WHERE series = ? AND start_ms = ?", found)


def _beyond_horizon(
    connection: sqlite3.Connection, series: int, start_ms: int, late: list[Piece]
) -> list[Piece]:
    """Late readings of a time whose raw readings are gone are added to the roll-up and deleted."""
    connection.execute(
        "DELETE FROM raw WHERE series = ? AND at_ms >= ? AND at_ms < ?",
        (series, start_ms, start_ms + FIVE_MINUTES_MS),
    )
    row = connection.execute(
        f"SELECT start_ms, count, min, max, sum, last FROM roll_up_{FIVE_MINUTES_MS}"
        " WHERE series = ? AND start_ms = ?",
        (series, start_ms),
    ).fetchone()
    return late if row is None else [*late, Piece(*row)]


def retain(
    connection: sqlite3.Connection, *, raw_before_ms: int, before_ms: Mapping[int, int]
) -> int:
    """Delete raw readings and rows of each level that lie before its bound; see SqliteSeries."""
    connection.execute("BEGIN IMMEDIATE")
    (oldest_dirty,) = connection.execute("SELECT min(start_ms) FROM dirty").fetchone()
    bound_ms = raw_before_ms // FIVE_MINUTES_MS * FIVE_MINUTES_MS
    if oldest_dirty is not None:
        bound_ms = min(bound_ms, oldest_dirty)
    deleted = connection.execute("DELETE FROM raw WHERE at_ms < ?", (bound_ms,)).rowcount
    connection.execute("UPDATE horizon SET raw_ms = max(raw_ms, ?)", (bound_ms,))
    for level_ms, level_before_ms in before_ms.items():
        connection.execute(
            f"DELETE FROM roll_up_{level_ms} WHERE start_ms + {level_ms} <= ?", (level_before_ms,)
        )
    connection.execute("COMMIT")
    return deleted


def _put(connection: sqlite3.Connection, level_ms: int, series: int, total: Piece) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO roll_up_{level_ms} VALUES (?, ?, ?, ?, ?, ?, ?)",
        (series, *total),
    )


def _sum_up(inside: Sequence[Piece], start_ms: int) -> Piece:
    return Piece(
        start_ms,
        sum(piece.n for piece in inside),
        min(piece.min for piece in inside),
        max(piece.max for piece in inside),
        sum(piece.sum for piece in inside),
        inside[-1].last,
    )

"""Roll-ups of 5 minutes, 1 hour and 1 day, each made from the level below it.

A 5-minute bucket that changed is marked dirty in the transaction that changed it. Rolling it up
makes its row from raw readings, then the rows of its hour and its day, and takes the mark away. A
reader trusts a row of any level only if no bucket in its span is dirty, else it goes a level down.

Before the horizon of a level (storage.series.retention) its rows are gone, but for those made of
readings that came after. They are added to the row of the level above, and deleted in turn.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from storage.series.levels import FIVE_MINUTES_MS, LEVELS_MS, RAW, start_of

P95 = 95
CHUNK = 200  # buckets rolled up between two looks at the clock

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
CREATE INDEX dirty_by_time ON dirty (start_ms);"""
)

Mark = tuple[int, int]  # (series, start_ms) of a 5-minute bucket


class Piece(NamedTuple):
    """A span of one series, summed up; a raw reading is a piece of one. n: how many readings."""

    start_ms: int
    n: int
    min: float
    max: float
    sum: float
    last: float


class Bucket(NamedTuple):
    """One bucket of one series. coverage: share of the expected rounds that came, 0 to 1.

    p95: by nearest rank; None where it was not asked for, or the readings are deleted.
    """

    series: int
    start_ms: int
    count: int  # type: ignore[assignment]  # takes the place of tuple.count
    min: float
    max: float
    mean: float
    last: float
    coverage: float
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The time [from_ms, to_ms) of one series, on bounds of the coarsest level that is asked."""

    series: int
    from_ms: int
    to_ms: int


def read_pieces(
    connection: sqlite3.Connection, span: Span, levels: Sequence[int], local_offset_ms: int
) -> list[Piece]:
    """What is known of a span, in order of time, from the coarsest of `levels` down."""
    if not levels:
        return _stored(connection, RAW, span)
    *finer, level_ms = levels
    dirty = connection.execute(
        "SELECT start_ms FROM dirty WHERE series = ? AND start_ms >= ? AND start_ms < ?",
        (span.series, span.from_ms, span.to_ms),
    )
    changed = {start_of(start_ms, level_ms, local_offset_ms) for (start_ms,) in dirty}
    stored = _stored(connection, level_ms, span)
    if not changed:
        return stored
    horizon_ms = _horizon(connection, span.series, finer[-1] if finer else RAW)
    found = [p for p in stored if p.start_ms not in changed or p.start_ms < horizon_ms]
    for start_ms in changed:
        inside = Span(span.series, start_ms, start_ms + level_ms)
        found += read_pieces(connection, inside, finer, local_offset_ms)
    return sorted(found, key=lambda piece: piece.start_ms)


def combine(
    series: int,
    pieces: Sequence[Piece],
    bucket_ms: int,
    *,
    interval_ms: int,
    local_offset_ms: int,
    readings_from_ms: int | None = None,
) -> list[Bucket]:
    """Pieces, in order of time, as buckets.

    readings_from_ms: pieces from here on are single readings, of which p95 is wanted.
    """
    expected = bucket_ms / interval_ms
    buckets = []
    starts = groupby(pieces, lambda piece: start_of(piece.start_ms, bucket_ms, local_offset_ms))
    for start_ms, group in starts:
        inside = list(group)
        total = inside[0] if len(inside) == 1 else _sum_up(inside, start_ms)
        mean, coverage = total.sum / total.n, min(1.0, total.n / expected)
        p95 = None
        if readings_from_ms is not None and start_ms >= readings_from_ms:
            p95 = nearest_rank([piece.last for piece in inside], P95)
        buckets.append(
            Bucket(series, start_ms, total.n, total.min, total.max, mean, total.last, coverage, p95)
        )
    return buckets


def nearest_rank(values: Sequence[float], percent: int) -> float:
    """The least of the values that at least so many percent of them do not exceed.

    That is number ceil(percent / 100 * n) in their order: always a value that was measured.
    """
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def readings_from(connection: sqlite3.Connection, series: int) -> int:
    """From when on all raw readings of a series are kept."""
    return _horizon(connection, series, RAW)


def roll_up(
    connection: sqlite3.Connection, now_ms: int, *, budget_s: float, local_offset_ms: int
) -> list[Mark]:
    """Roll up dirty buckets that have ended, the oldest first, for about `budget_s`.

    Works within the caller's transaction. Returns what was rolled up.
    """
    until = time.monotonic() + budget_s
    rolled: list[Mark] = []
    while True:
        marks = connection.execute(
            "SELECT series, start_ms FROM dirty WHERE start_ms <= ? ORDER BY start_ms LIMIT ?",
            (now_ms - FIVE_MINUTES_MS, CHUNK),
        ).fetchall()
        finer_ms = RAW
        for level_ms in LEVELS_MS:
            spans = {(n, start_of(start_ms, level_ms, local_offset_ms)) for n, start_ms in marks}
            for series, start_ms in sorted(spans):
                _roll(connection, Span(series, start_ms, start_ms + level_ms), level_ms, finer_ms)
            finer_ms = level_ms
        connection.executemany("DELETE FROM dirty WHERE series = ? AND start_ms = ?", marks)
        rolled += marks
        if len(marks) < CHUNK or time.monotonic() > until:
            return rolled


def _roll(connection: sqlite3.Connection, span: Span, level_ms: int, finer_ms: int) -> None:
    """Make the row of one level from the rows of the finer one."""
    inside = _stored(connection, finer_ms, span)
    if not inside:
        return
    if span.from_ms < _horizon(connection, span.series, finer_ms):
        table, column = _table(finer_ms)
        connection.execute(
            f"DELETE FROM {table} WHERE series = ? AND {column} >= ? AND {column} < ?",
            (span.series, span.from_ms, span.to_ms),
        )
        inside = _stored(connection, level_ms, span) + inside
    connection.execute(
        f"INSERT OR REPLACE INTO roll_up_{level_ms} VALUES (?, ?, ?, ?, ?, ?, ?)",
        (span.series, *_sum_up(inside, span.from_ms)),
    )


def _stored(connection: sqlite3.Connection, level_ms: int, span: Span) -> list[Piece]:
    """The rows of a level within a span, in order of time."""
    table, column = _table(level_ms)
    values = "1, value, value, value, value" if level_ms == RAW else "count, min, max, sum, last"
    rows = connection.execute(
        f"SELECT {column}, {values} FROM {table}"
        f" WHERE series = ? AND {column} >= ? AND {column} < ? ORDER BY {column}",
        (span.series, span.from_ms, span.to_ms),
    )
    return [Piece(*row) for row in rows]


def _table(level_ms: int) -> tuple[str, str]:
    """Table of a level and its column of time."""
    return ("raw", "at_ms") if level_ms == RAW else (f"roll_up_{level_ms}", "start_ms")


def _horizon(connection: sqlite3.Connection, series: int, level_ms: int) -> int:
    row = connection.execute(
        "SELECT before_ms FROM horizon WHERE series = ? AND level_ms = ?", (series, level_ms)
    ).fetchone()
    return row[0] if row else 0


def _sum_up(inside: Sequence[Piece], start_ms: int) -> Piece:
    return Piece(
        start_ms,
        sum(piece.n for piece in inside),
        min(piece.min for piece in inside),
        max(piece.max for piece in inside),
        sum(piece.sum for piece in inside),
        inside[-1].last,
    )

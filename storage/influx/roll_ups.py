"""Roll-ups of 5 minutes, 1 hour and 1 day in InfluxDB, each in a database that is kept longer.

Continuous queries and tasks of InfluxDB pass over late data and differ between its versions. So
every bucket that changes is marked in the transaction that writes its readings. Once it has ended
and the drainer is past those readings, InfluxDB is asked for its raw readings' count, min, max,
mean and last, and a line with these and the coverage goes to the spool in turn.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings
from storage.influx import questions
from storage.influx.lines import NANOSECONDS, Describe, SeriesName, head
from storage.influx.server import InfluxError, Server
from storage.influx.spool import Spool, counts_of, newest_batch, set_count
from storage.series.batches import repeated
from storage.series.levels import DAY_MS, LEVELS_MS, RAW

CHUNK = 100  # marks taken between two looks at the clock
NEVER = np.iinfo(np.int64).min


class Marks(NamedTuple):
    """Buckets of one level that were marked. starts: int64[n], milliseconds since 1970."""

    level_ms: int
    series: NDArray[np.int32]
    starts: NDArray[np.int64]


class Marker:
    """What marks buckets; for the writing thread.

    A mark says which batch of the spool made it. A bucket that is known to be marked is not marked
    again, until all that is known is forgotten at a checkpoint: the number of the newest batch at
    that time. So what was marked up to a checkpoint, and not after it, holds no reading of a later
    batch. There is no new checkpoint before the last one was rolled up.
    """

    def __init__(self, spool: Spool, local_offset_ms: int) -> None:
        self._spool = spool
        self._local_offset_ms = local_offset_ms
        self._marked = {level_ms: np.full(0, NEVER, np.int64) for level_ms in LEVELS_MS}

    def mark(self, connection: sqlite3.Connection, batch: Readings, number: int) -> list[Marks]:
        """Mark the buckets that a batch changes, and say which; `batch` is sorted."""
        return [self._mark(connection, batch, number, level_ms) for level_ms in LEVELS_MS]

    def committed(self, marks: list[Marks]) -> None:
        """The transaction that made these marks has been committed."""
        for level_ms, series, starts in marks:
            self._marked[level_ms][series] = starts

    def set_checkpoint(self) -> None:
        """Let be rolled up what has been marked until now, if the last checkpoint is done with."""
        with self._spool.transaction() as connection:
            counts = counts_of(connection)
            if counts.rolled < counts.checkpoint:
                return
            set_count(connection, "checkpoint", newest_batch(connection))
        for marked in self._marked.values():
            marked[:] = NEVER

    def _mark(
        self, connection: sqlite3.Connection, batch: Readings, number: int, level_ms: int
    ) -> Marks:
        offset_ms = self._local_offset_ms if level_ms == DAY_MS else 0
        starts = (batch.at_ms + offset_ms) // level_ms * level_ms - offset_ms
        buckets = Readings(batch.series, starts, batch.received_ms, batch.value)
        marked = self._marked_of(level_ms, int(batch.series.max()) + 1)
        marks = buckets.take(~repeated(buckets) & (marked[batch.series] != starts))
        pairs = zip(marks.series.tolist(), marks.at_ms.tolist(), strict=True)
        connection.executemany(
            "INSERT INTO marks (level_ms, start_ms, series, batch) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET batch = excluded.batch",
            [(level_ms, start_ms, series, number) for series, start_ms in pairs],
        )
        return Marks(level_ms, marks.series, marks.at_ms)

    def _marked_of(self, level_ms: int, count: int) -> NDArray[np.int64]:
        marked = self._marked[level_ms]
        if count > len(marked):
            marked = np.concatenate([marked, np.full(count - len(marked), NEVER)])
            self._marked[level_ms] = marked
        return marked


class Roller:
    """What makes roll-ups of marks; beside the drainer, because it waits for InfluxDB."""

    def __init__(
        self, spool: Spool, server: Server, describe: Describe, *, local_offset_ms: int
    ) -> None:
        """server: one that may be read. local_offset_ms: as the series have it."""
        self._spool = spool
        self._server = server
        self._describe = describe
        self._local_offset_ms = local_offset_ms

    def step(self, now_ms: int, *, budget_s: float) -> int:
        """Roll up buckets that have ended and are drained, the oldest first, for about `budget_s`.

        Returns how many. now_ms: platform time. Where InfluxDB does not answer, they wait.
        """
        until = time.monotonic() + budget_s
        counts = self._spool.counts()
        if not counts.rolled < counts.checkpoint <= counts.drained:
            return 0
        rolled = 0
        for level_ms in LEVELS_MS:
            while marks := self._ended(level_ms, now_ms, counts.checkpoint):
                if rolled and time.monotonic() > until:
                    return rolled
                try:
                    self._roll(level_ms, marks)
                except InfluxError:
                    return rolled  # the drainer tells the operator
                rolled += len(marks)
        with self._spool.transaction() as connection:
            set_count(connection, "rolled", counts.checkpoint)
        return rolled

    def _ended(self, level_ms: int, now_ms: int, checkpoint: int) -> list[tuple[int, int, int]]:
        """(start_ms, series, batch) of buckets up to the checkpoint that have ended, in order."""
        with self._spool.transaction("BEGIN") as connection:
            return connection.execute(
                "SELECT start_ms, series, batch FROM marks WHERE level_ms = ? AND start_ms <= ?"
                " AND batch <= ? ORDER BY start_ms LIMIT ?",
                (level_ms, now_ms - level_ms, checkpoint, CHUNK),
            ).fetchall()

    def _roll(self, level_ms: int, marks: list[tuple[int, int, int]]) -> None:
        lines: list[str] = []
        for number, starts in _by_series(marks):
            name = self._describe(number)
            for from_ms, to_ms in _runs(starts, level_ms):
                lines += self._lines(name, level_ms, from_ms, to_ms)
        with self._spool.transaction() as connection:
            if lines:
                self._spool.append(connection, lines, level_ms=level_ms)
            connection.executemany(
                "DELETE FROM marks WHERE level_ms = ? AND start_ms = ? AND series = ?"
                " AND batch = ?",
                [(level_ms, *one) for one in marks],
            )

    def _lines(self, name: SeriesName, level_ms: int, from_ms: int, to_ms: int) -> list[str]:
        offset_ms = self._local_offset_ms if level_ms == DAY_MS else 0
        question = questions.buckets(
            name, from_ms, to_ms, bucket_ms=level_ms, local_offset_ms=offset_ms
        )
        rows = self._server.query(RAW, question, **questions.values_of(name))
        return [_line(name, row, level_ms) for row in rows]


def _line(name: SeriesName, row: dict[str, float], level_ms: int) -> str:
    coverage = min(1.0, row["count"] * name.interval_ms / level_ms)
    values = {**{one: row[one] for one in questions.AGGREGATES}, "coverage": coverage}
    fields = ",".join(
        f"{questions.rolled_field(name, one)}={float(value)!r}" for one, value in values.items()
    )
    return f"{head(name)} {fields} {int(row['time'])}{NANOSECONDS}"


def _by_series(marks: Iterable[tuple[int, int, int]]) -> list[tuple[int, list[int]]]:
    pairs = sorted((series, start_ms) for start_ms, series, _ in marks)
    return [
        (series, [start_ms for _, start_ms in group])
        for series, group in groupby(pairs, key=lambda pair: pair[0])
    ]


def _runs(starts: list[int], level_ms: int) -> list[tuple[int, int]]:
    """[from, to) of buckets that follow each other without a gap."""
    found: list[tuple[int, int]] = []
    for start_ms in starts:
        if found and found[-1][1] == start_ms:
            found[-1] = (found[-1][0], start_ms + level_ms)
        else:
            found.append((start_ms, start_ms + level_ms))
    return found

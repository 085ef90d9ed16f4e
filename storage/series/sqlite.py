"""Telemetry in one SQLite file: raw readings by (series, time), and what is read from them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings
from storage.series import roll_ups
from storage.series.roll_ups import DAY_MS, LEVELS_MS, Bucket

SCHEMA_VERSION = 1
LOCAL_OFFSET_MS = 7 * 3_600_000  # days are those of Asia/Vientiane, UTC+7, no daylight saving
BUSY_S = 10.0
NEVER = np.iinfo(np.int64).min

SCHEMA = """
CREATE TABLE raw (
    series INTEGER, at_ms INTEGER, value REAL NOT NULL, lag_ms INTEGER NOT NULL,
    PRIMARY KEY (series, at_ms)
) WITHOUT ROWID;
CREATE TABLE applied (first INTEGER NOT NULL, last INTEGER NOT NULL, new BLOB NOT NULL);
CREATE TABLE horizon (raw_ms INTEGER NOT NULL);
INSERT INTO horizon VALUES (0);
"""


class SeriesError(Exception):
    """The file of the telemetry cannot be used; the text says what to do."""


class Applied(NamedTuple):
    """The last batch that was written: journal positions [first, last), which readings were new."""

    first: int
    last: int
    new: NDArray[np.bool_]


class Row(NamedTuple):
    """One stored reading. received_ms: when it reached the platform."""

    series: int
    at_ms: int
    value: float
    received_ms: int


class Retention(NamedTuple):
    """How long each level is kept, in days; days are kept for ever."""

    raw_days: int
    five_minute_days: int
    hour_days: int


class SqliteSeries:
    """One writer process and any number of readers. Threads have connections of their own."""

    def __init__(self, path: Path, *, local_offset_ms: int, read_only: bool) -> None:
        self._path = path
        self._read_only = read_only
        self._local_offset_ms = local_offset_ms
        self._threads = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._newest = np.full(0, NEVER, np.int64)  # [series] newest stored event time
        self._marked = np.full(0, NEVER, np.int64)  # [series] bucket last marked as dirty

    @classmethod
    def open(
        cls, path: Path, *, local_offset_ms: int = LOCAL_OFFSET_MS, read_only: bool = False
    ) -> SqliteSeries:
        """The store in a file, made where it does not exist. Raises SeriesError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        store = cls(path, local_offset_ms=local_offset_ms, read_only=read_only)
        connection = store._connect()
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in (SCHEMA + roll_ups.SCHEMA).split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        connection.close()
        if version > SCHEMA_VERSION:
            raise SeriesError(
                f"{path} has version {version}, this govsense knows up to {SCHEMA_VERSION}:"
                " install the govsense that wrote it, or a newer one"
            )
        return store

    def close(self) -> None:
        """Close every connection."""
        for connection in self._opened:
            connection.close()

    def write(self, readings: Readings, *, first: int, last: int) -> NDArray[np.bool_]:
        """Store readings in one transaction; on return they are on disk.

        first, last: the journal positions [first, last) that they come from; the same positions
        again write nothing and give the same answer. Returns bool[n]: True where the identity
        (series, at_ms) was not stored before. The same identity again replaces the value; within
        the batch its first reading is the new one and its last value stays.
        """
        if not len(readings):
            return np.zeros(0, np.bool_)
        applied = self.applied()
        if applied and applied[:2] == (first, last) and len(applied.new) == len(readings):
            return applied.new
        order = np.lexsort((np.arange(len(readings)), readings.at_ms, readings.series))
        batch = readings.take(order)
        repeated = np.zeros(len(batch), np.bool_)
        repeated[1:] = (batch.series[1:] == batch.series[:-1]) & (
            batch.at_ms[1:] == batch.at_ms[:-1]
        )
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            fresh = ~repeated & ~self._stored(connection, batch)
            connection.executemany(
                "INSERT INTO raw VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET value = excluded.value, lag_ms = excluded.lag_ms",
                zip(
                    batch.series.tolist(),
                    batch.at_ms.tolist(),
                    batch.value.tolist(),
                    (batch.received_ms - batch.at_ms).tolist(),
                    strict=True,
                ),
            )
            self._mark(connection, batch)
            new = np.zeros(len(batch), np.bool_)
            new[order] = fresh
            connection.execute("DELETE FROM applied")
            row = (first, last, len(new).to_bytes(4, "little") + np.packbits(new).tobytes())
            connection.execute("INSERT INTO applied VALUES (?, ?, ?)", row)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            self._marked[:] = NEVER
            raise
        np.maximum.at(self._newest, batch.series, batch.at_ms)
        return new

    def applied(self) -> Applied | None:
        """The batch that was written last, None before the first."""
        row = self._connection().execute("SELECT first, last, new FROM applied").fetchone()
        if row is None:
            return None
        count = int.from_bytes(row[2][:4], "little")
        bits = np.unpackbits(np.frombuffer(row[2][4:], np.uint8), count=count)
        return Applied(row[0], row[1], bits.astype(np.bool_))

    def latest(self, numbers: Iterable[int]) -> dict[int, tuple[int, float]]:
        """(event time in ms, value) of the newest reading of each series that has one."""
        connection = self._connection()
        query = "SELECT at_ms, value FROM raw WHERE series = ? ORDER BY at_ms DESC LIMIT 1"
        found = {n: connection.execute(query, (n,)).fetchone() for n in numbers}
        return {n: pair for n, pair in found.items() if pair is not None}

    def rows(
        self,
        numbers: Sequence[int],
        from_ms: int,
        to_ms: int,
        *,
        limit: int,
        after: tuple[int, int] | None = None,
    ) -> list[Row]:
        """At most `limit` readings in [from_ms, to_ms), by series in ascending number, then time.

        after: (series, at_ms) of the last row of the page before.
        """
        found: list[Row] = []
        for number in sorted(numbers):
            start_ms = from_ms
            if after is not None:
                if number < after[0]:
                    continue
                if number == after[0]:
                    start_ms = max(from_ms, after[1] + 1)
            if len(found) == limit:
                break
            cursor = self._connection().execute(
                "SELECT series, at_ms, value, at_ms + lag_ms FROM raw"
                " WHERE series = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms LIMIT ?",
                (number, start_ms, to_ms, limit - len(found)),
            )
            found += [Row(*row) for row in cursor]
        return found

    def buckets(
        self,
        numbers: Sequence[int],
        from_ms: int,
        to_ms: int,
        *,
        bucket_ms: int,
        interval_ms: int,
    ) -> list[Bucket]:
        """Whole buckets from the one that holds from_ms up to to_ms, by series and time.

        bucket_ms: a multiple of 1,000; days begin at local midnight. interval_ms: how often the
        series reports, for coverage. Buckets without a reading are left out. Taken from the
        coarsest roll-up that fits; the answer is the one that raw readings would give, for as
        long as they are kept.
        """
        offset_ms = self._local_offset_ms if bucket_ms % DAY_MS == 0 else 0
        start_ms = (from_ms + offset_ms) // bucket_ms * bucket_ms - offset_ms
        end_ms = -(-(to_ms + offset_ms) // bucket_ms) * bucket_ms - offset_ms
        fitting = [level for level in LEVELS_MS if bucket_ms % level == 0]
        connection = self._connection()
        found: list[Bucket] = []
        connection.execute("BEGIN")
        try:
            for number in sorted(numbers):
                pieces = roll_ups.pieces(
                    connection,
                    number,
                    start_ms,
                    end_ms,
                    levels=fitting,
                    local_offset_ms=self._local_offset_ms,
                )
                found += roll_ups.combine(
                    number, pieces, bucket_ms, interval_ms=interval_ms, offset_ms=offset_ms
                )
        finally:
            connection.execute("COMMIT")
        return found

    def roll_up(self, now_ms: int, *, budget_s: float) -> int:
        """Roll up closed buckets that changed, for about `budget_s`; returns how many."""
        count, rolled = roll_ups.roll_up(
            self._connection(), now_ms, budget_s=budget_s, local_offset_ms=self._local_offset_ms
        )
        for number, start_ms in rolled:
            if number < len(self._marked) and self._marked[number] == start_ms:
                self._marked[number] = NEVER
        return count

    def retain(self, now_ms: int, retention: Retention) -> int:
        """Delete what is older than its level is kept, and nothing that is not rolled up yet.

        Returns the number of raw readings that were deleted.
        """
        return roll_ups.retain(
            self._connection(),
            raw_before_ms=now_ms - retention.raw_days * DAY_MS,
            before_ms={
                LEVELS_MS[0]: now_ms - retention.five_minute_days * DAY_MS,
                LEVELS_MS[1]: now_ms - retention.hour_days * DAY_MS,
            },
        )

    def _stored(self, connection: sqlite3.Connection, batch: Readings) -> NDArray[np.bool_]:
        """bool[n]: which identities are stored; what is newer than its series is not sought."""
        self._know(connection, int(batch.series.max(initial=-1)) + 1)
        stored = np.zeros(len(batch), np.bool_)
        query = "SELECT 1 FROM raw WHERE series = ? AND at_ms = ?"
        for n in np.flatnonzero(batch.at_ms <= self._newest[batch.series]).tolist():
            key = (int(batch.series[n]), int(batch.at_ms[n]))
            stored[n] = connection.execute(query, key).fetchone() is not None
        return stored

    def _know(self, connection: sqlite3.Connection, count: int) -> None:
        """Learn the newest stored time of series that were not written in this process yet."""
        query = "SELECT max(at_ms) FROM raw WHERE series = ?"
        known = len(self._newest)
        if count > known:
            found = [connection.execute(query, (n,)).fetchone()[0] for n in range(known, count)]
            newest = [NEVER if at_ms is None else at_ms for at_ms in found]
            self._newest = np.concatenate([self._newest, np.array(newest, np.int64)])
            self._marked = np.concatenate([self._marked, np.full(count - known, NEVER)])

    def _mark(self, connection: sqlite3.Connection, batch: Readings) -> None:
        """Remember which 5-minute buckets changed. `batch` is sorted by series and time."""
        starts = batch.at_ms // LEVELS_MS[0] * LEVELS_MS[0]
        first = np.ones(len(batch), np.bool_)
        first[1:] = (batch.series[1:] != batch.series[:-1]) | (starts[1:] != starts[:-1])
        first &= self._marked[batch.series] != starts
        series, starts = batch.series[first], starts[first]
        connection.executemany(
            "INSERT INTO dirty VALUES (?, ?) ON CONFLICT DO NOTHING",
            zip(series.tolist(), starts.tolist(), strict=True),
        )
        self._marked[series] = starts

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._connect()
            if self._read_only:
                connection.execute("PRAGMA query_only = ON")
            self._threads.connection = connection
            self._opened.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

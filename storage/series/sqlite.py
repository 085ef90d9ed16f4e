"""Telemetry in one SQLite file: raw readings by (series, time), and what is read from them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings
from storage.series import retention as retaining
from storage.series import roll_ups
from storage.series.batches import Applied, digest_of, keep_applied, load_applied, repeated
from storage.series.file import SeriesFile
from storage.series.levels import FIVE_MINUTES_MS, HOUR_MS, LEVELS_MS, start_of
from storage.series.retention import Retention, Walk
from storage.series.roll_ups import Bucket, Span

LOCAL_OFFSET_MS = 7 * HOUR_MS  # days are those of Asia/Vientiane: UTC+7, no daylight saving
WALK_EVERY_MS = HOUR_MS  # of platform time: what is too old goes in steps of this
NEVER = np.iinfo(np.int64).min


class Row(NamedTuple):
    """One stored reading. received_ms: when it reached the platform."""

    series: int
    at_ms: int
    value: float
    received_ms: int


class SqliteSeries:
    """One writer process with one writing thread, and any number of readers."""

    def __init__(self, file: SeriesFile, local_offset_ms: int) -> None:
        self._file = file
        self._local_offset_ms = local_offset_ms
        self._newest = np.full(0, NEVER, np.int64)  # [series] newest stored event time
        self._marked = np.full(0, NEVER, np.int64)  # [series] bucket last marked as dirty
        self._walk: Walk | None = None

    @classmethod
    def open(
        cls, path: Path, *, local_offset_ms: int = LOCAL_OFFSET_MS, read_only: bool = False
    ) -> SqliteSeries:
        """The store in a file, made where it does not exist. Raises SeriesError.

        local_offset_ms: local time minus UTC, whole hours, always the same for one file.
        """
        if local_offset_ms % HOUR_MS:
            raise ValueError(f"local_offset_ms {local_offset_ms} is not a number of whole hours")
        return cls(SeriesFile(path, read_only=read_only), local_offset_ms)

    def close(self) -> None:
        """Close every connection; no call may be under way."""
        self._file.close()

    def write(self, readings: Readings, *, first: int, last: int) -> NDArray[np.bool_]:
        """Store readings in one transaction; on return they are on disk.

        first, last: the journal positions [first, last) that they come from. The batch that was
        written last, given again with its positions, writes nothing and gets the same answer.
        Returns bool[n]: True where the identity (series, at_ms) was not stored before. The same
        identity again replaces the value; within the batch its first reading is the new one and
        its last value stays. A time whose raw readings were deleted counts as not stored.
        """
        if not len(readings):
            return np.zeros(0, np.bool_)
        digest = digest_of(readings)
        order = np.lexsort((readings.at_ms, readings.series))  # is stable
        batch = readings.take(order)
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            kept = load_applied(connection, digest)
            if kept and kept[:2] == (first, last):
                return kept.new
            fresh = ~repeated(batch) & ~self._stored(connection, batch)
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
            marks = self._mark(connection, batch)
            new = np.zeros(len(batch), np.bool_)
            new[order] = fresh
            keep_applied(connection, Applied(first, last, new), digest)
        self._marked[marks.series] = marks.at_ms
        np.maximum.at(self._newest, batch.series, batch.at_ms)
        return new

    def applied(self) -> Applied | None:
        """The batch that was written last, None before the first."""
        with self._file.connection() as connection:
            return load_applied(connection)

    def highest(self) -> int:
        """The highest series number under which readings are kept, -1 for none."""
        with self._file.connection() as connection:
            (number,) = connection.execute("SELECT max(series) FROM raw").fetchone()
        return -1 if number is None else int(number)

    def forget_names(self) -> None:
        """Nothing to forget: this store knows series by number only."""

    def latest(self, numbers: Iterable[int]) -> dict[int, tuple[int, float]]:
        """(event time in ms, value) of the newest reading of each series that has one."""
        query = "SELECT at_ms, value FROM raw WHERE series = ? ORDER BY at_ms DESC LIMIT 1"
        with self._file.transaction("BEGIN") as connection:
            found = {n: connection.execute(query, (n,)).fetchone() for n in numbers}
        return {n: pair for n, pair in found.items() if pair is not None}

    def rows(
        self,
        numbers: Iterable[int],
        from_ms: int,
        to_ms: int,
        *,
        limit: int,
        after: tuple[int, int] | None = None,
    ) -> list[Row]:
        """At most `limit` readings in [from_ms, to_ms), by series in ascending number, then time.

        after: (series, at_ms) of the last row of the page before.
        """
        query = (
            "SELECT series, at_ms, value, at_ms + lag_ms FROM raw"
            " WHERE series = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms LIMIT ?"
        )
        last_series, last_ms = after or (-1, 0)
        found: list[Row] = []
        with self._file.transaction("BEGIN") as connection:
            for number in sorted(set(numbers)):
                if number < last_series:
                    continue
                start_ms = max(from_ms, last_ms + 1) if number == last_series else from_ms
                asked = (number, start_ms, to_ms, limit - len(found))
                found += [Row(*row) for row in connection.execute(query, asked)]
                if len(found) >= limit:
                    break
        return found

    def edges(self, numbers: Iterable[int], from_ms: int, to_ms: int) -> dict[int, tuple[Row, Row]]:
        """The first and the last reading in [from_ms, to_ms) of each series that has one."""
        query = (
            "SELECT series, at_ms, value, at_ms + lag_ms FROM raw"
            " WHERE series = ? AND at_ms >= ? AND at_ms < ? ORDER BY at_ms {} LIMIT 1"
        )
        found: dict[int, tuple[Row, Row]] = {}
        with self._file.transaction("BEGIN") as connection:
            for number in numbers:
                asked = (number, from_ms, to_ms)
                first = connection.execute(query.format("ASC"), asked).fetchone()
                if first is not None:
                    last = connection.execute(query.format("DESC"), asked).fetchone()
                    found[number] = Row(*first), Row(*last)
        return found

    def buckets(
        self,
        numbers: Iterable[int],
        from_ms: int,
        to_ms: int,
        *,
        bucket_ms: int,
        interval_ms: int,
        p95: bool = False,
    ) -> list[Bucket]:
        """Whole buckets from the one that holds from_ms up to to_ms, by series and time.

        bucket_ms: a multiple of 1,000; those of whole days begin at local midnight. interval_ms:
        how often the series reports, for coverage. Buckets without a reading are left out. Taken
        from the coarsest roll-up that fits; the answer is the one that raw readings would give,
        for as long as they are kept. p95 is made of raw readings alone: it reads all of them.
        """
        offset_ms = self._local_offset_ms
        start_ms = start_of(from_ms, bucket_ms, offset_ms)
        end_ms = start_of(to_ms + bucket_ms - 1, bucket_ms, offset_ms)
        levels = [level for level in LEVELS_MS if bucket_ms % level == 0]
        found: list[Bucket] = []
        with self._file.transaction("BEGIN") as connection:
            for number in sorted(set(numbers)):
                raw_ms = end_ms
                if p95:
                    kept_ms = max(start_ms, roll_ups.readings_from(connection, number))
                    raw_ms = min(end_ms, start_of(kept_ms + bucket_ms - 1, bucket_ms, offset_ms))
                rolled, raw = Span(number, start_ms, raw_ms), Span(number, raw_ms, end_ms)
                found += roll_ups.combine(
                    number,
                    roll_ups.read_pieces(connection, rolled, levels, offset_ms)
                    + roll_ups.read_pieces(connection, raw, (), offset_ms),
                    bucket_ms,
                    interval_ms=interval_ms,
                    local_offset_ms=offset_ms,
                    readings_from_ms=raw_ms,
                )
        return found

    def roll_up(self, now_ms: int, *, budget_s: float) -> int:
        """Roll up closed buckets that changed, for about `budget_s`; returns how many."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            rolled = roll_ups.roll_up(
                connection, now_ms, budget_s=budget_s, local_offset_ms=self._local_offset_ms
            )
        for number, start_ms in rolled:
            if number < len(self._marked) and self._marked[number] == start_ms:
                self._marked[number] = NEVER
        return len(rolled)

    def retain(self, now_ms: int, retention: Retention, *, budget_s: float) -> int:
        """Delete what is older than its level is kept, and nothing that is not rolled up yet.

        Goes on where the last call stopped when its `budget_s` was spent, and begins anew once an
        hour. Returns how many rows were deleted, of all levels.
        """
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            bounds = retaining.bounds(connection, now_ms, retention, self._local_offset_ms)
            if self._walk is None or (
                self._walk.done and bounds.raw_ms >= self._walk.bounds.raw_ms + WALK_EVERY_MS
            ):
                self._walk = Walk(bounds)
            if self._walk.done or bounds.raw_ms < self._walk.bounds.raw_ms:
                return 0  # very late readings wait for their roll-up
            return self._walk.step(connection, budget_s=budget_s)

    def _stored(self, connection: sqlite3.Connection, batch: Readings) -> NDArray[np.bool_]:
        """bool[n]: which identities are stored; what is newer than its series is not sought."""
        self._know(connection, int(batch.series.max()) + 1)
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

    def _mark(self, connection: sqlite3.Connection, batch: Readings) -> Readings:
        """Mark the 5-minute buckets that changed. `batch` is sorted by series and time.

        Returns the marks that were not known to stand, as readings at the buckets' starts.
        """
        starts = batch.at_ms // FIVE_MINUTES_MS * FIVE_MINUTES_MS
        buckets = Readings(batch.series, starts, batch.received_ms, batch.value)
        marks = buckets.take(~repeated(buckets) & (self._marked[batch.series] != starts))
        connection.executemany(
            "INSERT INTO dirty VALUES (?, ?) ON CONFLICT DO NOTHING",
            zip(marks.series.tolist(), marks.at_ms.tolist(), strict=True),
        )
        return marks

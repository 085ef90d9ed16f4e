"""Telemetry in InfluxDB behind a spool: the same questions as to a file, the same answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings
from storage.influx import questions, stored_times
from storage.influx.lines import LAG, Describe, Formatter, SeriesName
from storage.influx.roll_ups import Marker
from storage.influx.server import Server
from storage.influx.spool import Spool
from storage.influx.stored_times import StoredTimes
from storage.series.batches import Applied, digest_of, keep_applied, load_applied, repeated
from storage.series.levels import DAY_MS, HOUR_MS, LEVELS_MS, RAW, start_of
from storage.series.retention import Retention
from storage.series.roll_ups import Bucket, Piece, combine
from storage.series.sqlite import LOCAL_OFFSET_MS, Row

PAGE = 10_000  # readings asked for at once


class InfluxSeries:
    """One writer process with one writing thread, and any number of readers.

    What is written is in the spool, on disk; what is read is in InfluxDB. Between them is the
    drainer. Questions raise InfluxError where InfluxDB does not answer. The receive time of a
    reading is that of the last message that spoke of its device and event time.
    """

    def __init__(
        self,
        spool: Spool,
        server: Server,
        *,
        describe: Describe,
        retention: Retention,
        now_ms: Callable[[], int],
        local_offset_ms: int = LOCAL_OFFSET_MS,
    ) -> None:
        """describe: the names behind a series number. now_ms: platform time.

        retention: as InfluxDB was set up. local_offset_ms: local time minus UTC, whole hours.
        """
        if local_offset_ms % HOUR_MS:
            raise ValueError(f"local_offset_ms {local_offset_ms} is not a number of whole hours")
        self._spool = spool
        self._server = server
        self._describe = describe
        self._retention = retention
        self._now_ms = now_ms
        self._local_offset_ms = local_offset_ms
        self._formatter = Formatter(describe)
        self._times = StoredTimes()
        self._marker = Marker(spool, local_offset_ms)

    def close(self) -> None:
        """Close the spool and the connections; no call may be under way."""
        self._spool.close()
        self._server.close()

    def highest(self) -> int:
        """The highest series number whose readings are known, -1 for none."""
        with self._spool.transaction("BEGIN") as connection:
            (number,) = connection.execute("SELECT max(series) FROM stored_times").fetchone()
        return -1 if number is None else int(number)

    def forget_names(self) -> None:
        """Ask `describe` again: the registry has changed."""
        self._formatter.forget()

    def write(self, readings: Readings, *, first: int, last: int) -> NDArray[np.bool_]:
        """Put readings into the spool in one transaction; on return they are on disk.

        first, last: the journal positions [first, last) that they come from. The batch that was
        written last, given again with its positions, writes nothing and gets the same answer.
        Returns bool[n]: True where the identity (series, at_ms) was not written before. The same
        identity again replaces the value; within the batch its first reading is the new one and
        its last value stays. Raises SpoolFullError when there is no room, and writes nothing.
        """
        if not len(readings):
            return np.zeros(0, np.bool_)
        digest = digest_of(readings)
        order = np.lexsort((readings.at_ms, readings.series))  # is stable
        batch = readings.take(order)
        again = repeated(batch)
        kept = np.ones(len(batch), np.bool_)
        kept[:-1] = ~again[1:]  # the last of equal identities
        lines = self._formatter.lines(batch.take(kept))
        with self._spool.transaction() as connection:
            applied = load_applied(connection, digest)
            if applied and applied[:2] == (first, last):
                return applied.new
            fresh = ~again
            fresh[fresh] = ~self._times.holds(connection, batch.take(fresh))
            added = batch.take(fresh)
            self._times.add(connection, added)
            number = self._spool.append(connection, lines)
            marks = self._marker.mark(connection, batch, number)
            new = np.zeros(len(batch), np.bool_)
            new[order] = fresh
            keep_applied(connection, Applied(first, last, new), digest)
        self._times.committed(added)
        self._marker.committed(marks)
        return new

    def applied(self) -> Applied | None:
        """The batch that was written last, None before the first."""
        with self._spool.transaction("BEGIN") as connection:
            return load_applied(connection)

    def latest(self, numbers: Iterable[int]) -> dict[int, tuple[int, float]]:
        """(event time in ms, value) of the newest reading of each series that has one."""
        found: dict[int, tuple[int, float]] = {}
        for number in numbers:
            name = self._describe(number)
            for row in self._ask(RAW, questions.newest(name), name):
                found[number] = (int(row["time"]), float(row["value"]))
        return found

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
        last_series, last_ms = after or (-1, 0)
        found: list[Row] = []
        for number in sorted(set(numbers)):
            if number < last_series:
                continue
            start_ms = max(from_ms, last_ms + 1) if number == last_series else from_ms
            found += self._rows(number, start_ms, to_ms, limit - len(found))
            if len(found) >= limit:
                break
        return found

    def edges(self, numbers: Iterable[int], from_ms: int, to_ms: int) -> dict[int, tuple[Row, Row]]:
        """The first and the last reading in [from_ms, to_ms) of each series that has one."""
        found: dict[int, tuple[Row, Row]] = {}
        for number in numbers:
            name = self._describe(number)
            asked = questions.readings(name, from_ms, to_ms, 1)
            for first in self._ask(RAW, asked, name):
                asked = questions.readings(name, from_ms, to_ms, 1, newest_first=True)
                (last,) = self._ask(RAW, asked, name)
                found[number] = _row(number, first), _row(number, last)
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
        from raw readings as long as they are kept, before that from the coarsest roll-up that fits.
        p95 is made here of raw readings, all of which are fetched: PERCENTILE of InfluxQL rounds
        the rank, nearest rank takes the next one up.
        """
        offset_ms = self._local_offset_ms
        start_ms = start_of(from_ms, bucket_ms, offset_ms)
        end_ms = start_of(to_ms + bucket_ms - 1, bucket_ms, offset_ms)
        raw_ms = self._now_ms() - self._retention.raw_days * DAY_MS
        raw_ms = start_of(max(raw_ms, start_ms) + bucket_ms - 1, bucket_ms, offset_ms)
        level_ms = max((one for one in LEVELS_MS if bucket_ms % one == 0), default=RAW)
        found: list[Bucket] = []
        for number in sorted(set(numbers)):
            name = self._describe(number)
            pieces: list[Piece] = []
            if level_ms != RAW and start_ms < raw_ms:
                asked = questions.rolled(name, start_ms, min(raw_ms, end_ms))
                pieces += [_piece(row) for row in self._ask(level_ms, asked, name)]
            if p95:
                pieces += [
                    Piece(row.at_ms, 1, row.value, row.value, row.value, row.value)
                    for row in self._rows(number, raw_ms, end_ms)
                ]
            elif raw_ms < end_ms:
                asked = questions.buckets(
                    name, raw_ms, end_ms, bucket_ms=bucket_ms,
                    local_offset_ms=offset_ms if bucket_ms % DAY_MS == 0 else 0,
                )  # fmt: skip
                pieces += [_piece(row) for row in self._ask(RAW, asked, name)]
            found += combine(
                number, pieces, bucket_ms,
                interval_ms=interval_ms,
                local_offset_ms=offset_ms,
                readings_from_ms=raw_ms if p95 else None,
            )  # fmt: skip
        return found

    def roll_up(self, now_ms: int, *, budget_s: float) -> int:
        """Let the Roller, who waits for InfluxDB elsewhere, roll up what changed; returns 0."""
        self._marker.set_checkpoint()
        return 0

    def retain(self, now_ms: int, retention: Retention, *, budget_s: float) -> int:
        """Forget times of which InfluxDB has deleted the readings; returns how many rows went.

        InfluxDB itself deletes by the retention that `govsense influx init` gave it.
        """
        before_ms = now_ms - retention.raw_days * DAY_MS
        with self._spool.transaction() as connection:
            return stored_times.forget_before(connection, before_ms, budget_s=budget_s)

    def _rows(self, number: int, from_ms: int, to_ms: int, limit: int = sys.maxsize) -> list[Row]:
        name = self._describe(number)
        found: list[Row] = []
        while from_ms < to_ms and len(found) < limit:
            asked = min(PAGE, limit - len(found))
            page = self._ask(RAW, questions.readings(name, from_ms, to_ms, asked), name)
            found += [_row(number, row) for row in page]
            if len(page) < asked:
                break
            from_ms = found[-1].at_ms + 1
        return found

    def _ask(self, level_ms: int, question: str, name: SeriesName) -> list[dict[str, float]]:
        return self._server.query(level_ms, question, **questions.values_of(name))


def _row(number: int, row: dict[str, float]) -> Row:
    at_ms = int(row["time"])
    return Row(number, at_ms, float(row["value"]), at_ms + round(row[LAG]))


def _piece(row: dict[str, float]) -> Piece:
    count, mean = round(row["count"]), float(row["mean"])
    least, most, last = float(row["min"]), float(row["max"]), float(row["last"])
    return Piece(int(row["time"]), count, least, most, mean * count, last)

"""Which readings were stored: the event times of every series, as long as raw readings are kept.

A row holds the times of one series in one hour, 4 bytes each, in order of arrival. The index is
exact: it is asked whether an identity is new, which InfluxDB itself cannot tell a writer.
"""

from __future__ import annotations

import sqlite3
import time
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings
from storage.series.levels import HOUR_MS

SCHEMA = """
CREATE TABLE stored_times (
    series INTEGER, hour INTEGER, times BLOB NOT NULL, PRIMARY KEY (series, hour)
) WITHOUT ROWID;
"""
OFFSET = np.dtype("<u4")  # milliseconds since the start of the hour
NEVER = np.iinfo(np.int64).min


class StoredTimes:
    """The times in a file, and the newest of every series in memory."""

    def __init__(self) -> None:
        self._newest = np.full(0, NEVER, np.int64)  # [series]

    def holds(self, connection: sqlite3.Connection, batch: Readings) -> NDArray[np.bool_]:
        """bool[n]: which identities are stored; what is newer than its series is not sought."""
        self._know(connection, int(batch.series.max()) + 1)
        held = np.zeros(len(batch), np.bool_)
        sought = np.flatnonzero(batch.at_ms <= self._newest[batch.series])
        blocks: dict[tuple[int, int], NDArray[np.int64]] = {}
        for n in sought.tolist():
            key = (int(batch.series[n]), int(batch.at_ms[n]) // HOUR_MS)
            if key not in blocks:
                blocks[key] = _times(connection, *key)
            held[n] = bool((blocks[key] == batch.at_ms[n]).any())
        return held

    def add(self, connection: sqlite3.Connection, batch: Readings) -> None:
        """Add identities that are not stored yet; `batch` is sorted by series and time."""
        hours = batch.at_ms // HOUR_MS
        offsets = (batch.at_ms - hours * HOUR_MS).astype(OFFSET)
        keys = zip(batch.series.tolist(), hours.tolist(), range(len(batch)), strict=True)
        rows = []
        for key, group in groupby(keys, lambda key: key[:2]):
            indexes = [n for _, _, n in group]
            rows.append((*key, offsets[indexes[0] : indexes[-1] + 1].tobytes()))
        connection.executemany(
            "INSERT INTO stored_times VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
            " SET times = CAST(times || excluded.times AS BLOB)",
            rows,
        )

    def committed(self, batch: Readings) -> None:
        """The transaction that added these has been committed."""
        np.maximum.at(self._newest, batch.series, batch.at_ms)

    def _know(self, connection: sqlite3.Connection, count: int) -> None:
        """Learn the newest time of series that were not written in this process yet."""
        known = len(self._newest)
        if count > known:
            found = [_newest(connection, number) for number in range(known, count)]
            self._newest = np.concatenate([self._newest, np.array(found, np.int64)])


def forget_before(connection: sqlite3.Connection, before_ms: int, *, budget_s: float) -> int:
    """Delete rows of hours that ended before a time, for about `budget_s`; returns how many."""
    until = time.monotonic() + budget_s
    hour = before_ms // HOUR_MS
    deleted, series = 0, -1
    while time.monotonic() <= until:
        # The oldest row of the next series, found in the key.
        row = connection.execute(
            "SELECT series, hour FROM stored_times WHERE series > ? LIMIT 1", (series,)
        ).fetchone()
        if row is None:
            break
        series, oldest = row
        if oldest < hour:
            deleted += connection.execute(
                "DELETE FROM stored_times WHERE series = ? AND hour < ?", (series, hour)
            ).rowcount
    return deleted


def _newest(connection: sqlite3.Connection, series: int) -> int:
    query = "SELECT hour FROM stored_times WHERE series = ? ORDER BY hour DESC LIMIT 1"
    row = connection.execute(query, (series,)).fetchone()
    return NEVER if row is None else int(_times(connection, series, row[0]).max())


def _times(connection: sqlite3.Connection, series: int, hour: int) -> NDArray[np.int64]:
    query = "SELECT times FROM stored_times WHERE series = ? AND hour = ?"
    row = connection.execute(query, (series, hour)).fetchone()
    blob = b"" if row is None else row[0]
    return np.frombuffer(blob, OFFSET).astype(np.int64) + hour * HOUR_MS

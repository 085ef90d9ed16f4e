"""Which readings came before, in memory: the identity of a reading is its series and event time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings

TIME_BITS = 41  # milliseconds from 1970 to 2039, with ORIGIN_MS to 2089
ORIGIN_MS = 1_577_836_800_000  # 2020-01-01: ingest refuses what is earlier
NEVER = np.iinfo(np.int64).min


class Identities:
    """Exact, 8 bytes a reading.

    A reading that is newer than every one of its series is new, and only noted. Any other is
    looked up in sorted runs, each at least twice as long as the next, so that adding is O(log n)
    amortised and a look-up O(log^2 n).
    """

    def __init__(self) -> None:
        self._newest = np.full(1024, NEVER, np.int64)  # by series
        self._fresh: list[NDArray[np.int64]] = []  # noted and not sorted yet
        self._runs: list[NDArray[np.int64]] = []

    def add(self, readings: Readings) -> NDArray[np.bool_]:
        """bool[n]: which readings are new; of several with one identity the first one is."""
        if not len(readings):
            return np.zeros(0, np.bool_)
        series = readings.series.astype(np.int64)
        self._grow(int(series.max()) + 1)
        keys = series << TIME_BITS | (readings.at_ms - ORIGIN_MS)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        new = np.empty(len(keys), np.bool_)
        new[order] = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        sought = (new & (readings.at_ms <= self._newest[series])).nonzero()[0]
        if len(sought):
            new[sought] = ~self._holds(keys[sought])
        self._fresh.append(keys[new])
        np.maximum.at(self._newest, series, readings.at_ms)
        return new

    def _holds(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        self._sort()
        held = np.zeros(len(keys), np.bool_)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            held |= run[places] == keys
        return held

    def _sort(self) -> None:
        """Put what is fresh into the runs."""
        run = np.sort(np.concatenate([*self._fresh, np.zeros(0, np.int64)]))
        self._fresh.clear()
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)

    def _grow(self, count: int) -> None:
        missing = count - len(self._newest)
        if missing > 0:
            more = np.full(max(missing, len(self._newest)), NEVER, np.int64)
            self._newest = np.concatenate([self._newest, more])

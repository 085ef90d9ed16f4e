"""The newest reading of every series, for the ledger's one row per device."""

from __future__ import annotations

import numpy as np

from devices.catalogue import Catalogue
from devices.readings import Readings

NEVER = -1


class Latest:
    """Event time and value of each series' newest reading, by series number."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._at_ms = np.full(0, NEVER, np.int64)
        self._value = np.zeros(0)

    def put(self, device: str, latest: dict[str, tuple[int, float]]) -> None:
        """Take over what the ledger knows of one device; metrics without a series are left out."""
        self._grow()
        for metric, (at_ms, value) in latest.items():
            number = self._catalogue.find(device, metric)
            if number is not None:
                self._at_ms[number], self._value[number] = at_ms, value

    def take(self, readings: Readings) -> None:
        """Note readings; of one series the newest event time wins, at a tie the later arrival."""
        self._grow()
        in_time = readings.take(np.argsort(readings.at_ms, kind="stable"))
        newest = in_time.take(in_time.at_ms >= self._at_ms[in_time.series])
        self._at_ms[newest.series] = newest.at_ms  # of a repeated index the last one stays
        self._value[newest.series] = newest.value

    def of(self, device: str) -> dict[str, tuple[int, float]]:
        """Metric name to (event time in ms, value) of one device's newest readings."""
        numbers = self._catalogue.numbers_of(device)
        which = list(numbers.values())
        pairs = zip(self._at_ms[which].tolist(), self._value[which].tolist(), strict=True)
        return {name: pair for name, pair in zip(numbers, pairs, strict=True) if pair[0] != NEVER}

    def _grow(self) -> None:
        missing = len(self._catalogue) - len(self._at_ms)
        if missing > 0:
            self._at_ms = np.concatenate([self._at_ms, np.full(missing, NEVER, np.int64)])
            self._value = np.concatenate([self._value, np.zeros(missing)])

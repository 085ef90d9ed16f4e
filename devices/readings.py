"""Readings: the one value type that flows from the wire to the store, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Readings:
    """n readings as columns, in order of arrival.

    series: int32[n], number of the (device, metric) in the Catalogue.
    at_ms: int64[n], event time (device), milliseconds since 1970 UTC.
    received_ms: int64[n], receive time (platform), milliseconds since 1970 UTC.
    value: float64[n], finite, in the metric's unit; booleans are 0.0 and 1.0.
    """

    series: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    received_ms: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.series)

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Readings:
        """The readings that a mask (bool[n]) or an index (intp[k]) names, in that order."""
        return Readings(
            self.series[which], self.at_ms[which], self.received_ms[which], self.value[which]
        )

    @staticmethod
    def of(
        series: list[int], at_ms: list[int], received_ms: list[int], value: list[float]
    ) -> Readings:
        """Columns from Python lists of equal length."""
        return Readings(
            np.array(series, np.int32),
            np.array(at_ms, np.int64),
            np.array(received_ms, np.int64),
            np.array(value, np.float64),
        )

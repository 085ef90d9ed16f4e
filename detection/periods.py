"""Periods: what a series did in each hour, for rules that look further back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from detection.bank import Bank
from detection.rules import rows_of
from detection.seasons import HOUR_MS, UTC_OFFSET_MS, is_day_of_rest
from detection.waves import Wave
from devices.kinds import METRICS

DAY_MS = 86_400_000

BLANK = np.array(
    [(-1, 0, 0.0, np.inf, -np.inf)],
    [("number", "i8"), ("n", "i4"), ("sum", "f8"), ("low", "f8"), ("high", "f8")],
)


class Period(NamedTuple):
    """One finished period of one series. place, at_ms: of the first reading after it."""

    place: int
    series: int
    row: int
    at_ms: int
    start_ms: int
    n: int
    mean: float
    low: float
    high: float

    @property
    def hour(self) -> int:
        """The local hour in which it began, 0 to 23."""
        return (self.start_ms + UTC_OFFSET_MS) % DAY_MS // HOUR_MS

    @property
    def day(self) -> int:
        """The local day in which it began, counted from 1970."""
        return (self.start_ms + UTC_OFFSET_MS) // DAY_MS

    @property
    def working(self) -> bool:
        """Whether that day was Monday to Friday and no public holiday."""
        return not is_day_of_rest(self.day)


class Periods:
    """Sums the metrics of the table up; a period ends with the first reading after it."""

    def __init__(self) -> None:
        self.bank = Bank(BLANK)
        self._length_ms = np.zeros(len(METRICS), np.int64)
        for metric, cells in rows_of("periods.csv"):
            self._length_ms[metric.row] = int(cells["length_s"]) * 1000

    def close(self, wave: Wave) -> Iterator[Period]:
        """The periods that ended with the readings of this wave; takes these into the next."""
        length = self._length_ms[wave.row]
        places = length.nonzero()[0]
        if not len(places):
            return
        series, value, length = wave.series[places], wave.value[places], length[places]
        rows = self.bank.take(series)
        number = wave.at_ms[places] // length
        fresh = number != rows["number"]
        ended, old = places[:0], rows[:0]
        if np.count_nonzero(fresh):
            ended = (fresh & (rows["n"] > 0)).nonzero()[0]
            old = rows[ended]
            rows[fresh] = BLANK[0]
            rows["number"] = number
        rows["n"] += 1
        rows["sum"] += value
        rows["low"] = np.minimum(rows["low"], value)
        rows["high"] = np.maximum(rows["high"], value)
        self.bank.put(series, rows)
        for k, n in enumerate(ended.tolist()):
            yield _period(wave, int(places[n]), old[k], int(length[n]))


def _period(wave: Wave, place: int, row: np.void, length_ms: int) -> Period:
    n = int(row["n"])
    return Period(
        place=place,
        series=int(wave.series[place]),
        row=int(wave.row[place]),
        at_ms=int(wave.at_ms[place]),
        start_ms=int(row["number"]) * length_ms,
        n=n,
        mean=float(row["sum"]) / n,
        low=float(row["low"]),
        high=float(row["high"]),
    )


def heard_share(period: Period, interval_ms: int) -> float:
    """How much of an hour its readings stand for, 0 to 1, by the device's interval."""
    return min(1.0, period.n * interval_ms / HOUR_MS)


def median(values: list[float]) -> float:
    """The middle one, the lower of two."""
    return sorted(values)[(len(values) - 1) // 2]

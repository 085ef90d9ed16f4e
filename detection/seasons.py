"""Seasons: the hour of the day, local, on a working day or on a day of rest, with holidays."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HOUR_MS = 3_600_000
UTC_OFFSET_MS = 7 * HOUR_MS  # Asia/Vientiane, no daylight saving time
HOURS = 24
CELLS = 2 * HOURS  # working days, then days of rest
FIRST, LAST = date(2000, 1, 1), date(2060, 1, 1)  # days before and after count as the nearest
EPOCH = date(1970, 1, 1)
BOTH = np.array([[0], [1]])  # an hour and the next
MEAN, JUMPS, STEPS, TIME = range(4)  # columns of a cell: mean, two usual sizes, time learned (s)


class Seasons(NamedTuple):
    """Where n times stand between the middles of two hours.

    hour: int64[n], local hours since 1970 up to the middle of the hour before. share: float64[n],
    how far from there to the middle of the next. cells: int64[2, n], of these two hours, 0 to 47.
    """

    hour: NDArray[np.int64]
    share: NDArray[np.float64]
    cells: NDArray[np.int64]

    def between(
        self, before: NDArray[np.float64], after: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """float64[..., n]: what lies between values of the hour before and of the next."""
        return before + self.share * (after - before)

    def take(self, which: NDArray[np.intp]) -> Seasons:
        """Some of the times."""
        return Seasons(self.hour[which], self.share[which], self.cells[:, which])


class Calendar:
    """Cells by time. Days of rest are Saturday, Sunday and the table of holidays."""

    def __init__(self) -> None:
        self._first_hour = (FIRST - EPOCH).days * HOURS
        cells = _cells()
        self._hours, self._cells = cells.shape[1], cells.ravel()

    def seasons(self, at_ms: NDArray[np.int64], week: NDArray[np.bool_]) -> Seasons:
        """Event times in milliseconds; week: whether days of rest are told from working days."""
        place = at_ms.astype(np.float64) * (1 / HOUR_MS) + (UTC_OFFSET_MS / HOUR_MS - 0.5)
        whole = np.trunc(place)
        hour = whole.astype(np.int64)
        n = _within(hour - self._first_hour, self._hours - 2)
        n += week * self._hours
        return Seasons(hour, place - whole, self._cells.take(n + BOTH))

    def cells(self, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cell of the hour that each event time is in, days of rest told apart; int64[n]."""
        n = (at_ms + UTC_OFFSET_MS) // HOUR_MS - self._first_hour
        cells: NDArray[np.int64] = self._cells.take(_within(n, self._hours - 1) + self._hours)
        return cells


def holidays() -> list[date]:
    """Every public holiday of the table, from FIRST to LAST."""
    text = (files("detection") / "data" / "holidays.csv").read_text("utf-8")
    found = []
    for row in csv.DictReader(text.splitlines()):
        years = [int(row["year"])] if row["year"] else range(FIRST.year, LAST.year)
        for year in years:
            start = date(year, int(row["month"]), int(row["day"]))
            found += [start + timedelta(n) for n in range(int(row["days"]))]
    return found


def is_day_of_rest(day: int) -> bool:
    """Whether a local day, counted from 1970, is a Saturday, a Sunday or a public holiday."""
    rest = _days_of_rest()
    return bool(rest[min(max(day - (FIRST - EPOCH).days, 0), len(rest) - 1)])


@cache
def _days_of_rest() -> NDArray[np.bool_]:
    """Whether each day from FIRST to LAST is one."""
    days = (LAST - FIRST).days
    rest = np.array([_weekend(FIRST + timedelta(n)) for n in range(days)])
    for day in holidays():
        rest[(day - FIRST).days] = True
    rest.setflags(write=False)
    return rest


@cache
def _cells() -> NDArray[np.int64]:
    """The cell of every hour from FIRST to LAST, days of rest as others and told apart."""
    rest = _days_of_rest()
    hours = np.arange(len(rest) * HOURS)
    daily = hours % HOURS
    cells = np.stack([daily, daily + HOURS * rest[hours // HOURS]])
    cells.setflags(write=False)
    return cells


def _within(n: NDArray[np.int64], last: int) -> NDArray[np.int64]:
    """What of n lies outside 0 to last becomes the nearer end; `clip` takes three times as long."""
    return np.maximum(np.minimum(n, last), 0)


def _weekend(day: date) -> bool:
    return day.weekday() >= 5

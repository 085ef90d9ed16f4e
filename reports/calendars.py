"""When a report counts: always, or in working hours with their holidays, which are data."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Literal

import holidays
import numpy as np
from numpy.typing import NDArray

from detection.outages import BIN_MS
from reports.periods import DAY_MS

CalendarName = Literal["24x7", "working-hours"]
BINS_A_DAY = DAY_MS // BIN_MS
MINUTES_A_BIN = BIN_MS // 60_000
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
YES_NO = {"yes": True, "no": False}

Hours = tuple[int, int]  # from, to before: minutes after local midnight


class CalendarError(ValueError):
    """A calendar's file cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class DayOff:
    """A day without working hours, and why."""

    day: date
    name: str


@dataclass(frozen=True)
class WorkingHours:
    """Hours by weekday, and the days that are not as their weekday says.

    changed: open or not, by day, with the reason; it wins over the holidays. holidays: by day;
    None for those of Laos as the package knows them.
    """

    hours: Mapping[int, Sequence[Hours]]
    changed: Mapping[date, tuple[bool, str]] = field(default_factory=dict)
    holidays: Mapping[date, str] | None = None

    def mask(self, days: Sequence[date]) -> NDArray[np.bool_]:
        """bool[288 * days]: the bins that count, of whole local days in order."""
        off = {one.day for one in self.days_off(days)}
        out = np.zeros((len(days), BINS_A_DAY), np.bool_)
        for row, day in enumerate(days):
            for start, end in self._hours_of(day, off):
                out[row, start // MINUTES_A_BIN : end // MINUTES_A_BIN] = True
        return out.ravel()

    def days_off(self, days: Sequence[date]) -> list[DayOff]:
        """Which of these days would have hours by their weekday and have none."""
        years = {day.year for day in days}
        named = _holidays(years) if self.holidays is None else self.holidays
        found = []
        for day in days:
            is_open, why = self.changed.get(day, (day not in named, named.get(day, "")))
            if not is_open and day.weekday() in self.hours:
                found.append(DayOff(day, why))
        return found

    def _hours_of(self, day: date, off: set[date]) -> Sequence[Hours]:
        if day in off:
            return ()
        weekday = day.weekday()
        if weekday not in self.hours and self.changed.get(day, (False, ""))[0]:
            weekday = min(self.hours, default=0)  # a weekend that is worked: as on the first day
        return self.hours.get(weekday, ())


def read_working_hours(changes: Path | None = None) -> WorkingHours:
    """The hours of the package and the changed days of a file: date, open (yes, no), name.

    Raises CalendarError.
    """
    hours: dict[int, list[Hours]] = {}
    for row in _rows("working_hours.csv"):
        span = (minutes_of(row["from"]), minutes_of(row["to"]))
        hours.setdefault(WEEKDAYS.index(row["weekday"]), []).append(span)
    return WorkingHours(hours, {} if changes is None else _changes(changes))


def minutes_of(clock: str) -> int:
    """Minutes after midnight of a time like 08:30. Raises ValueError."""
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _changes(file: Path) -> dict[date, tuple[bool, str]]:
    try:
        rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as exc:
        raise CalendarError(f"the calendar {file} cannot be read: {exc}") from exc
    found = {}
    for line, row in enumerate(rows, 2):
        try:
            found[date.fromisoformat(row["date"])] = (YES_NO[row["open"]], row["name"] or "")
        except (KeyError, TypeError, ValueError) as exc:
            raise CalendarError(
                f"{file}, line {line}: a changed day is `date,open,name` with a date like"
                f" 2026-04-13 and yes or no, got {row}"
            ) from exc
    return found


def _holidays(years: set[int]) -> dict[date, str]:
    """Public holidays of Laos by the `holidays` package, without those on which offices work."""
    worked = tuple(row["begins"] for row in _rows("holidays_worked.csv"))
    named = holidays.country_holidays("LA", years=years, language="en_US")
    return {day: name for day, name in named.items() if not name.startswith(worked)}


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("reports") / "data" / name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))

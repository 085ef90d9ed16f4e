"""The time that a report is about: a local year, month or day, or any whole five minutes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from detection.outages import BIN_MS

DAY_MS = 86_400_000
LOCAL_MS = 7 * 3_600_000  # Asia/Vientiane is UTC+7, without daylight saving time
LONGEST_DAYS = 366
EPOCH = datetime(1970, 1, 1)
NAME = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
FIRST_YEAR, LAST_YEAR = 2000, 2099


class PeriodError(ValueError):
    """A period that no report can be about; the text says why."""


@dataclass(frozen=True, slots=True)
class Period:
    """From start_ms to before end_ms. name: as it was asked for, "" for a range."""

    name: str
    start_ms: int
    end_ms: int

    @property
    def days(self) -> list[date]:
        """The local days that it touches, in order."""
        first, last = local_date(self.start_ms), local_date(self.end_ms - 1)
        return [first + timedelta(n) for n in range((last - first).days + 1)]


def period_named(name: str) -> Period:
    """A local year (2026), month (2026-10) or day (2026-10-05). Raises PeriodError."""
    match = NAME.fullmatch(name)
    if match is None:
        raise PeriodError("is no year, month or day")
    year, month, day = (None if part is None else int(part) for part in match.groups())
    assert year is not None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise PeriodError(f"is not between the years {FIRST_YEAR} and {LAST_YEAR}")
    try:
        first = date(year, month or 1, day or 1)
    except ValueError as exc:
        raise PeriodError("is not in the calendar") from exc
    if month is None:
        after = date(year + 1, 1, 1)
    elif day is None:
        after = date(year + month // 12, month % 12 + 1, 1)
    else:
        after = first + timedelta(1)
    return Period(name, midnight_ms(first), midnight_ms(after))


def period_between(start_ms: int, end_ms: int) -> Period:
    """A range of whole five minutes. Raises PeriodError."""
    if start_ms % BIN_MS or end_ms % BIN_MS:
        raise PeriodError("is not at a whole five minutes")
    if end_ms <= start_ms:
        raise PeriodError("is not after its start")
    if end_ms - start_ms > LONGEST_DAYS * DAY_MS:
        raise PeriodError(f"is more than {LONGEST_DAYS} days after its start")
    return Period("", start_ms, end_ms)


def midnight_ms(day: date) -> int:
    """When a local day begins."""
    return (day - EPOCH.date()).days * DAY_MS - LOCAL_MS


def local_date(at_ms: int) -> date:
    """The local day of a time."""
    return (EPOCH + timedelta(milliseconds=at_ms + LOCAL_MS)).date()


def iso(at_ms: int) -> str:
    """A time as `2026-10-05T01:30:00.000Z`."""
    return (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds") + "Z"


def parse_iso(text: str) -> int:
    """Back from `iso`. Raises ValueError."""
    at = datetime.fromisoformat(text.removesuffix("Z"))
    return (at - EPOCH) // timedelta(milliseconds=1)

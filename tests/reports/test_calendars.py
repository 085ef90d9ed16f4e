"""Working hours: weekdays, the holidays of Laos, and what a file says against them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from reports.calendars import CalendarError, DayOff, read_working_hours
from reports.periods import Period, PeriodError, iso, period_between, period_named

DAY_BINS = 84  # 7 hours


def test_a_week() -> None:
    """08:00 to 12:00 and 13:00 to 16:00, Monday to Friday."""
    monday = date(2026, 10, 5)
    days = [date.fromordinal(monday.toordinal() + n) for n in range(7)]
    mask = read_working_hours().mask(days).reshape(7, 288)
    assert mask.sum(axis=1).tolist() == [DAY_BINS] * 5 + [0, 0]
    assert [n * 5 / 60 for n in mask[0].nonzero()[0][[0, 47, 48, 83]]] == [
        8.0,
        11 + 55 / 60,
        13.0,
        15 + 55 / 60,
    ]


def test_holidays_of_laos() -> None:
    """Those of the package, but not the day that is free for women only."""
    hours = read_working_hours()
    named = [one.day for month in ("2026-03", "2026-04", "2026-05")
             for one in hours.days_off(period_named(month).days)]  # fmt: skip
    assert named == [
        date(2026, 4, 14),
        date(2026, 4, 15),
        date(2026, 4, 16),
        date(2026, 5, 1),
    ]


def test_a_file_adds_days_and_takes_them(tmp_path: Path) -> None:
    """A bridge day, a holiday that is worked, a Saturday that makes up for it."""
    file = tmp_path / "days.csv"
    file.write_text(
        "date,open,name\n2026-04-13,no,Pi Mai by notice\n2026-04-16,yes,\n2026-04-18,yes,made up\n"
    )
    hours = read_working_hours(file)
    days = period_named("2026-04").days
    off = hours.days_off(days)
    assert off[0] == DayOff(date(2026, 4, 13), "Pi Mai by notice")
    assert [one.day.day for one in off] == [13, 14, 15]
    assert hours.mask([date(2026, 4, 18)]).sum() == DAY_BINS


@pytest.mark.parametrize(
    "text",
    ["date,open,name\n2026-13-01,no,x\n", "date,open,name\n2026-04-01,maybe,x\n", "day\n1\n"],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    """And so is one that is not there."""
    file = tmp_path / "days.csv"
    file.write_text(text)
    with pytest.raises(CalendarError, match="line 2"):
        read_working_hours(file)
    with pytest.raises(CalendarError, match="cannot be read"):
        read_working_hours(tmp_path / "none.csv")


def test_periods_are_local() -> None:
    """A month begins at 17:00 UTC of the day before."""
    period = period_named("2026-12")
    assert (iso(period.start_ms), iso(period.end_ms)) == (
        "2026-11-30T17:00:00.000Z",
        "2026-12-31T17:00:00.000Z",
    )
    assert len(period.days) == 31
    assert len(period_named("2028").days) == 366
    assert len(period_named("2026-10-05").days) == 1


@pytest.mark.parametrize("name", ["", "2026-13", "2026-02-30", "26", "2026-1", "1999", "٢٠٢٦", "x"])
def test_a_period_that_is_none(name: str) -> None:
    """Is refused with a sentence."""
    with pytest.raises(PeriodError):
        period_named(name)


def test_ranges() -> None:
    """Whole five minutes, forward, at most a year."""
    assert period_between(0, 300_000) == Period("", 0, 300_000)
    for start_ms, end_ms in ((1, 300_000), (0, 299_999), (300_000, 300_000), (0, 10**11)):
        with pytest.raises(PeriodError):
            period_between(start_ms, end_ms)

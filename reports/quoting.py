"""The rules that a report quotes: all that it takes to make it again, whatever is set by then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from detection.availability import ENOUGH_COVERAGE, MINUTES
from reports.calendars import CalendarName, Hours, WorkingHours, minutes_of
from reports.rules import Rules

SETTINGS = ("contracted_floor_pct", "least_tests", "settling_hours")  # of `rules`; the rest is ours

Quoted = dict[str, Any]


class _Span(msgspec.Struct):
    weekday: int
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")


class _Day(msgspec.Struct):
    date: date
    name: str


class _Calendar(msgspec.Struct):
    hours: list[_Span] = []
    days_off: list[_Day] = []
    days_added: list[_Day] = []


class _Rules(msgspec.Struct):
    contracted_floor_pct: float
    least_tests: int
    settling_hours: float


def rules_as_quoted(rules: Rules) -> Quoted:
    """The member `rules` of a report."""
    return {
        "bin_minutes": int(MINUTES),
        "coverage_needed": ENOUGH_COVERAGE,
        "contracted_floor_pct": float(rules.floor_pct),
        "least_tests": rules.least_tests,
        "settling_hours": float(rules.settling_ms / 3_600_000),
    }


def calendar_as_quoted(
    name: CalendarName, days: Sequence[date], hours: WorkingHours, minutes_so_far: int
) -> Quoted:
    """The member `calendar` of a report over these days."""
    found: Quoted = {"name": name, "zone": "Asia/Vientiane", "minutes_so_far": minutes_so_far}
    if name == "working-hours":
        found["hours"] = [
            {"weekday": weekday, "from": _clock(start), "to": _clock(end)}
            for weekday in sorted(hours.hours)
            for start, end in hours.hours[weekday]
        ]
        found["days_off"] = [
            {"date": one.day.isoformat(), "name": one.name} for one in hours.days_off(days)
        ]
        found["days_added"] = [
            {"date": day.isoformat(), "name": why}
            for day, (is_open, why) in sorted(hours.changed.items())
            if is_open and day in days
        ]
    return found


def rules_of(rules: Quoted, calendar: Quoted) -> Rules:
    """The rules that a report was made by, as far as its figures depend on them.

    Raises ValueError, OverflowError or msgspec.ValidationError where they are none.
    """
    said = msgspec.convert(rules, _Rules)
    return Rules(
        _working_hours(msgspec.convert(calendar, _Calendar)),
        settling_ms=round(said.settling_hours * 3_600_000),
        floor_pct=said.contracted_floor_pct,
        least_tests=said.least_tests,
    )


def changed_settings(rules: Quoted, calendar: Quoted, now: tuple[Quoted, Quoted]) -> list[str]:
    """In which settings a report differs from today's `rules` and `calendar`, in words."""
    rules_now, calendar_now = now
    found = [
        f"reports.{name} was {rules[name]:g} and is {rules_now[name]:g}"
        for name in SETTINGS
        if f"{rules[name]:.6f}" != f"{rules_now[name]:.6f}"
    ]
    if calendar.get("hours") != calendar_now.get("hours"):
        found.append("the working hours of the week are others")
    for name, what in {"days_off": "days off", "days_added": "days made up for"}.items():
        found += _changed_days(what, calendar.get(name, []), calendar_now.get(name, []))
    return found


def _changed_days(what: str, then: list[Quoted], now: list[Quoted]) -> Iterator[str]:
    for how, some, others in (("then only", then, now), ("today only", now, then)):
        days = [f"{one['date']} {one['name']}".strip() for one in some if one not in others]
        if days:
            yield f"{what} (reports.calendar_file, and the holidays known) {how}: {', '.join(days)}"


def _working_hours(said: _Calendar) -> WorkingHours:
    hours: dict[int, list[Hours]] = {}
    for one in said.hours:
        hours.setdefault(one.weekday, []).append((minutes_of(one.start), minutes_of(one.end)))
    changed: Mapping[date, tuple[bool, str]] = {
        **{one.date: (False, one.name) for one in said.days_off},
        **{one.date: (True, one.name) for one in said.days_added},
    }
    return WorkingHours(hours, changed, holidays={})


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"

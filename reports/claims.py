"""What a file says of itself: what it is about, by which rules, how it stands, its digest."""

from __future__ import annotations

import csv
import html
import re
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from reports.as_csv import MARK
from reports.calendars import CalendarName
from reports.connectivity import SCHEMA, Question
from reports.forms import Format
from reports.issuing import FINAL, PROVISIONAL, Asked, Standing, loaded
from reports.periods import Period, iso, parse_iso, period_between, period_named
from reports.quoting import Quoted, rules_of
from reports.spreadsheets import BOM
from reports.texts import Language
from storage.ledger.report_data import Within

META = re.compile(r'<meta name="govsense-report" content="([^"]*)">')
LANG = re.compile(r'<html lang="(lo|en)">')


class NoReportError(ValueError):
    """A file that is no report; the text says why."""


@dataclass(frozen=True)
class Claim:
    """What a file says of itself.

    quoted: its rules and its calendar; None in a table or page of a version that told none.
    form: of a table or page, "" where it says none.
    """

    format: Format
    language: Language
    bom: bool
    asked: Asked
    standing: Standing
    until_ms: int
    digest: str
    schema: int
    quoted: tuple[Quoted, Quoted] | None
    form: str

    @property
    def question(self) -> Question:
        """What it was asked about."""
        return Question(self.asked.within, self.asked.period, self.asked.calendar, self.until_ms)


def claim_of(content: bytes) -> Claim:
    """What a file says of itself. Raises NoReportError."""
    try:
        text = content.decode()
        form, said = _statement(text)
        calendar = said["calendar"]
        name = calendar["name"] if isinstance(calendar, dict) else calendar
        if name not in get_args(CalendarName):
            raise NoReportError(f"its calendar {name!r} is none")
        lang = LANG.search(text)
        return Claim(
            form,
            "lo" if lang is not None and lang[1] == "lo" else "en",
            text.startswith(BOM),
            Asked(Within(**msgspec.convert(said["scope"], dict[str, str])), _period(said), name),
            _standing(said),
            _time(said["data_until"]),
            str(said["digest"]),
            said.get("schema", SCHEMA),
            _quoted(said),
            "" if form == "json" else str(said.get("form", "")),
        )
    except NoReportError:
        raise
    except (UnicodeDecodeError, KeyError, TypeError, ValueError, OverflowError) as exc:
        raise NoReportError(f"it does not say what it is about: {exc!r}") from exc


def _quoted(said: dict[str, Any]) -> tuple[Quoted, Quoted] | None:
    if "rules" not in said:
        return None
    rules_of(said["rules"], said["calendar"])
    return said["rules"], said["calendar"]


def _statement(text: str) -> tuple[Format, dict[str, Any]]:
    if text.startswith("{"):
        return "json", loaded(text)
    meta = META.search(text)
    if meta is not None:
        return "html", loaded(html.unescape(meta[1]))
    first = next(csv.reader(text.removeprefix(BOM).splitlines()[:1]), [])
    if len(first) == 2 and first[0] == MARK:
        return "csv", loaded(first[1])
    raise NoReportError("it is no connectivity report in JSON, CSV or HTML")


def _standing(said: dict[str, Any]) -> Standing:
    if said["status"] not in (PROVISIONAL, FINAL):
        raise NoReportError(f"its status {said['status']!r} is none")
    _time(said["as_of"])
    return msgspec.convert({k: said[k] for k in ("status", "revision", "as_of")}, Standing)


def _time(text: str) -> int:
    at_ms = parse_iso(text)
    if iso(at_ms) != text:
        raise NoReportError(f"its time {text!r} is not written as ours are")
    return at_ms


def _period(said: dict[str, Any]) -> Period:
    period = said["period"]
    if period["name"]:
        return period_named(period["name"])
    return period_between(parse_iso(period["start"]), parse_iso(period["end"]))

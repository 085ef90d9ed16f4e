"""Whether a report says what the stored data says: it is made again, and every byte compared."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, get_args

import msgspec

from reports.as_csv import MARK, as_csv
from reports.as_html import as_html
from reports.calendars import CalendarName
from reports.canonical import canonical
from reports.connectivity import Question, report_of
from reports.gathering import gather
from reports.issuing import FINAL, PROVISIONAL, Asked, Standing, loaded, parts_of, signed
from reports.periods import Period, iso, parse_iso, period_between, period_named
from reports.rules import Rules
from reports.spreadsheets import BOM
from reports.texts import Language
from storage.ledger import report_data
from storage.ledger.migrations import Ledger
from storage.ledger.report_data import Within

Format = Literal["json", "csv", "html"]
SHOWN = 20  # differences that are named
BEFORE, BEHIND = 30, 50  # characters that are shown of a line about a difference
META = re.compile(r'<meta name="govsense-report" content="([^"]*)">')
LANG = re.compile(r'<html lang="(lo|en)">')


class NoReportError(ValueError):
    """A file that is no report; the text says why."""


@dataclass(frozen=True)
class Claim:
    """What a file says of itself."""

    format: Format
    language: Language
    bom: bool
    asked: Asked
    standing: Standing
    until_ms: int
    digest: str


def verify(content: bytes, ledger: Ledger, rules: Rules) -> list[str]:
    """What is wrong with a report, in sentences; nothing where every byte is as it must be.

    It is made again from the single bins, not from the days that are kept of them. A final one
    must also have been issued here. Raises NoReportError where the file does not say what it is.
    """
    claim = claim_of(content)
    asked, period = claim.asked, claim.asked.period
    sources, _ = gather(ledger, asked.within, period, from_bins=True)
    question = Question(asked.within, period, asked.calendar, claim.until_ms)
    made, digest = signed(parts_of(report_of(question, sources, rules)), claim.standing)
    found = list(_standing_problems(claim, ledger))
    if claim.digest != digest:
        found.append(f"the digest is {claim.digest}; the stored data gives {digest}")
    expected = rendered(loaded(made), claim.format, claim.language, bom=claim.bom)
    if content != expected.encode():
        found += _differences(claim, content.decode(), expected)
    return found


def rendered(report: dict[str, Any], form: Format, language: Language, *, bom: bool) -> str:
    """A report in a format other than its own text."""
    if form == "csv":
        return as_csv(report, bom=bom)
    if form == "html":
        return as_html(report, language)
    return canonical(report)


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
        )
    except NoReportError:
        raise
    except (UnicodeDecodeError, KeyError, TypeError, ValueError, OverflowError) as exc:
        raise NoReportError(f"it does not say what it is about: {exc!r}") from exc


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


def _standing_problems(claim: Claim, ledger: Ledger) -> Iterator[str]:
    standing = claim.standing
    if standing.status == PROVISIONAL and standing.revision == 0:
        return
    if standing.status != FINAL:
        yield f"it is provisional and has revision {standing.revision}"
        return
    if claim.until_ms != claim.asked.period.end_ms:
        yield "it is final and its data does not reach to the end of its period"
    with ledger.read() as connection:
        kept = report_data.issued(connection, claim.asked.key, standing.revision)
        last = report_data.last_issued(connection, claim.asked.key)
    if kept is None:
        yield f"revision {standing.revision} was never issued here"
    elif kept.digest != claim.digest:
        yield f"revision {standing.revision} was issued here with the digest {kept.digest}"
    elif loaded(kept.document)["digest"] != kept.digest or not _is_intact(kept.document):
        yield f"revision {standing.revision} as it is kept here was changed"
    if last is not None and last.revision > standing.revision:
        yield f"revision {last.revision} has taken its place"


def _is_intact(document: str) -> bool:
    tree = loaded(document)
    digest = tree.pop("digest")
    return signed(parts_of(tree), Standing(tree["status"], tree["revision"], tree["as_of"])) == (
        document,
        digest,
    )


def _differences(claim: Claim, got: str, expected: str) -> list[str]:
    """Where a file and what the data gives differ: members of JSON, lines of the others."""
    if claim.format == "json":
        found = list(_in_trees("", loaded(got), loaded(expected)))
        said = "the text is not in its canonical form: it was written anew by another program"
        return (found or [said])[:SHOWN]
    lines = zip_longest(got.split("\n"), expected.split("\n"))
    return [
        f"line {n}, {_around(ours, theirs)}"
        for n, (ours, theirs) in enumerate(lines, 1)
        if ours != theirs
    ][:SHOWN]


def _around(got: str | None, expected: str | None) -> str:
    """Both from a little before the first character in which they differ."""
    if got is None or expected is None:
        return f"it says {_shown(got)}; the stored data gives {_shown(expected)}"
    pairs = enumerate(zip(got, expected, strict=False))
    at = next((n for n, (ours, theirs) in pairs if ours != theirs), min(len(got), len(expected)))
    begin, end = max(0, at - BEFORE), at + BEHIND
    shown = got[begin:end], expected[begin:end]
    return f"character {at + 1}: it says {shown[0]!r}; the stored data gives {shown[1]!r}"


def _in_trees(place: str, got: Any, expected: Any) -> Iterator[str]:
    if isinstance(got, dict) and isinstance(expected, dict):
        for name in sorted({*got, *expected}):
            yield from _in_trees(f"{place}.{name}".lstrip("."), got.get(name), expected.get(name))
    elif isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        for n, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
            name = ours.get("id", n) if isinstance(ours, dict) else n
            yield from _in_trees(f"{place}[{name}]", ours, theirs)
    elif got != expected or type(got) is not type(expected):
        yield f"{place}: it says {_shown(got)}; the stored data gives {_shown(expected)}"


def _shown(value: Any) -> str:
    return repr(value)[:200]

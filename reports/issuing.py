"""Reports as they are given away: provisional, then final with a revision; each with its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from reports.calendars import CalendarName
from reports.canonical import canonical
from reports.connectivity import Document, Question, report_of
from reports.gathering import gather
from reports.periods import DAY_MS, Period, iso
from reports.rules import Rules
from storage.ledger import report_data
from storage.ledger.migrations import Ledger
from storage.ledger.report_data import Issued, Within

PROVISIONAL, FINAL = "provisional", "final"


@dataclass(frozen=True)
class Asked:
    """What somebody wants a report about."""

    within: Within
    period: Period
    calendar: CalendarName

    @property
    def key(self) -> str:
        """What its revisions are kept under."""
        scope = {name: value for name, value in self.within._asdict().items() if value}
        times = {"start": iso(self.period.start_ms), "end": iso(self.period.end_ms)}
        return canonical({"calendar": self.calendar, "scope": scope, **times})


@dataclass(frozen=True)
class Standing:
    """How a report stands: its revision (0 while provisional), and as of when it was made."""

    status: str
    revision: int
    as_of: str


def report_now(ledger: Ledger, asked: Asked, rules: Rules, now_ms: int) -> str:
    """The report as canonical JSON. A final one is kept as issued, and a new revision where the
    data that it is made of has changed since; it stays as it is once that data begins to go."""
    if asked.period.start_ms < now_ms - rules.kept_days * DAY_MS:
        with ledger.read() as connection:
            kept = report_data.last_issued(connection, asked.key)
        if kept is not None:
            return kept.document
    sources, newest_ms = gather(ledger, asked.within, asked.period)
    is_final = now_ms >= asked.period.end_ms + rules.settling_ms
    until_ms = asked.period.end_ms if is_final else _until(asked.period, newest_ms)
    question = Question(asked.within, asked.period, asked.calendar, until_ms)
    parts = parts_of(report_of(question, sources, rules))
    if not is_final:
        return signed(parts, Standing(PROVISIONAL, 0, iso(now_ms)))[0]
    return _issue(ledger, asked, parts, now_ms)


def revision_of(ledger: Ledger, asked: Asked, revision: int) -> str | None:
    """A revision as it was issued, None where there is none."""
    with ledger.read() as connection:
        found = report_data.issued(connection, asked.key, revision)
    return None if found is None else found.document


def parts_of(document: Document) -> dict[str, str]:
    """The canonical text of each member, for `signed`."""
    return {name: canonical(value) for name, value in document.items()}


def signed(parts: dict[str, str], standing: Standing) -> tuple[str, str]:
    """(canonical JSON with its digest, that digest)."""
    whole = {**parts, **parts_of(vars(standing))}
    digest = hashlib.sha256(_joined(whole).encode()).hexdigest()
    return _joined({**whole, "digest": canonical(digest)}), digest


def loaded(text: str | bytes) -> dict[str, Any]:
    """A report as a tree."""
    tree: dict[str, Any] = msgspec.json.decode(text, type=dict)
    return tree


def _issue(ledger: Ledger, asked: Asked, parts: dict[str, str], now_ms: int) -> str:
    content = hashlib.sha256(_joined(parts).encode()).hexdigest()
    while True:
        with ledger.read() as connection:
            before = report_data.last_issued(connection, asked.key)
        if before is not None and before.content_digest == content:
            return before.document
        revision = 1 if before is None else before.revision + 1
        text, digest = signed(parts, Standing(FINAL, revision, iso(now_ms)))
        made = Issued(asked.key, revision, now_ms, content, digest, text)
        kept = report_data.keep_issued(ledger, made)
        if kept.content_digest == content:  # else another process was first, with other data
            return kept.document


def _until(period: Period, newest_ms: int | None) -> int:
    return max(period.start_ms, min(period.end_ms, newest_ms or 0))


def _joined(parts: dict[str, str]) -> str:
    inside = (f"{canonical(name)}:{text}" for name, text in sorted(parts.items()))
    return "{" + ",".join(inside) + "}"

"""Whether a report says what the stored data says, by the rules that it quotes.

It is made again, and every byte compared. What cannot be told here is not called a forgery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from reports.claims import Claim, NoReportError, claim_of
from reports.connectivity import SCHEMA, quoted_of, report_of
from reports.differences import in_json, in_lines
from reports.forms import form_now, rendered
from reports.gathering import gather
from reports.issuing import FINAL, PROVISIONAL, Standing, loaded, parts_of, signed
from reports.periods import iso
from reports.quoting import SETTINGS, Quoted, changed_settings, rules_as_quoted, rules_of
from reports.rules import Rules
from storage.ledger import report_data
from storage.ledger.migrations import Ledger
from storage.ledger.report_data import Issued

__all__ = ["Findings", "NoReportError", "examine", "verify"]

MINUTE_MS = 60_000
ITSELF_CHANGED = (
    "the file is as it was issued here; what it is made of has changed since. After late data or a"
    " change of the registry `govsense report issue` makes the next revision of it; otherwise"
    " somebody changed the ledger"
)


@dataclass(frozen=True)
class Findings:
    """Sentences about a report. wrong: what is not as it was stored, issued or written.

    untold: why it cannot be said here that it is right, though nothing in it is known to be wrong,
    and what to do. notes: about one that may well be right.
    """

    wrong: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Record(NamedTuple):
    """What is kept of a final report: this revision as it was issued, and the last one."""

    this: Issued | None
    last: Issued | None


def verify(content: bytes, ledger: Ledger, rules: Rules) -> list[str]:
    """Why a report is not to be relied on, in sentences; nothing where every byte is as it must be.

    Raises NoReportError where the file does not say what it is.
    """
    found = examine(content, ledger, rules)
    return [*found.wrong, *found.untold]


def examine(content: bytes, ledger: Ledger, rules: Rules) -> Findings:
    """What there is to say of a report. rules: today's, to tell how those that it quotes differ.

    It is made again by its own rules from the single bins, not from the days that are kept of
    them. A final one must also have been issued here; where it cannot be made again, it is
    compared with what was issued. Raises NoReportError where the file does not say what it is.
    """
    claim = claim_of(content)
    record = _record_of(claim, ledger)
    found = Findings(list(_standing_problems(claim, record)))
    found.untold.extend([*_other_arithmetic(claim, rules), *_replaced(claim, record)])
    if found.untold:
        found.wrong.extend(_not_its_digest(claim, content.decode()))
        expected = None if record.this is None else record.this.document
    else:
        expected = _made_again(claim, record, ledger, rules, found)
    if expected is not None:
        _compare(claim, content.decode(), expected, found)
    if found.wrong and _is_as_issued(claim, content.decode(), record.this):
        found.wrong.insert(0, ITSELF_CHANGED)
    _tell_settings(claim, rules, found)
    return found


def _made_again(
    claim: Claim, record: _Record, ledger: Ledger, rules: Rules, found: Findings
) -> str | None:
    """The report by the stored data; that which was issued, if any, where the data is gone."""
    sources, _ = gather(ledger, claim.asked.within, claim.asked.period, from_bins=True)
    document = report_of(claim.question, sources, _own_rules(claim, record, rules))
    made, digest = signed(parts_of(document), claim.standing)
    if claim.digest == digest:
        return made
    with ledger.read() as connection:
        since_ms = report_data.kept_since(connection)
    if not found.wrong and since_ms is not None and _had_from(claim, record) < since_ms:
        found.untold.append(
            f"it cannot be made again: bins before {iso(since_ms)} are not kept any more"
            " (storage.bin_days); it is compared with what was issued here, if anything was."
            " A backup of that time can still prove it"
        )
        return None if record.this is None else record.this.document
    found.wrong.append(f"the digest is {claim.digest}; the stored data gives {digest}")
    return made


def _had_from(claim: Claim, record: _Record) -> int:
    """From when on the report has data, at the earliest; of a provisional one when it ends."""
    if record.this is None:
        return claim.until_ms - 1
    sites = loaded(record.this.document)["sites"]
    before = min((one["minutes"]["not_started"] for one in sites), default=0)
    return claim.asked.period.start_ms + int(before) * MINUTE_MS


def _own_rules(claim: Claim, record: _Record, rules: Rules) -> Rules:
    """The rules that it quotes, or of an early table or page those that it was issued with."""
    if claim.quoted is not None:
        return rules_of(*claim.quoted)
    if record.this is None:
        return rules
    kept = loaded(record.this.document)
    return rules_of(kept["rules"], kept["calendar"])


def _compare(claim: Claim, got: str, expected: str, found: Findings) -> None:
    """A file with what its text must be; a table or page only with one of the same form."""
    form = form_now(claim.format)
    if claim.form != form:
        found.untold.append(
            f"this {claim.format.upper()} was written by another version of govsense (form"
            f" {claim.form or 'not told'}; here {form}): its words and figures cannot be compared"
            " byte by byte, and it may or may not have been changed. Ask for it anew in JSON or in"
            f" this form, with revision={claim.standing.revision} where it is final, and compare"
            " the figures; or verify it with the version that wrote it"
        )
        return
    text = rendered(loaded(expected), claim.format, claim.language, bom=claim.bom)
    if got != text:
        found.wrong.extend((in_json if claim.format == "json" else in_lines)(got, text))


def _tell_settings(claim: Claim, rules: Rules, found: Findings) -> None:
    if claim.quoted is None:
        return
    changed = changed_settings(*claim.quoted, quoted_of(claim.question, rules))
    if not changed:
        return
    said = f"it was made with other settings than today's: {'; '.join(changed)}"
    if found.wrong:
        found.notes.append(said)
    elif claim.standing.status == FINAL:
        found.notes.append(
            f"{said}. It is judged by its own, and was issued here with them. Asking for the same"
            " period today makes a revision with today's settings"
        )
    else:
        found.untold.append(
            f"{said}. By its own the figures are right, but no provisional report is kept: that it"
            " was made here with them cannot be told. Ask for it anew, or for the final one"
        )


def _other_arithmetic(claim: Claim, rules: Rules) -> Iterator[str]:
    """Whether this version would make it in another way, whatever the settings."""
    ours = _fixed(rules_as_quoted(rules))
    theirs = ours if claim.quoted is None else _fixed(claim.quoted[0])
    if claim.schema != SCHEMA or theirs != ours:
        yield (
            f"it is of schema {claim.schema} with {theirs}, and this version of govsense makes"
            f" schema {SCHEMA} with {ours}: it cannot be made again, and is compared with what was"
            " issued here, if anything was. Verify it with the version that made it"
        )


def _fixed(rules: Quoted) -> Quoted:
    return {name: value for name, value in sorted(rules.items()) if name not in SETTINGS}


def _replaced(claim: Claim, record: _Record) -> Iterator[str]:
    """That there is a later revision, and what is new in it."""
    last = record.last
    if last is None or last.revision <= claim.standing.revision:
        return
    yield f"revision {last.revision} has taken its place"
    if record.this is None:
        return
    old, new = loaded(record.this.document), loaded(last.document)
    changed = changed_settings(old["rules"], old["calendar"], (new["rules"], new["calendar"]))
    if old["data"] != new["data"]:
        changed.insert(0, "late or corrected data")
    yield (
        f"new in revision {last.revision}: {'; '.join(changed) or 'names or contracts'}."
        f" Ask for revision {last.revision}; this file is compared with revision"
        f" {claim.standing.revision} as it was issued here"
    )


def _record_of(claim: Claim, ledger: Ledger) -> _Record:
    if claim.standing.status != FINAL:
        return _Record(None, None)
    with ledger.read() as connection:
        this = report_data.issued(connection, claim.asked.key, claim.standing.revision)
        return _Record(this, report_data.last_issued(connection, claim.asked.key))


def _standing_problems(claim: Claim, record: _Record) -> Iterator[str]:
    standing, kept = claim.standing, record.this
    if standing.status == PROVISIONAL:
        if standing.revision:
            yield f"it is provisional and has revision {standing.revision}"
        return
    if claim.until_ms != claim.asked.period.end_ms:
        yield "it is final and its data does not reach to the end of its period"
    if kept is None:
        yield f"revision {standing.revision} was never issued here"
    elif kept.digest != claim.digest:
        yield f"revision {standing.revision} was issued here with the digest {kept.digest}"
    elif not _is_intact(kept):
        yield f"revision {standing.revision} as it is kept here was changed"


def _not_its_digest(claim: Claim, text: str) -> Iterator[str]:
    """Of JSON this can be told whatever version made it: its digest is that of its own text."""
    if claim.format != "json":
        return
    signed_text = text.replace(f'"digest":"{claim.digest}",', "", 1)
    if hashlib.sha256(signed_text.encode()).hexdigest() != claim.digest:
        yield "its digest is not that of its text"


def _is_intact(kept: Issued) -> bool:
    tree = loaded(kept.document)
    del tree["digest"]
    standing = Standing(tree["status"], tree["revision"], tree["as_of"])
    return signed(parts_of(tree), standing) == (kept.document, kept.digest)


def _is_as_issued(claim: Claim, text: str, kept: Issued | None) -> bool:
    if kept is None or not _is_intact(kept):
        return False
    return text == rendered(loaded(kept.document), claim.format, claim.language, bom=claim.bom)

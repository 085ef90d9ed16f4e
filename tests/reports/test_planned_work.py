"""Time that windows leave out of a report: its reasons, its revisions, and that it is verified."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, update

from detection.outages import BIN_MS
from reports.forms import rendered
from reports.issuing import Asked, loaded, report_now
from reports.periods import iso
from reports.verifying import verify
from storage.ledger import windows as ledger_windows
from storage.ledger.actions import Deed
from storage.ledger.migrations import Ledger
from storage.ledger.schema import bins, windows
from storage.ledger.windows import Plan, Terms, WindowRow
from tests.reports.world import FINAL, RULES, START, asked, leave_out

HOUR_MS = 3_600_000
AT_WORK = Deed("v", "Vong", START)


def window(ledger: Ledger, reach: str, name: str, reason: str, *, late: bool = False) -> WindowRow:
    """Maintenance from 10:00 to 12:00 on the first, in force."""
    begin_ms = START + 10 * HOUR_MS
    plan = Plan("maintenance", reach, name, begin_ms, begin_ms + 2 * HOUR_MS, reason)
    terms = Terms(None, None, begin_ms, late, needs_second=False)
    return ledger_windows.propose(ledger, plan, terms, AT_WORK)


def report(ledger: Ledger, question: Asked, now_ms: int = FINAL) -> dict[str, Any]:
    """A report, which verifies."""
    text = report_now(ledger, question, RULES, now_ms)
    assert verify(text.encode(), ledger, RULES) == []
    return loaded(text)


def test_reasons_of_windows(ledger: Ledger) -> None:
    """National, of a provider, of a site, and late: each with whom it was about; or not stated."""
    national = window(ledger, "country", "", "exercise")
    provider = window(ledger, "provider", "LTC", "new ring")
    own = window(ledger, "site", "a", "mast repair", late=True)
    leave_out(ledger, "a", 120, 6, own.window)
    leave_out(ledger, "a", 126, 6, national.window)
    leave_out(ledger, "c", 120, 12, provider.window)
    document = report(ledger, asked())
    assert document["total"]["excluded_by_reason"] == {
        "mast repair": 30, "exercise": 30, "new ring": 60, "not stated": 30,
    }  # fmt: skip
    a, _, c = document["sites"]
    assert a["excluded_by_reason"] == {"mast repair": 30, "exercise": 30}
    assert (a["minutes"]["down"], a["outages"], a["minutes"]["excluded"]) == (0, 0, 60)
    assert c["excluded_by_reason"] == {"new ring": 60, "not stated": 30}
    told = {one.pop("window"): one for one in document["planned_work"]}
    assert told[own.window] == {
        "kind": "maintenance", "scope": {"type": "site", "id": "a"},
        "start": iso(START + 10 * HOUR_MS), "end": iso(START + 12 * HOUR_MS),
        "late": True, "withdrawn": False, "reason": "mast repair", "sites": 1, "minutes": 30,
    }  # fmt: skip
    assert told[national.window]["scope"] == {"type": "country", "id": ""}
    assert told[provider.window]["scope"] == {"type": "provider", "id": "LTC"}


def test_only_windows_of_its_sites_are_told(ledger: Ledger) -> None:
    """A report about a part says nothing of work elsewhere, nor of work that left out nothing."""
    here, there = (window(ledger, "site", name, f"work at {name}") for name in ("a", "c"))
    window(ledger, "site", "b", "work at b")
    leave_out(ledger, "a", 120, 6, here.window)
    leave_out(ledger, "c", 120, 6, there.window)
    for question in (asked(province="LA-LP"), asked(site="a"), asked(agency="Health", site="a")):
        text = report_now(ledger, question, RULES, FINAL)
        assert [one["window"] for one in loaded(text)["planned_work"]] == [here.window]
        assert "work at c" not in text
        assert there.window not in text


def test_working_hours_count_only_theirs(ledger: Ledger) -> None:
    """Of 10:00 to 14:00 the hour of noon is not planned time."""
    own = window(ledger, "site", "a", "mast repair")
    leave_out(ledger, "a", 120, 48, own.window)
    a = report(ledger, asked("working-hours"))["sites"][0]
    assert a["excluded_by_reason"] == {"mast repair": 180}


def test_what_changes_of_a_window_makes_a_revision(ledger: Ledger) -> None:
    """Ended early; taken back, and then its bins count again."""
    own = window(ledger, "site", "a", "mast repair", late=True)
    leave_out(ledger, "a", 120, 24, own.window)
    now_ms = FINAL
    assert report(ledger, asked())["revision"] == 1
    ended = AT_WORK._replace(at_ms=START + 11 * HOUR_MS)
    ledger_windows.end(ledger, own.window, ended, text="done", may_rewrite=False)
    second = report(ledger, asked(), now_ms + 1)
    assert (second["revision"], second["planned_work"][0]["end"]) == (2, iso(ended.at_ms))
    leave_out(ledger, "a", 132, 12, None)
    third = report(ledger, asked(), now_ms + 2)
    assert third["revision"] == 3
    assert third["sites"][0]["excluded_by_reason"] == {"mast repair": 60}
    other = window(ledger, "site", "c", "by mistake", late=True)
    leave_out(ledger, "c", 120, 6, other.window)
    assert report(ledger, asked(), now_ms + 3)["revision"] == 4
    ledger_windows.end(ledger, other.window, ended, text="never was", may_rewrite=True)
    assert report(ledger, asked(), now_ms + 4)["planned_work"][1]["withdrawn"] is True
    leave_out(ledger, "c", 120, 6, None)
    last = report(ledger, asked(), now_ms + 5)
    assert [one["reason"] for one in last["planned_work"]] == ["mast repair"]


@pytest.mark.parametrize(
    "values",
    [
        {"reason": "other"},
        {"start_ms": START},
        {"end_ms": START + 13 * HOUR_MS},
        {"scope_type": "agency"},
        {"scope_id": "c"},
        {"state": "withdrawn"},
        {"is_late": True},
        {"kind": "silence"},
    ],
)
def test_a_window_that_was_changed(ledger: Ledger, values: dict[str, Any]) -> None:
    """In whatever of it the report tells: then it does not verify, in any format."""
    own = window(ledger, "site", "a", "mast repair")
    leave_out(ledger, "a", 120, 6, own.window)
    document = report(ledger, asked())
    content = [rendered(document, form, "en", bom=False) for form in ("json", "csv", "html")]
    assert [verify(text.encode(), ledger, RULES) for text in content] == [[]] * 3
    with ledger.begin() as connection:
        connection.execute(update(windows).values(**values))
    assert all(verify(text.encode(), ledger, RULES) for text in content)


def test_a_window_or_its_name_in_a_bin_that_is_gone(ledger: Ledger) -> None:
    """Also where another window has the same reason."""
    own, same = (window(ledger, "site", name, "mast repair") for name in ("a", "b"))
    leave_out(ledger, "a", 120, 6, own.window)
    content = report_now(ledger, asked(), RULES, FINAL).encode()
    one = (bins.c.site == "a", bins.c.start_ms == START + 120 * BIN_MS)
    for by in (same.window, None):
        with ledger.begin() as connection:
            connection.execute(update(bins).where(*one).values(excluded_by=by))
        assert any("data.left_out: " in line for line in verify(content, ledger, RULES))
    with ledger.begin() as connection:
        connection.execute(update(bins).where(*one).values(excluded_by=own.window))
    assert verify(content, ledger, RULES) == []
    with ledger.begin() as connection:
        connection.execute(delete(windows).where(windows.c.window == own.window))
    assert verify(content, ledger, RULES)


@pytest.mark.parametrize(("lang", "words"), [("en", "Planned work"), ("lo", "ວຽກທີ່ວາງແຜນໄວ້")])
def test_people_read_why(ledger: Ledger, lang: Any, words: str) -> None:
    """On the page in both languages, escaped, and in the table."""
    for n, (reach, name) in enumerate([("country", ""), ("feeder", "F1"), ("site", "a")]):
        made = window(ledger, reach, name, f"<b>mast</b> {n}", late=True)
        leave_out(ledger, "a", 120 + n, 1, made.window)
    document = report(ledger, asked())
    page = rendered(document, "html", lang, bom=False)
    assert words in page
    assert "&lt;b&gt;mast&lt;/b&gt; 2 (" in page
    assert "<b>" not in page
    total = rendered(document, "csv", lang, bom=False).split("\r\n")[2]
    assert total.endswith("<b>mast</b> 0: 5; <b>mast</b> 1: 5; <b>mast</b> 2: 5; not stated: 30")

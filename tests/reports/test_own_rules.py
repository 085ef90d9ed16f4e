"""A report is judged by the rules that it quotes; what cannot be told is not called a forgery."""

from __future__ import annotations

import csv
import html
import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import update

from reports.calendars import WorkingHours
from reports.canonical import canonical, digest_of
from reports.connectivity import Question, report_of
from reports.gathering import gather
from reports.issuing import Asked, Standing, loaded, parts_of, report_now, signed
from reports.periods import DAY_MS, period_named
from reports.quoting import calendar_as_quoted, rules_as_quoted, rules_of
from reports.rules import Rules
from reports.verifying import examine, verify
from runtime.cli import main
from runtime.report_rules import rules_from
from runtime.settings import load
from storage.ledger.bins import trim_bins
from storage.ledger.migrations import Ledger
from storage.ledger.schema import bins
from storage.ledger.speed_tests import SpeedTest
from tests.reports.test_verifying import files
from tests.reports.world import END, FINAL, RULES, START, asked, put, put_tests

HOURS = RULES.working_hours
MOVED = WorkingHours(  # a Monday off by notice, the Saturday before it worked
    HOURS.hours, {date(2026, 9, 7): (False, "ມື້ພັກ"), date(2026, 9, 5): (True, "for it")}
)
OTHERS = {
    "reports.settling_hours was 48 and is 72": replace(RULES, settling_ms=72 * 3_600_000),
    "reports.contracted_floor_pct was 80 and is 95": replace(RULES, floor_pct=95.0),
    "reports.least_tests was 10 and is 30": replace(RULES, least_tests=30),
}
CALENDARS = {
    "days off (reports.calendar_file, and the holidays known) today only: 2026-09-07": MOVED,
    "today only: 2026-09-05 for it": MOVED,
    "the working hours of the week are others": WorkingHours({0: [(480, 720)]}),
}
ALL_OTHERS = {**OTHERS, **{said: replace(RULES, working_hours=h) for said, h in CALENDARS.items()}}
OFFICE_HOURS = asked("working-hours")
STATEMENT = re.compile(r'(<meta name="govsense-report" content=")([^"]*)(">)')


@pytest.mark.parametrize("said", ALL_OTHERS)
def test_a_final_report_outlives_its_settings(month: Ledger, said: str) -> None:
    """In every form it stays right, and it is said what is set otherwise today."""
    for content in files(month, OFFICE_HOURS):
        found = examine(content, month, ALL_OTHERS[said])
        assert (found.wrong, found.untold) == ([], [])
        (note,) = found.notes
        assert said in note
        assert examine(content, month, RULES).notes == []


@pytest.mark.parametrize("said", ALL_OTHERS)
def test_one_that_was_made_under_other_settings(ledger: Ledger, said: str) -> None:
    """The other way about: rules of its own, whatever they are, make it again."""
    text = report_now(ledger, OFFICE_HOURS, ALL_OTHERS[said], FINAL)
    assert verify(text.encode(), ledger, RULES) == []
    assert examine(text.encode(), ledger, RULES).notes != []


@pytest.mark.parametrize("said", ALL_OTHERS)
def test_a_provisional_one_of_other_settings_is_no_forgery(month: Ledger, said: str) -> None:
    """Nobody keeps it: that it was made here with such settings cannot be told."""
    for content in files(month, OFFICE_HOURS, now_ms=END):
        found = examine(content, month, ALL_OTHERS[said])
        assert (found.wrong, found.notes) == ([], [])
        (why,) = found.untold
        assert said in why
        assert "Ask for it anew" in why
        changed = content.replace(b"2026-09", b"2026-08", 1)
        assert examine(changed, month, ALL_OTHERS[said]).wrong


def test_kinder_rules_are_a_forgery_of_a_final_report(ledger: Ledger) -> None:
    """Even where every figure and digest was made anew by them."""
    text = report_now(ledger, asked(), RULES, FINAL)
    forged = by_rules(ledger, asked(), replace(RULES, floor_pct=10.0))
    assert loaded(forged)["total"]["speed"]["met"] > loaded(text)["total"]["speed"]["met"]
    (said,) = examine(forged.encode(), ledger, RULES).wrong
    assert said.startswith("revision 1 was issued here with the digest")


def by_rules(ledger: Ledger, question: Asked, rules: Rules) -> str:
    """What somebody with the ledger and the program can make who was not given that report."""
    true = loaded(report_now(ledger, question, RULES, FINAL))
    sources, _ = gather(ledger, question.within, question.period)
    whole = Question(question.within, question.period, question.calendar, question.period.end_ms)
    standing = Standing(true["status"], true["revision"], true["as_of"])
    return signed(parts_of(report_of(whole, sources, rules)), standing)[0]


def test_quoted_rules_are_all_of_them() -> None:
    """Rules made of what is quoted count the same bins and quote the same, holidays and all."""
    hours = WorkingHours(
        HOURS.hours, {date(2026, 4, 13): (False, "x"), date(2026, 4, 18): (True, "")}
    )
    days = period_named("2026-04").days
    quoted = calendar_as_quoted("working-hours", days, hours, 5)
    assert len(quoted["days_off"]) == 4
    rules = Rules(hours, settling_ms=3_600_000, floor_pct=66.5, least_tests=3)
    own = rules_of(rules_as_quoted(rules), quoted)
    assert (own.working_hours.mask(days) == hours.mask(days)).all()
    assert calendar_as_quoted("working-hours", days, own.working_hours, 5) == quoted
    assert rules_as_quoted(own) == rules_as_quoted(rules)
    unheard_of = WorkingHours(HOURS.hours, holidays={})  # before anybody knew of them
    quoted = calendar_as_quoted("working-hours", days, unheard_of, 5)
    assert rules_of(rules_as_quoted(rules), quoted).working_hours.days_off(days) == []


def test_a_setting_of_many_digits(ledger: Ledger, tmp_path: Path) -> None:
    """A test on the very edge is judged by the floor as it is quoted, with six decimals."""
    (tmp_path / "settings.toml").write_text("[reports]\ncontracted_floor_pct = 29.99999999\n")
    rules = rules_from(load(tmp_path / "settings.toml", {}))
    put_tests(ledger, [SpeedTest("p-c", START, 14.999999999, 30.0)])
    text = report_now(ledger, asked(), rules, FINAL)
    assert verify(text.encode(), ledger, RULES) == []


def test_a_later_revision_says_what_is_new_in_it(ledger: Ledger) -> None:
    """Other settings or other data; the old one is told from one that somebody changed."""
    old = files(ledger, asked())
    stricter = replace(RULES, floor_pct=95.0)
    report_now(ledger, asked(), stricter, FINAL)
    for content in old:
        found = examine(content, ledger, stricter)
        assert found.wrong == []
        assert found.untold[0] == "revision 2 has taken its place"
        assert "in revision 2: reports.contracted_floor_pct was 80 and is 95." in found.untold[1]
    put(ledger, "c", 1000, "D" * 120, revision=2)
    report_now(ledger, asked(), stricter, FINAL + 1)
    for content in old:
        found = examine(content, ledger, stricter)
        assert found.wrong == []
        assert "new in revision 3: late or corrected data; reports.contr" in found.untold[1]
        assert examine(content.replace(b"60", b"61", 1), ledger, stricter).wrong


def test_bins_that_are_not_kept_any_more(ledger: Ledger) -> None:
    """What was issued is compared with what was issued; of a provisional one nothing is left."""
    final, provisional = files(ledger, asked()), files(ledger, asked(), now_ms=END)
    while trim_bins(ledger, START + 410 * DAY_MS, keep_days=400):
        pass
    for content in final:
        found = examine(content, ledger, RULES)
        assert found.wrong == []
        (why,) = found.untold
        assert "storage.bin_days" in why
        assert examine(content.replace(b"60", b"61", 1), ledger, RULES).wrong
    assert all(examine(content, ledger, RULES).wrong for content in provisional)  # half is there
    while trim_bins(ledger, START + 500 * DAY_MS, keep_days=400):
        pass
    put(ledger, "a", 31 * 288, "U")
    for content in provisional:
        found = examine(content, ledger, RULES)
        assert found.wrong == []
        assert "storage.bin_days" in found.untold[0]


def test_a_ledger_that_was_changed_is_told_from_a_file_that_was(ledger: Ledger) -> None:
    """The file is as it was issued: then it is what it was made of that changed."""
    content = files(ledger, asked())[0]
    with ledger.begin() as connection:
        connection.execute(update(bins).where(bins.c.site == "c").values(state="UP"))
    assert examine(content, ledger, RULES).wrong[0].startswith("the file is as it was issued here")
    forged = content.replace(b'"down":60', b'"down":10')
    assert not examine(forged, ledger, RULES).wrong[0].startswith("the file is as")


@pytest.mark.parametrize("number", [1, 3, 4])
def test_a_form_of_another_version_is_no_forgery(month: Ledger, number: int) -> None:
    """Nor is it right: only its data can be compared. A wrong digest stays wrong."""
    content = files(month, asked())[number]
    form = loaded(statement(content))["form"]
    other = content.replace(form.encode(), b"0123456789abcdef").replace(b"Reachable", b"Online")
    found = examine(other, month, RULES)
    assert found.wrong == []
    (why,) = found.untold
    assert f"(form 0123456789abcdef; here {form})" in why
    digest = loaded(report_now(month, asked(), RULES, FINAL))["digest"].encode()
    assert examine(other.replace(digest, digest[::-1]), month, RULES).wrong


def statement(content: bytes) -> str:
    """What a table or page says of itself."""
    text = content.decode()
    page = STATEMENT.search(text)
    return html.unescape(page[2]) if page else next(csv.reader(text.splitlines()[:1]))[1]


def test_an_early_page_that_quotes_no_rules(month: Ledger) -> None:
    """It is judged by those that its revision was issued with."""
    page = files(month, OFFICE_HOURS)[3].decode()
    said = loaded(statement(page.encode()))
    early = {name: said[name] for name in said if name not in ("rules", "schema", "form")}
    early["calendar"] = "working-hours"
    old = STATEMENT.sub(lambda m: m[1] + html.escape(canonical(early)) + m[3], page)
    found = examine(old.encode(), month, replace(RULES, working_hours=MOVED, floor_pct=5.0))
    assert found.wrong == []
    assert "form not told" in found.untold[0]


@pytest.mark.parametrize(
    ("was", "is_now"),
    [('"schema":1', '"schema":2'), ('"coverage_needed":0.900000', '"coverage_needed":0.950000')],
)
def test_other_arithmetic_is_named(ledger: Ledger, was: str, is_now: str) -> None:
    """A report of another version is compared with what was issued; else nothing can be told, but
    that its digest is that of its text."""
    text = report_now(ledger, asked(), RULES, FINAL)
    assert any("as it is kept" in each or "it says" in each for each in
               examine(text.replace(was, is_now).encode(), ledger, RULES).wrong)  # fmt: skip
    provisional = report_now(ledger, asked(), RULES, END).replace(was, is_now)
    found = examine(provisional.encode(), ledger, RULES)
    assert found.wrong == ["its digest is not that of its text"]
    tree = loaded(provisional)
    del tree["digest"]
    theirs = canonical({**tree, "digest": digest_of(tree)})
    found = examine(theirs.encode(), ledger, RULES)
    assert found.wrong == []
    assert "Verify it with the version that made it" in found.untold[0]


def test_schema_1_is_this(ledger: Ledger) -> None:
    """Where this digest changes, no report that was issued before verifies: raise SCHEMA then."""
    report = loaded(report_now(ledger, OFFICE_HOURS, RULES, FINAL))
    assert report["schema"] == 1
    assert report["digest"] == ("57a6044b01c0b5f9b5e1b14fb497c694ca306a1fd90a1f5bd7bea935a265b076")


def test_the_exit_codes(
    month_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 right, also by other settings; 3 not told; 1 wrong."""
    shutil.copy(month_file, tmp_path / "ledger.db")
    settings = tmp_path / "settings.toml"
    settings.write_text("[reports]\nsettling_hours = 72\n")
    call = ["--data-dir", str(tmp_path), "report"]
    assert main([*call, "issue", "2026-09"]) == 0
    file = tmp_path / "september.json"
    file.write_text(capsys.readouterr().out)
    later = ["--settings", str(settings), *call]
    assert main([*later, "verify", str(file)]) == 0
    said = capsys.readouterr()
    assert "every byte is as the stored data gives it, by the settings that it quotes" in said.out
    assert "reports.settling_hours was 48 and is 72" in said.err
    assert main([*later, "issue", "2026-09"]) == 0
    capsys.readouterr()
    assert main([*later, "verify", str(file)]) == 3
    assert "revision 2 has taken its place" in capsys.readouterr().err
    file.write_text(file.read_text().replace('"down":60', '"down":55'))
    assert main([*later, "verify", str(file)]) == 1
    assert "NOT what is stored" in capsys.readouterr().err

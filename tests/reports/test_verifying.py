"""A report verifies, and no changed byte of it or of the data does."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from reports.claims import NoReportError, claim_of
from reports.forms import rendered
from reports.issuing import Asked, loaded, report_now
from reports.periods import Period
from reports.verifying import verify
from runtime.cli import main
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.report_data import Within
from storage.ledger.schema import bin_days, bins, reports, speed_days
from tests.reports.world import END, FINAL, RULES, START, asked, fill, put
from tests.storage.postgresql import database

FORMATS: list[Any] = [
    ("json", "en", False),
    ("csv", "en", False),
    ("csv", "en", True),
    ("html", "en", False),
    ("html", "lo", False),
]
DAY = Asked(Within(province="LA-LP"), Period("", START, START + 7_200_000), "24x7")


def files(ledger: Ledger, question: Asked, now_ms: int = FINAL) -> list[bytes]:
    """The report in every format."""
    report = loaded(report_now(ledger, question, RULES, now_ms))
    return [rendered(report, form, lang, bom=bom).encode() for form, lang, bom in FORMATS]


def fails(content: bytes, ledger: Ledger) -> bool:
    """Whether it does not verify."""
    try:
        return bool(verify(content, ledger, RULES))
    except NoReportError:
        return True


def test_every_format_verifies(month: Ledger) -> None:
    """Final and provisional, of all calendars."""
    for question in (asked(), asked("working-hours", agency="Health"), DAY):
        for now_ms in (FINAL, START + 1000, END):
            for content in files(month, question, now_ms):
                assert verify(content, month, RULES) == []


def test_a_provisional_one_stays_true_of_its_time(ledger: Ledger) -> None:
    """What is published after the end of its data does not touch it; what is revised does."""
    question = Asked(Within(), Period("", START, END + 10 * 86_400_000), "24x7")
    content = files(ledger, question, END + 1000)
    put(ledger, "a", 30 * 288, "D" * 20)
    assert [verify(each, ledger, RULES) for each in content] == [[]] * len(content)
    put(ledger, "a", 30 * 288 - 1, "D", revision=2)
    assert all(verify(each, ledger, RULES) for each in content)


@pytest.mark.parametrize("number", range(len(FORMATS)))
def test_no_byte_may_change(month: Ledger, number: int) -> None:
    """Of any format: one bit, one byte less, one more."""
    content = files(month, DAY)[number]
    draw = random.Random(number)
    for place in draw.sample(range(len(content)), 120):
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        assert fails(bytes(flipped), month), (place, content[place - 20 : place + 20])
        assert fails(content[:place] + content[place + 1 :], month)
    assert fails(content + b"\n", month)
    assert fails(content[:-1], month)


def test_what_differs_is_named(month: Ledger) -> None:
    """By member, or by line and character, with what stands there."""
    json, csv, _, page, _ = files(month, asked())
    forged = json.replace(b'"down":60', b'"down":10')
    found = verify(forged, month, RULES)
    assert "sites[a].minutes.down: it says 10; the stored data gives 60" in found
    (said,) = verify(csv.replace(b",60,", b",10,", 1), month, RULES)
    assert said.startswith("line ")
    place = page.index(b"<td>", page.index(b"<tbody>") + 200) + 4
    (said,) = verify(page[:place] + b"#" + page[place:], month, RULES)
    told, given = re.findall(r"'(.*?)'", said)
    assert len(told) < 100
    assert (told[30], told[:30]) == ("#", given[:30])
    spaced = json.replace(b'":', b'": ')
    assert verify(spaced, month, RULES)[0].startswith("the text is not in its canonical form")


def test_a_bin_that_was_changed(ledger: Ledger) -> None:
    """In the bins themselves, behind the platform's back: state, backup, or gone."""
    content = files(ledger, asked())
    one = (bins.c.site == "c", bins.c.start_ms == START)
    for change in (
        update(bins).where(*one).values(state="DOWN"),
        update(bins).where(*one).values(state="UP", on_backup=True),
        delete(bins).where(*one),
    ):
        with ledger.begin() as connection:
            connection.execute(change)
        assert all(verify(each, ledger, RULES) for each in content)
    found = verify(content[0], ledger, RULES)
    assert any(line.startswith("data.bins: ") for line in found)


def test_days_that_do_not_say_what_the_bins_say(ledger: Ledger) -> None:
    """A report that was made of them fails, for it is verified by the bins."""
    with ledger.begin() as connection:
        connection.execute(
            update(bin_days).where(bin_days.c.site == "a", bin_days.c.day_ms == START)
            .values(states="U" * 288)
        )  # fmt: skip
    assert all(verify(each, ledger, RULES) for each in files(ledger, asked()))


def test_a_speed_test_that_was_changed(ledger: Ledger) -> None:
    """Any bit of it."""
    content = files(ledger, asked())
    with ledger.begin() as connection:
        row = connection.execute(speed_days.select().limit(1)).one()
        packed = bytearray(row.tests)
        packed[20] ^= 1
        connection.execute(
            update(speed_days)
            .where(speed_days.c.day_ms == row.day_ms, speed_days.c.device == row.device)
            .values(tests=bytes(packed))
        )
    assert all(verify(each, ledger, RULES) for each in content)


def test_a_revision_that_was_replaced_or_never_issued(ledger: Ledger) -> None:
    """Both say so."""
    content = files(ledger, asked())[0]
    with ledger.begin() as connection:
        connection.execute(update(reports).values(document=reports.c.document + " "))
    assert "revision 1 as it is kept here was changed" in verify(content, ledger, RULES)
    with ledger.begin() as connection:
        connection.execute(delete(reports))
    assert verify(content, ledger, RULES) == ["revision 1 was never issued here"]
    content = files(ledger, asked())[0]
    put(ledger, "c", 1000, "D" * 120, revision=2)
    files(ledger, asked())
    assert "revision 2 has taken its place" in verify(content, ledger, RULES)


@pytest.mark.parametrize("content", [b"", b"{}", b"x,y\n", b"\xff", b'{"kind":1}', b"<html>"])
def test_what_is_no_report(content: bytes) -> None:
    """Is refused with a reason."""
    with pytest.raises(NoReportError):
        claim_of(content)


def test_names_cannot_break_out(month: Ledger) -> None:
    """A name with markup is text in the page, and no formula in a spreadsheet."""
    report = loaded(report_now(month, asked(), RULES, FINAL))
    for row in report["sites"]:
        row["name_en"] = row["name_lo"] = '=1+1<script>"&'
    page = rendered(report, "html", "lo", bom=False)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert ",'=1+1<script>" in rendered(report, "csv", "en", bom=False).replace('"', "")


@pytest.mark.postgresql
def test_the_same_in_postgresql(month: Ledger, postgresql_server: str) -> None:
    """The figures and digests are those of SQLite, and they verify."""
    with database(postgresql_server, "reports") as url:
        other = open_ledger(url)
        fill(other)
        for question in (asked(), DAY):
            text = report_now(other, question, RULES, FINAL)
            assert text == report_now(month, question, RULES, FINAL)
            assert verify(text.encode(), other, RULES) == []
        other.close()


def test_the_command(month_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Issues, verifies, and fails with the reasons."""
    shutil.copy(month_file, tmp_path / "ledger.db")
    call = ["--data-dir", str(tmp_path), "report"]
    assert main([*call, "issue", "2026-09"]) == 0
    file = tmp_path / "september.json"
    file.write_text(capsys.readouterr().out)
    assert main([*call, "verify", str(file)]) == 0
    file.write_text(file.read_text().replace('"down":60', '"down":55'))
    assert main([*call, "verify", str(file)]) == 1
    assert "sites[a].minutes.down" in capsys.readouterr().err
    assert main([*call, "issue", "2099-01"]) == 1
    assert main([*call, "issue", "199"]) == 1
    assert main([*call, "verify", str(tmp_path / "none")]) == 1
    assert main([*call, "verify", str(tmp_path / "ledger.db")]) == 1

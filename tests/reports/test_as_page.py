"""The page of a report as its readers see it: on paper, on a phone, in their language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from reports.as_html import as_html
from reports.issuing import loaded, report_now
from reports.texts import Language
from storage.ledger.migrations import Ledger
from tests.api.browser import Browser, browser_in
from tests.reports.world import FINAL, RULES, START, asked

A4_PX = 680  # 180 mm: A4 without its margins, at 96 pixels an inch
PHONE_PX = 390


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser_in(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def report(month: Ledger, now_ms: int = FINAL) -> dict[str, Any]:
    """The month, of the whole country."""
    made: dict[str, Any] = loaded(report_now(month, asked(), RULES, now_ms))
    return made


@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize(("media", "width"), [("print", A4_PX), ("screen", PHONE_PX)])
def test_nothing_lies_beyond_the_edge(
    month: Ledger, browser: Browser, tmp_path: Path, language: Language, media: str, width: int
) -> None:
    """All columns are on the paper; on a phone a table that is wider scrolls by itself."""
    (tmp_path / "report.html").write_text(as_html(report(month), language))
    browser.open(f"file://{tmp_path}/report.html", width=width)
    browser.call("Emulation.setEmulatedMedia", media=media)
    browser.wait("document.querySelectorAll('td svg').length > 3")
    assert browser.value("document.documentElement.scrollWidth") <= width


def test_both_languages_say_that_a_provisional_one_is_not_for_disputes(month: Ledger) -> None:
    """Whoever reads Lao is told the same."""
    provisional = report(month, START + 86_400_000)
    assert "not for disputes" in as_html(provisional, "en")
    assert "ຂໍ້ຂັດແຍ້ງ" in as_html(provisional, "lo")


def test_a_place_without_a_lao_name_has_its_other_one(month: Ledger) -> None:
    """Not the id that programs use."""
    page = as_html(report(month), "lo")
    assert "<td>Chanthabuly</td>" in page
    assert "<td>chanthabuly</td>" not in page

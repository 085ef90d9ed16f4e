"""The files of the plain page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from tests.api.world import World

PAGE = files("api") / "page"


class Elements(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def texts() -> dict[str, dict[str, str]]:
    """The page's table of texts."""
    source = (PAGE / "texts.js").read_text("utf-8")
    table = source[source.index("{\n  en") : source.rindex("}") + 1]
    table = re.sub(r"^\s*(\w+):", r'"\1":', table, flags=re.MULTILINE)
    found: dict[str, dict[str, str]] = json.loads(re.sub(r",(\s*})", r"\1", table))
    return found


def test_the_page_loads_only_our_own_files(world: World) -> None:
    """Everything that the page names is served here, and nothing is inline."""
    answer = world.client.get("/?lang=lo")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Elements()
    page.feed(answer.text)
    for tag, attributes in page.found:
        assert tag != "style"
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        place = attributes.get("src") or attributes.get("href")
        if tag == "script":
            assert place
        if place:
            assert world.client.get(place).status_code == 200, place
    assert world.client.get("/page/texts.js").headers["content-type"].startswith("text/javascript")


def test_both_languages_have_every_text(texts: dict[str, dict[str, str]]) -> None:
    """The same names with the same places to fill; Lao is in Lao script."""
    assert set(texts) == {"en", "lo"}
    assert set(texts["en"]) == set(texts["lo"])
    for name, english in texts["en"].items():
        lao = texts["lo"][name]
        assert sorted(re.findall(r"{\w+}", lao)) == sorted(re.findall(r"{\w+}", english)), name
        if name != "otherLanguage":
            assert re.search(r"[\u0e80-\u0eff]", lao), name
            assert not re.search(r"[\u0e80-\u0eff]", english), name


def test_every_text_that_the_page_uses_exists(texts: dict[str, dict[str, str]]) -> None:
    """In the HTML and in the script."""
    script = (PAGE / "page.js").read_text("utf-8")
    html = (PAGE / "index.html").read_text("utf-8")
    used = set(re.findall(r'\btext\("(\w+)"', script)) | set(re.findall(r'data-text="(\w+)"', html))
    assert used <= set(texts["en"])
    for prefix, names in {
        "severity": ["info", "warning", "critical"],
        "state": ["pending", "firing", "acknowledged", "resolved", "online", "offline"],
        "check": ["ledger", "series", "ingest"],
        "event": ["alert", "device", "reset"],
    }.items():
        assert {f"{prefix}_{name}" for name in names} <= set(texts["en"])


def test_every_element_that_the_script_looks_for_is_in_the_page() -> None:
    """By its id."""
    script = (PAGE / "page.js").read_text("utf-8")
    html = (PAGE / "index.html").read_text("utf-8")
    assert set(re.findall(r'byId\("([\w-]+)"\)', script)) <= set(re.findall(r'id="([\w-]+)"', html))


def test_texts_from_elsewhere_are_never_markup() -> None:
    """What devices and operators write is set as text."""
    script = (PAGE / "page.js").read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)

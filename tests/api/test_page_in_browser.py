"""The plain page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.ledger import stats
from storage.ledger.facts import Facts, commit
from storage.ledger.keys import revoke_key
from storage.ledger.migrations import open_ledger
from storage.series.sqlite import SqliteSeries
from tests.api.browser import Browser, browser_in
from tests.api.world import NOW_MS, World, change, serving

CONNECTION = "document.getElementById('connection').dataset.state"
SUMMARY = "document.getElementById('summary').textContent"
NOTICE = "document.getElementById('unready')"
READY = "document.getElementById('language')?.textContent"
LOADED = f"{CONNECTION} === 'connected' && document.querySelectorAll('#provinces tr').length === 18"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser_in(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def show(browser: Browser, world: World, query: str = "", *, width: int = 1100) -> None:
    """Open the page and wait until it is complete."""
    browser.complaints.clear()
    browser.open(f"{world.client.base_url}{query}", width=width)
    browser.wait("document.getElementById('login')")
    log_in(browser, world.client.headers["authorization"].removeprefix("Bearer "))
    browser.wait(LOADED)


def log_in(browser: Browser, key: str) -> None:
    """Give the page a key where it asks for one."""
    browser.wait(READY)
    if browser.value("document.getElementById('login').hidden"):
        return
    browser.value(f"document.getElementById('key').value = {key!r}")
    browser.value("document.querySelector('#login-form button').click()")


def test_the_page_shows_the_country_and_what_happens(own_world: World, browser: Browser) -> None:
    """Counts, open alerts with symbol and word for their severity, and a new alert by itself."""
    show(browser, own_world, "?lang=en")
    assert browser.value(SUMMARY) == (
        "1 of 5 devices heard, 2 silent, 2 never heard. 3 alerts open."
    )
    alerts = browser.value("document.getElementById('alerts').innerText")
    assert "◆ Critical" in alerts
    assert "▲ Warning" in alerts
    hostile = "<img src=x onerror=alert(1)>"
    fired = Facts(position=249, alert_changes=[change(50, text_en=hostile)])
    commit(own_world.ledger, fired, now_ms=NOW_MS)
    browser.wait("document.querySelectorAll('#stream li').length === 1")
    browser.wait("document.querySelectorAll('#alerts li').length === 4")
    assert hostile in browser.value("document.getElementById('alerts').innerText")
    assert browser.complaints == []


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("acknowledged", "closed", "nobody is notified: maintenance", "On the way.")),
        ("lo", ("ຮັບຊາບແລ້ວ", "ປິດແລ້ວ", "ກຳລັງບຳລຸງຮັກສາ", "On the way.")),
    ],
)
def test_what_operators_do_shows_in_words(
    own_world: World, browser: Browser, language: str, said: tuple[str, ...]
) -> None:
    """An acknowledged alert stays in the list and says so, a closed one leaves; a muted one says
    in the stream why nobody is notified."""
    show(browser, own_world, f"?lang={language}")
    own_world.done("/alerts/a001/acknowledge", {"comment": "On the way."})
    closing = {"reason": "known-problem", "text": "The sensor is on order."}
    own_world.done("/alerts/a002/close", closing)
    muted = {("a050", "firing"): "maintenance"}
    fired = Facts(position=249, alert_changes=[change(50)], muted=muted)
    commit(own_world.ledger, fired, now_ms=NOW_MS)
    browser.wait("document.querySelectorAll('#stream li').length === 3")
    stream = browser.value("document.getElementById('stream').innerText")
    assert all(text in stream for text in said)
    acknowledged = f"document.getElementById('alerts').innerText.includes({said[0]!r})"
    browser.wait(f"{acknowledged} && document.querySelectorAll('#alerts li').length === 3")
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")


def test_lao_is_chosen_by_address_or_button_and_remembered(world: World, browser: Browser) -> None:
    """The choice outlasts the visit, and the page says its language to readers and screens."""
    show(browser, world, "?lang=lo")
    assert browser.value("document.documentElement.lang") == "lo"
    assert "ຕິດຕໍ່ໄດ້ 1 ຈາກ 5" in browser.value(SUMMARY)
    assert "ຊ້າເກີນໄປ" in browser.value("document.getElementById('alerts').innerText")
    show(browser, world)
    assert browser.value("document.documentElement.lang") == "lo"
    browser.value("document.getElementById('language').click()")
    assert browser.value("document.documentElement.lang") == "en"
    show(browser, world)
    assert browser.value("document.documentElement.lang") == "en"


def test_an_alert_on_the_platform_is_told_by_name(own_world: World, browser: Browser) -> None:
    """An alert without a device is the platform's own, in both languages, and is counted."""
    fired = change(50, device="@platform", site="", metric="", rule="disk-full")
    commit(own_world.ledger, Facts(position=249, alert_changes=[fired]), now_ms=NOW_MS)
    for language, name in (("en", "The platform itself"), ("lo", "ຕົວລະບົບເອງ")):
        show(browser, own_world, f"?lang={language}")
        shown = browser.value("document.getElementById('alerts').innerText")
        assert name in shown
        assert "@platform" not in shown
        assert "4" in browser.value(SUMMARY)


@pytest.mark.parametrize("language", ["en", "lo"])
def test_it_fits_a_small_telephone(world: World, browser: Browser, language: str) -> None:
    """At 360 px nothing is cut off at the side, and lines are high enough for Lao."""
    show(browser, world, f"?lang={language}", width=360)
    assert browser.value("document.documentElement.scrollWidth") == 360
    if language == "lo":
        style = "getComputedStyle(document.getElementById('summary'))"
        height = browser.value(f"parseFloat({style}.lineHeight) / parseFloat({style}.fontSize)")
        assert height >= 1.7


def test_nothing_heard_is_said_in_words(tmp_path: Path, browser: Browser) -> None:
    """An empty platform does not look well."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    series = SqliteSeries.open(tmp_path / "series.db")
    world = World(ledger, series)
    with serving(world):
        show(browser, world, "?lang=en")
        assert "nothing is known" in browser.value(SUMMARY)
        assert "nothing is being received" in browser.value(f"{NOTICE}.textContent")
        assert "says nothing" in browser.value("document.getElementById('alerts-note').textContent")
        browser.open("about:blank")
    series.close()
    ledger.close()


def test_a_lost_connection_is_visible_and_comes_back(own_world: World, browser: Browser) -> None:
    """While the platform is away the page says so; afterwards it goes on by itself."""
    with serving(own_world) as port:
        show(browser, own_world, "?lang=en")
    browser.wait(f"{CONNECTION} === 'disconnected'")
    stats.beat(own_world.ledger, "ingest", own_world.now_ms, {"broker_connected": True})
    with serving(own_world, port=port):
        browser.wait(f"{CONNECTION} === 'connected' && {NOTICE}.hidden")
        browser.open("about:blank")


def test_a_key_is_asked_for_and_kept_for_this_tab(own_world: World, browser: Browser) -> None:
    """Without a valid one nothing is shown; it is in no cookie, no address and no lasting store."""
    browser.complaints.clear()
    browser.open(f"{own_world.client.base_url}?lang=lo")
    browser.wait(READY)
    assert browser.value("document.getElementById('facts').hidden")
    assert "ເຂົ້າສູ່ລະບົບ" in browser.value("document.getElementById('login').innerText")
    for wrong in ("gvs_00000000_" + "x" * 43, "ຫ້ອງ"):
        log_in(browser, wrong)
        browser.wait("document.getElementById('login-problem').textContent.includes('ກະແຈ')")
        browser.value("document.getElementById('login-problem').textContent = ''")
    key = own_world.key("viewer", provinces=["LA-LP"])
    log_in(browser, key)
    browser.wait("document.querySelectorAll('#provinces tr').length === 1")
    assert browser.value("sessionStorage.getItem('key')") == key
    kept = browser.value("document.cookie + location.href + JSON.stringify(localStorage)")
    assert key not in kept
    browser.reload()
    browser.wait("document.querySelectorAll('#provinces tr').length === 1")
    browser.value("document.getElementById('logout').click()")
    assert browser.value("document.getElementById('facts').hidden")
    assert browser.value("sessionStorage.getItem('key')") is None


def test_a_key_that_is_revoked_ends_the_visit(own_world: World, browser: Browser) -> None:
    """At the next question the page asks for a key, and says why."""
    key = own_world.key("viewer")
    browser.open(f"{own_world.client.base_url}?lang=en")
    log_in(browser, key)
    browser.wait(LOADED)
    prefix = key.split("_")[1]
    revoke_key(own_world.ledger, prefix, now_ms=own_world.machine_ms, by="test")
    browser.wait("!document.getElementById('login').hidden")
    assert "not valid" in browser.value("document.getElementById('login-problem').textContent")

"""What everybody may read: enough to know how a province is, too little to know how one site is."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args
from xml.etree import ElementTree

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from api.public import as_json, atom
from api.public.board import PERIOD_S, Board, UnknownError
from api.public.status import CAUSE_CLASSES, CauseClass, PublicStatus, State, status_of
from api.public.texts import TEXTS
from api.routes.public import BURST
from detection.incidents.changes import Cause, Scope
from detection.outages import BIN_MS, Bin
from devices.registry import Registry, Site
from storage.ledger.facts import Facts, commit
from storage.ledger.public import GroupNow, PublicFacts, SiteNow
from storage.ledger.registry import add_registry
from tests.api.world import NOW_MS, World, incident, problem_of, registry

STATUS, FEED = "/public/v1/status", "/public/v1/status.atom"
LAST_BIN = NOW_MS - BIN_MS
ATOM = "{http://www.w3.org/2005/Atom}"


def site(number: int, site_class: str, state: Any, province: str = "LA-LP") -> SiteNow:
    return SiteNow(f"secret-{number}", province, site_class, state, LAST_BIN if state else None)


def sites(site_class: str, *states: Any, province: str = "LA-LP") -> list[SiteNow]:
    return [
        site(n, f"{site_class}", state, province)._replace(site=f"{province}-{site_class}-{n}")
        for n, state in enumerate(states)
    ]


def group(*members: str, **facts: Any) -> GroupNow:
    usual = GroupNow("i1", "provider", False, False, NOW_MS - 600_000, None, NOW_MS, [*members])
    return usual._replace(**facts)


def shown(facts: PublicFacts) -> dict[str, Any]:
    body = as_json.render(status_of(facts, NOW_MS), age_s=0, is_stale=False)
    found: dict[str, Any] = json.loads(body)
    return found


def cell(facts: PublicFacts, site_class: str) -> dict[str, Any]:
    (province,) = shown(facts)["provinces"]
    (found,) = (one for one in province["classes"] if one["class"] == site_class)
    return {name: found[name] for name in ("sites", "reachable", "in_trouble", "not_known")}


def test_what_is_not_known_is_neither_up_nor_down() -> None:
    """No bin, an unknown one and an excluded one count as not known; degraded is trouble."""
    facts = PublicFacts(
        sites("office", "UP", "UP", "DEGRADED", "DOWN", "UNKNOWN", "EXCLUDED", None), []
    )
    counts = {"sites": 7, "reachable": 2, "in_trouble": 2, "not_known": 3}
    assert cell(facts, "office") == counts


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("UP", "UP"), "too-few"),
        (("UP", "UP", "UP"), "reachable"),
        (("UP", "UP", None, None), "reachable"),
        (("UP", None, None), "not-known"),
        (("UNKNOWN",) * 9, "not-known"),
        (("UP",) * 19 + ("DOWN",), "reachable"),
        (("UP",) * 8 + ("DOWN",), "some-trouble"),
        (("UP", "DOWN", "DEGRADED"), "much-trouble"),
    ],
)
def test_the_state_of_a_province(states: tuple[Any, ...], state: str) -> None:
    """By the share of its known sites that are in trouble; not known where most are not."""
    (province,) = shown(PublicFacts(sites("office", *states), []))["provinces"]
    assert province["state"] == state


def test_nothing_is_counted_of_fewer_than_three() -> None:
    """A class of two has no counts, and its sites change none of the counts that there are."""
    offices = sites("office", "UP", "UP", "UP", "DOWN")
    untold = {"sites": None, "reachable": None, "in_trouble": None, "not_known": None}
    told = []
    for states in (("UP", "UP"), ("DOWN", "UP"), (None, "DOWN")):
        facts = PublicFacts(offices + sites("hospital", *states), [])
        assert cell(facts, "hospital") == untold
        told.append(cell(facts, "office"))
    assert told == [{"sites": 4, "reachable": 3, "in_trouble": 1, "not_known": 0}] * 3


def test_a_province_of_two_says_nothing() -> None:
    """Whatever happens there, the answer is the same."""
    answers = []
    for state in ("UP", "DOWN", None):
        facts = PublicFacts(sites("office", state, "UP"), [group("LA-LP-office-0")])
        answer = shown(facts)
        answer.pop("known_until")
        assert answer["incidents"][0]["provinces"] == []
        answers.append(answer)
    assert answers[0] == answers[1] == answers[2]


def test_an_incident_in_plain_words() -> None:
    """Provinces, start and cause class in both languages; probable until the cause is final."""
    facts = PublicFacts(
        sites("office", *["UP"] * 3) + sites("office", *["DOWN"] * 3, province="LA-OU"),
        [
            group("LA-LP-office-0", "LA-OU-office-1"),
            group("LA-OU-office-1", incident="i2", cause="power", is_final=True),
            group("LA-OU-office-1", incident="i3", cause="unknown"),
        ],
    )
    first, second, third = shown(facts)["incidents"]
    assert first["text_en"] == (
        "Facilities in Oudomxay and Luang Prabang have trouble since 2026-10-05 08:50 (Vientiane"
        " time). Probable cause: a fault in the network."
    )
    assert "ຫຼວງພະບາງ" in first["text_lo"]
    assert (first["cause"], first["provinces"]) == ("network", ["LA-OU", "LA-LP"])
    assert second["text_en"].endswith("Cause: a power failure.")
    assert second["cause_final"]
    assert third["text_en"].endswith("The cause is not known yet.")


def test_every_cause_state_and_class_of_the_sample_has_words() -> None:
    """No cause that incidents can have is left without a class, and no class without words."""
    assert set(CAUSE_CLASSES) == set(get_args(Cause))
    assert {f"cause.{name}" for name in get_args(CauseClass)} <= set(TEXTS)
    assert {f"state.{name}" for name in get_args(State)} <= set(TEXTS)
    for words in TEXTS.values():
        assert set(re.findall(r"\{\w+\}", words.en)) == set(re.findall(r"\{\w+\}", words.lo))


def some() -> PublicStatus:
    return status_of(
        PublicFacts(
            sites("office", "UP", "UP", "DOWN") + sites("school", "UP", province="LA-VT"),
            [
                group("LA-LP-office-0"),
                group("LA-LP-office-0", incident="i2", is_over=True, ended_ms=NOW_MS - 60_000),
            ],
        ),
        NOW_MS,
    )


def test_the_feed_is_atom() -> None:
    """What RFC 4287 asks of a feed and of its entries is there, once each."""
    feed = ElementTree.fromstring(atom.render(some()))
    assert feed.tag == f"{ATOM}feed"
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 3  # two incidents, and the province that has a state
    for element in (feed, *entries):
        for name in ("id", "title", "updated"):
            (found,) = element.findall(f"{ATOM}{name}")
            assert found.text
        assert datetime.fromisoformat(element.findtext(f"{ATOM}updated") or "").tzinfo
        assert (element.findtext(f"{ATOM}id") or "").startswith("urn:uuid:")
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    assert all(entry.find(f"{ATOM}content") is not None for entry in entries)
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(ids)
    newest = max(entry.findtext(f"{ATOM}updated") or "" for entry in entries)
    assert feed.findtext(f"{ATOM}updated") == newest
    assert "It is over." in (entries[1].findtext(f"{ATOM}title") or "")


def test_an_entry_keeps_its_id_and_is_updated_with_its_news() -> None:
    """The same incident later has the same id, another `updated`, and the others have theirs."""
    before, after = (
        {
            entry.findtext(f"{ATOM}id"): entry.findtext(f"{ATOM}updated")
            for entry in ElementTree.fromstring(atom.render(status)).findall(f"{ATOM}entry")
        }
        for status in (some(), later(some()))
    )
    assert before.keys() == after.keys()
    assert [before[name] == after[name] for name in before] == [False, True, True]


def later(status: PublicStatus) -> PublicStatus:
    first, *others = status.incidents
    changed = first._replace(changed_ms=first.changed_ms + 60_000)
    return status._replace(computed_ms=NOW_MS + 90_000, incidents=[changed, *others])


class Clock:
    """Seconds that pass when told to."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def away() -> PublicStatus:
    raise OperationalError("SELECT", None, Exception("the ledger is away"))


def test_one_computation_serves_everybody() -> None:
    """A hundred who ask at once, and all within 30 s, share one; then there is another."""
    counted: list[int] = []

    def compute() -> PublicStatus:
        counted.append(1)
        return some()

    async def ask() -> None:
        clock = Clock()
        board = Board(compute, clock=clock)
        await asyncio.gather(*(board.read() for _ in range(100)))
        clock.now_s += PERIOD_S - 1
        await board.read()
        assert len(counted) == 1
        clock.now_s += 2
        await board.read()
        assert len(counted) == 2

    asyncio.run(ask())


def test_the_last_known_is_told_with_its_age_while_the_ledger_is_away() -> None:
    """Not stale at once, then stale with an age that grows, and fresh again after."""
    computing: list[Callable[[], PublicStatus]] = [some]

    async def ask() -> None:
        clock = Clock()
        board = Board(lambda: computing[0](), clock=clock)
        first = await board.read()
        computing[0] = away
        ages, tags = [], {first.json_tag}
        for _ in range(4):
            clock.now_s += PERIOD_S
            posted = await board.read()
            body = json.loads(posted.json)
            ages.append((body["stale"], body["age_s"]))
            tags.add(posted.json_tag)
        assert ages == [(False, 0), (True, 60), (True, 90), (True, 120)]
        assert len(tags) == 4  # the first is told twice
        computing[0] = some
        clock.now_s += PERIOD_S
        again = await board.read()
        assert again.json == first.json

    asyncio.run(ask())


def test_a_ledger_that_hangs_holds_nobody_up() -> None:
    """Who asks while a computation hangs gets the last known within about a second."""
    hanging = threading.Event()
    computing: list[Callable[[], PublicStatus]] = [some]

    def hang() -> PublicStatus:
        hanging.wait(20)
        return some()

    async def ask() -> None:
        clock = Clock()
        board = Board(lambda: computing[0](), clock=clock)
        first = await board.read()
        computing[0] = hang
        clock.now_s += PERIOD_S
        try:
            async with asyncio.timeout(5):
                assert (await board.read()).json_tag == first.json_tag
        finally:
            hanging.set()
        await board.read()

    asyncio.run(ask())


def test_nothing_known_is_said_so() -> None:
    """Before anything is known the board says so, and tries again after some seconds."""

    async def ask() -> None:
        clock = Clock()
        computing: list[Callable[[], PublicStatus]] = [away]
        board = Board(lambda: computing[0](), clock=clock)
        with pytest.raises(UnknownError):
            await board.read()
        computing[0] = some
        with pytest.raises(UnknownError):
            await board.read()
        clock.now_s += 6
        assert (await board.read()).json

    asyncio.run(ask())


def more_offices() -> Registry:
    """Two more offices in Luang Prabang, so that there are three."""
    office = registry().sites["office"]
    made: list[Site] = [replace(office, site=f"office{n}", name_en=f"Office {n}") for n in (2, 3)]
    return Registry({one.site: one for one in made}, {})


@pytest.fixture
def country(own_world: World) -> World:
    """Three offices in a province: one reachable, one down, one not known; and a group incident."""
    add_registry(own_world.ledger, more_offices())
    bins = [
        Bin("office", LAST_BIN, "UP", False, 1),
        Bin("office2", LAST_BIN - BIN_MS, "UP", False, 1),
        Bin("office2", LAST_BIN, "DOWN", False, 1),
        Bin("office3", NOW_MS - 4 * BIN_MS, "UP", False, 1),
    ]
    provider = incident("i3", "open", scope=Scope("provider", "LTC"), sites=("office", "office2"))
    facts = Facts(position=250, bins=bins, incident_changes=[provider])
    commit(own_world.ledger, facts, now_ms=NOW_MS)
    return own_world


def test_it_is_computed_from_the_ledger(country: World) -> None:
    """The newest bin of each site counts, an old one does not; incidents of one site are left."""
    answer = country.client.get(STATUS)
    assert answer.status_code == 200
    status = answer.json()
    of = {province["province"]: province for province in status["provinces"]}
    (offices,) = of["LA-LP"]["classes"]
    assert (offices["sites"], offices["reachable"], offices["in_trouble"]) == (3, 1, 1)
    assert of["LA-LP"]["state"] == "much-trouble"
    assert of["LA-VT"]["state"] == "too-few"
    assert [one["cause"] for one in status["incidents"]] == ["unknown", "network"]  # i3, i1
    assert (status["stale"], status["known_until"]) == (False, "2026-10-05T02:00:00.000Z")


def test_nobody_is_named(country: World) -> None:
    """No id or name of a site, device, provider, agency, feeder, district or incident is told."""
    secret = ("office2", "Office", "clinic", "p0", "LTC", "Interior", "F1", "luangprabang", "i3")
    for path in (STATUS, FEED):
        words = set(re.findall(r"[\w-]+", country.client.get(path).text))
        assert not words & set(secret)


def test_news_is_told_by_the_tag(country: World) -> None:
    """The same figures are a 304; another figure is another tag."""
    for path, kind in ((STATUS, "application/json"), (FEED, "application/atom+xml")):
        answer = country.client.get(path)
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == f"public, max-age={PERIOD_S}"
        tag = answer.headers["etag"]
        again = country.client.get(path, headers={"if-none-match": f'"x", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (
            304,
            b"",
            tag.removeprefix("W/"),
        )
        assert country.client.get(path, headers={"if-none-match": '"x"'}).status_code == 200


def test_pages_of_any_origin_may_read_it_and_nothing_else(country: World) -> None:
    """GET of the public status alone allows other origins; no preflight is answered."""
    for path in (STATUS, FEED):
        headers = country.client.get(path, headers={"origin": "https://app.example"}).headers
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers
        assert "default-src 'none'" in headers["content-security-policy"]
    refused = [
        country.client.get("/api/v1/devices", headers={"origin": "https://app.example"}),
        country.client.options(STATUS, headers={"origin": "https://app.example"}),
        country.client.post(STATUS, json={}, headers={"origin": "https://app.example"}),
        country.client.get("/public/v1", headers={"origin": "https://app.example"}),
    ]
    for answer in refused:
        assert "access-control-allow-origin" not in answer.headers


def test_asking_too_often_is_a_429_that_says_when(country: World) -> None:
    """The problem can be read by a page elsewhere too, and the rest of the API goes on."""
    answers = [country.client.get(STATUS) for _ in range(BURST + 30)]
    refused: list[httpx.Response] = [one for one in answers if one.status_code != 200]
    assert refused
    problem_of(refused[0], 429)
    assert int(refused[0].headers["retry-after"]) >= 1
    assert refused[0].headers["access-control-allow-origin"] == "*"
    country.get("/devices")


def test_it_answers_while_the_ledger_does_not(country: World) -> None:
    """What was known is told after the ledger is gone; before anything was, it is a 503."""
    assert country.client.get(STATUS).status_code == 200
    with country.ledger.begin() as connection:
        connection.exec_driver_sql("DROP TABLE bins")
    assert country.client.get(STATUS).status_code == 200


def test_a_start_without_a_ledger_is_a_503(own_world: World) -> None:
    """The caller is told when to ask again."""
    with own_world.ledger.begin() as connection:
        connection.exec_driver_sql("DROP TABLE bins")
    answer = own_world.client.get(STATUS)
    problem_of(answer, 503)
    assert answer.headers["retry-after"] == "5"

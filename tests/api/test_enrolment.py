"""Devices that send without being registered, as the API shows them and decides about them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from devices.wire.message import Refusal
from storage.ledger.facts import Facts, Quarantined, commit
from storage.ledger.registry import load_registry
from tests.api.test_openapi import check
from tests.api.world import NOW_MS, World, problem_of

HOSTILE = b'{"v":1,"boot":"b","seq":1,"ts":1,"m":{"<script>\\u202e":1}}\x07'
AS_PROBE = {"site": "office", "kind": "connectivity-probe", "interval_s": 60}
OF_TANK = {"site": "office", "kind": "water-level", "interval_s": 60}


def send(world: World, device: str, *payloads: bytes, channel: str = "telemetry") -> None:
    """Messages of an unknown device, one a second up to now."""
    unknown = Refusal("unknown-device", "topic", f"{device} is not registered")
    topic = f"gov/v1/LA-LP/{device}/{channel}"
    held = [
        Quarantined(NOW_MS - n * 1000, topic, device, payload, [unknown], True)
        for n, payload in enumerate(reversed(payloads))
    ]
    commit(world.ledger, Facts(position=250, quarantined=held), now_ms=NOW_MS)


def telemetry(**values: float) -> bytes:
    return json.dumps({"v": 1, "boot": "b", "seq": 1, "ts": NOW_MS, "m": values}).encode()


def post(world: World, path: str, body: Any) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return world.client.post(f"/api/v1{path}", content=json.dumps(body), headers=headers)


@pytest.fixture
def world(own_world: World) -> World:
    """With two newcomers: n-probe, which says what it is, and x, which sends rubbish."""
    birth = b'{"v":1,"state":"online","kind":"connectivity-probe","fw":"1.4.2","interval_s":60}'
    send(own_world, "n-probe", birth, channel="status")
    send(own_world, "n-probe", telemetry(dns_ms=1), telemetry(nat_rtt_p50_ms=2))
    send(own_world, "x", HOSTILE, b"\xff" * 5000)
    return own_world


def test_newcomers_are_listed_with_what_they_sent(world: World) -> None:
    """In order of id, page by page."""
    first, second = world.items("/enrolment")
    assert world.items("/enrolment", limit=1) == [first, second]
    assert first["said"] == {"kind": "connectivity-probe", "interval_s": 60, "firmware": "1.4.2"}
    assert (first["metrics"], first["kinds"]) == (
        ["dns_ms", "nat_rtt_p50_ms"],
        ["connectivity-probe"],
    )
    assert (first["messages"], first["provinces"]) == (3, ["LA-LP"])
    assert (first["first_seen"], first["last_seen"]) == (
        "2026-10-05T01:59:59.000Z",
        "2026-10-05T02:00:00.000Z",
    )
    assert (second["device"], second["metrics"], second["kinds"]) == ("x", [], [])
    assert world.items("/enrolment", province="LA-VT") == []


def test_an_example_is_bounded_and_escaped(world: World) -> None:
    """Nothing that a stranger sends reaches a screen as it is, and no more than 1,000 bytes."""
    details = world.get("/enrolment/x")
    example = details["example"]
    assert (len(example["payload"]), example["whole"]) == (4000, False)
    assert set(example["payload"]) == set("\\xf")
    send(world, "y", HOSTILE)
    example = world.get("/enrolment/y")["example"]
    assert example["payload"].isprintable()
    assert example["payload"].endswith("\\x07")
    assert example["whole"]
    document = world.get("/openapi.json")
    path = document["paths"]["/api/v1/enrolment/{device}"]["get"]["responses"]["200"]
    check(details, path["content"]["application/json"]["schema"], document)


def test_names_that_a_device_chose_are_escaped(world: World) -> None:
    """A metric's name with a character that turns the line around does not do so."""
    name = "a\u202eb" + "x" * 200
    send(world, "z", telemetry(**{name: 1.0}))
    (metric,) = world.get("/enrolment/z")["metrics"]
    assert metric.startswith("a\\u202eb")
    assert len(metric) < 100


def test_an_accepted_device_is_registered(world: World) -> None:
    """It is in the registry at once, no longer pending, and what its kind has not is named."""
    send(world, "tank", telemetry(level_m=1, dns_ms=2))
    accepted = post(world, "/enrolment/tank/accept", {**OF_TANK, "params": {"height_m": 4}})
    assert accepted.status_code == 200, accepted.text
    assert accepted.json() == {
        **OF_TANK,
        "device": "tank",
        "uplink": 1,
        "params": {"height_m": 4},
        "messages": 1,
        "unknown_metrics": ["dns_ms"],
    }
    assert world.get("/devices/tank")["params"] == {"height_m": 4}
    assert "tank" not in [one["device"] for one in world.items("/enrolment")]
    world.problem(404, "/enrolment/tank")
    problem_of(post(world, "/enrolment/tank/accept", OF_TANK), 404)


@pytest.mark.parametrize(
    ("change", "field", "allowed"),
    [
        ({"site": "nowhere"}, "site", "a site of the registry"),
        ({"site": "clinic"}, "site", "a site in LA-LP, where it sends"),
        ({"site": "'; DROP TABLE sites; --"}, "site", "text like"),
        ({"kind": "connectivity-prob"}, "kind", "connectivity-probe"),
        ({"interval_s": 0}, "interval_s", "above 0"),
        ({"interval_s": 86_401}, "interval_s", "at most 86400"),
        ({"interval_s": True}, "interval_s", None),
        ({"uplink": 2}, "uplink", "1 (uplinks of site office)"),
        ({"params": {"x": float("nan")}}, "params", "within a double"),
        ({"params": {"x": 10**400}}, "params", "within a double"),
        ({"params": {"x": "\ud800"}}, "params", "texts"),
        ({"more": 1}, "more", None),
    ],
)
def test_what_does_not_fit_is_named(
    world: World, change: dict[str, Any], field: str, allowed: str | None
) -> None:
    """Field, what was got and what is allowed; nothing is changed."""
    before = load_registry(world.ledger)
    (error,) = problem_of(post(world, "/enrolment/n-probe/accept", {**AS_PROBE, **change}), 422)[
        "errors"
    ]
    assert error["field"] == field
    assert allowed is None or allowed in error["allowed"]
    assert load_registry(world.ledger) == before
    assert len(world.items("/enrolment")) == 2


def test_a_refused_device_is_no_longer_pending(world: World) -> None:
    """It is among the refused, with who and why, and may still be accepted."""
    refused = post(world, "/enrolment/x/refuse", {"reason": " a workshop ", "days": 7})
    assert refused.status_code == 200, refused.text
    assert refused.json()["refused"] == {
        "at": "2026-10-05T02:00:00.000Z",
        "by": "admin",
        "reason": "a workshop",
        "shown_again_at": "2026-10-12T02:00:00.000Z",
    }
    assert [one["device"] for one in world.items("/enrolment")] == ["n-probe"]
    assert [one["device"] for one in world.items("/enrolment", state="refused")] == ["x"]
    assert world.items("/quarantine", device="x", state="held") != []
    assert post(world, "/enrolment/x/accept", AS_PROBE).status_code == 200
    assert world.items("/enrolment", state="refused") == []


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "days": 0}, {"reason": 1}])
def test_a_refusal_needs_a_reason(world: World, body: dict[str, Any]) -> None:
    """And a number of days that can be meant."""
    problem_of(post(world, "/enrolment/x/refuse", body), 422)


@pytest.mark.parametrize("device", ["p0", "nobody", "NOBODY", "a" * 64, "%00", "a%2Fb"])
def test_who_sent_nothing_unregistered_is_a_404(world: World, device: str) -> None:
    """A registered device too."""
    for answer in (
        world.client.get(f"/api/v1/enrolment/{device}"),
        post(world, f"/enrolment/{device}/accept", AS_PROBE),
        post(world, f"/enrolment/{device}/refuse", {"reason": "x"}),
    ):
        problem_of(answer, 404)


@pytest.mark.parametrize(("days", "status"), [(30.0, 404), (30.5, 422), ("30", 422), (True, 422)])
def test_a_whole_number_is_an_integer_however_it_is_written(
    own_world: World, days: Any, status: int
) -> None:
    """JSON has one type of numbers; a text or a truth is none."""
    answer = own_world.post("/enrolment/nobody/refuse", {"reason": "x", "days": days})
    problem_of(answer, status)

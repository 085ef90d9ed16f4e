"""Alerts: lists, filters, and acknowledging."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from storage.ledger.facts import Facts, commit
from tests.api.world import NOW, NOW_MS, World, change, problem_of

SEEN = {"by": "S. Vong", "comment": "ນາຍຊ່າງກຳລັງໄປ"}


def acknowledge(world: World, alert: str, body: Any = SEEN, **headers: str) -> httpx.Response:
    """POST an acknowledgement."""
    return world.client.post(f"/api/v1/alerts/{alert}/acknowledge", json=body, headers=headers)


@pytest.mark.parametrize(
    ("asked", "alerts"),
    [
        ({}, ["a001", "a002", "a003", "a004", "a005"]),
        ({"state": "open"}, ["a001", "a002", "a003"]),
        ({"state": "pending"}, ["a004"]),
        ({"state": "resolved"}, ["a005"]),
        ({"severity": "critical"}, ["a001"]),
        ({"province": "LA-VT"}, ["a003"]),
        ({"site": "office", "state": "firing"}, ["a001", "a002"]),
        ({"device": "c0"}, ["a003"]),
        ({"kind": "cold-chain"}, ["a003"]),
        ({"from": "2026-10-05T01:57:00Z", "to": "2026-10-05T01:59:00Z"}, ["a002", "a003"]),
    ],
)
def test_alerts_are_filtered_newest_first(
    world: World, asked: dict[str, str], alerts: list[str]
) -> None:
    """Every filter narrows the list, in pages as in one."""
    assert [row["alert"] for row in world.items("/alerts", **asked)] == alerts
    assert [row["alert"] for row in world.items("/alerts", limit=1, **asked)] == alerts


def test_an_unknown_state_is_one_error_about_state(world: World) -> None:
    """With every state that there is, `open` too."""
    errors = world.problem(422, "/alerts", state="opne")["errors"]
    assert [error["field"] for error in errors] == ["state"]
    for state in ("pending", "firing", "acknowledged", "resolved", "open"):
        assert f"'{state}'" in errors[0]["allowed"]


def test_an_alert_explains_itself(world: World) -> None:
    """An alert has its place, its times, what was expected, and both languages."""
    alert = world.get("/alerts/a001")
    assert (alert["province"], alert["kind"]) == ("LA-LP", "connectivity-probe")
    assert (alert["at"], alert["event_time"]) == (
        "2026-10-05T01:59:00.000Z",
        "2026-10-05T01:58:59.000Z",
    )
    assert alert["expected"] == [0.0, 200.0]
    assert (alert["text_en"], alert["text_lo"]) == ("too slow", "ຊ້າເກີນໄປ")
    silence = world.get("/alerts/a003")
    assert (silence["metric"], silence["expected"]) == (None, None)


def test_acknowledging_keeps_who_when_and_why(own_world: World) -> None:
    """An acknowledged alert stays open, with name, time and comment."""
    answer = acknowledge(own_world, "a001")
    assert answer.status_code == 200
    details = own_world.get("/alerts/a001")
    assert answer.json() == {name: details[name] for name in answer.json()}
    alert = answer.json()
    assert (alert["state"], alert["acknowledged_by"], alert["comment"]) == (
        "acknowledged",
        "S. Vong (admin)",
        SEEN["comment"],
    )
    assert alert["acknowledged_at"] == NOW
    assert "a001" in [row["alert"] for row in own_world.items("/alerts", state="open")]


@pytest.mark.parametrize("state", ["acknowledged", "pending", "resolved"])
def test_only_a_firing_alert_is_acknowledged(own_world: World, state: str) -> None:
    """Any other is a conflict that says what the alert is, and changes nothing."""
    alert = {"acknowledged": "a002", "pending": "a004", "resolved": "a005"}[state]
    if state == "acknowledged":
        acknowledge(own_world, alert, {"by": "first", "comment": "first"})
    before = own_world.get(f"/alerts/{alert}")
    assert problem_of(acknowledge(own_world, alert), 409)["state"] == state
    assert own_world.get(f"/alerts/{alert}") == before


@pytest.mark.parametrize("alert", ["nothing", "a001'--", "%00", "ກ"])
def test_an_unknown_alert_is_a_404(world: World, alert: str) -> None:
    """For reading as for acknowledging."""
    world.problem(404, f"/alerts/{alert}")
    problem_of(acknowledge(world, alert), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"by": "S"}, "comment"),
        ({"by": "", "comment": "x"}, "by"),
        ({"by": "S", "comment": "   "}, "comment"),
        ({"by": "S\x00", "comment": "x"}, "by"),
        ({"by": "S", "comment": "x\x00"}, "comment"),
        ({"by": 1, "comment": "x"}, "by"),
        ({"by": "S", "comment": "x" * 2001}, "comment"),
        ({"by": "S", "comment": "x", "force": True}, "force"),
        ([], "body"),
        (True, "body"),
    ],
)
def test_a_bad_acknowledgement_names_the_field(world: World, body: Any, field: str) -> None:
    """Each fault of the body is a 422 about its field."""
    errors = problem_of(acknowledge(world, "a001", body), 422)["errors"]
    assert field in [error["field"] for error in errors]


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b'{"by":"\\ud800","comment":"x"}', b"[" * 50_000, b"1e999", b""]
)
def test_a_body_that_is_no_json_is_refused(world: World, content: bytes) -> None:
    """Broken JSON, lone surrogates and endless nesting are the caller's fault."""
    answer = world.client.post(
        "/api/v1/alerts/a001/acknowledge",
        content=content,
        headers={"content-type": "application/json"},
    )
    errors = problem_of(answer, answer.status_code)["errors"]
    assert answer.status_code in (400, 422)
    assert [error["field"] for error in errors] in ([], ["body"], ["by"])


def test_a_large_body_is_refused(world: World) -> None:
    """More than 64 KiB is not read."""
    problem_of(acknowledge(world, "a001", {"by": "S", "comment": "x" * 70_000}), 413)
    chunked = world.client.post(
        "/api/v1/alerts/a001/acknowledge",
        content=iter([b" " * 40_000] * 2),
        headers={"content-type": "application/json"},
    )
    problem_of(chunked, 413)


def test_only_json_is_taken(world: World) -> None:
    """What an HTML form of another site could send is refused."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = world.client.post(
            "/api/v1/alerts/a001/acknowledge",
            content=b'{"by":"S","comment":"x"}',
            headers={"content-type": content_type},
        )
        problem_of(answer, 415)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.org"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_cannot_write(world: World, headers: dict[str, str]) -> None:
    """A POST that a browser sends from another origin is refused."""
    problem_of(acknowledge(world, "a001", **headers), 403)
    assert world.get("/alerts/a001")["state"] == "firing"


def test_our_own_page_can_write(own_world: World) -> None:
    """A POST from the origin of this server is taken."""
    own = {"origin": str(own_world.client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    assert acknowledge(own_world, "a001", **own).status_code == 200


def test_alerts_on_the_platform_itself(own_world: World) -> None:
    """They are listed without place and kind, found by their device, and counted as open."""
    before = own_world.get("/stats")["alerts_open"]
    fired = change(50, device="@platform", site="", metric="", rule="disk-full", expected=None)
    commit(own_world.ledger, Facts(position=249, alert_changes=[fired]), now_ms=NOW_MS)
    (alert,) = own_world.items("/alerts", device="@platform")
    assert (alert["device"], alert["site"], alert["rule"]) == ("@platform", "", "disk-full")
    assert (alert["province"], alert["kind"], alert["metric"]) == (None, None, None)
    assert own_world.get("/stats")["alerts_open"] == before + 1
    assert 'govsense_alerts_open{province="@platform"} 1.0' in own_world.client.get("/metrics").text
    assert acknowledge(own_world, alert["alert"]).status_code == 200

"""What operators do with alerts and incidents, and that it is kept, once, with who did it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from detection.alerts import AlertChange
from devices.readings import Readings
from storage.ledger import events
from storage.ledger.facts import Facts, commit
from tests.api.world import MINUTE_MS, NOW, NOW_MS, Somebody, World, change, problem_of

VISIBLE, CONTROL = "text with something to be seen in it", "control character"
CLOSING = {"reason": "known-problem", "text": "The sensor is on order."}


def put(world: World, *changes: AlertChange, **facts: Any) -> None:
    """Commit changes of alerts as ingest does."""
    commit(world.ledger, Facts(249, list(changes), **facts), now_ms=NOW_MS)


def acts(world: World, path: str) -> list[tuple[str, str | None, str]]:
    """(action, by, text) of a history."""
    return [(one["action"], one["by"], one["text"]) for one in world.get(path)["history"]]


def test_an_alert_shows_what_it_was_seen_by(world: World) -> None:
    """The readings and bins around the onset, none from elsewhere."""
    found = world.get("/alerts/a001")["evidence"]
    assert (found["start"], found["end"]) == ("2026-10-05T00:58:59.000Z", NOW)
    readings = found["readings"]
    assert [one["at"] for one in readings[:1] + readings[-1:]] == [
        "2026-10-05T00:59:00.000Z",
        "2026-10-05T01:59:00.000Z",
    ]
    assert (len(readings), found["complete"]) == (61, True)
    assert [one["value"] for one in readings[:3]] == [9.0, 0.0, 1.0]
    assert [one["state"] for one in found["bins"][2:4]] == ["DOWN", "DOWN"]
    assert found["bins"][0]["at"] == "2026-10-05T01:00:00.000Z"


def test_the_evidence_is_bounded(own_world: World) -> None:
    """Of a device that measures more often than it says, the first 500 readings are shown."""
    at_ms = [NOW_MS - 60 * MINUTE_MS + n * 1000 for n in range(1, 700)]
    many = Readings.of([0] * len(at_ms), at_ms, at_ms, [1.0] * len(at_ms))
    own_world.series.write(many, first=240, last=241)
    found = own_world.get("/alerts/a001")["evidence"]
    assert (len(found["readings"]), found["complete"]) == (500, False)


def test_an_alert_on_a_device_has_no_readings(world: World) -> None:
    """Its rule is about no metric."""
    assert world.get("/alerts/a003")["evidence"]["readings"] == []


def test_an_acknowledgement_holds_until_the_alert_is_over(own_world: World) -> None:
    """It is taken back by hand, given again, and ends with the alert; all of it is history."""
    own_world.become(Somebody("Vong"))
    own_world.done("/alerts/a001/acknowledge", {"comment": "seen"})
    assert own_world.get("/alerts/a001")["acknowledged_by"] == "Vong"
    own_world.become(Somebody("Phom"))
    back = own_world.done("/alerts/a001/unacknowledge", {"text": "not mine"})
    assert (back["state"], back["acknowledged_by"], back["comment"]) == ("firing", None, None)
    own_world.done("/alerts/a001/acknowledge", {"by": "S. Night", "comment": "on the way"})
    put(own_world, change(1, state="resolved", at_ms=NOW_MS + 1))
    over = own_world.get("/alerts/a001")
    assert (over["state"], over["acknowledged_by"]) == ("resolved", "S. Night (Phom)")
    assert acts(own_world, "/alerts/a001") == [
        ("firing", None, ""),
        ("acknowledge", "Vong", "seen"),
        ("unacknowledge", "Phom", "not mine"),
        ("acknowledge", "Phom", "on the way"),
        ("resolved", None, ""),
    ]
    problem_of(own_world.post("/alerts/a001/unacknowledge", {"text": "x"}), 409)


def test_taking_an_acknowledgement_back_is_no_new_firing(own_world: World) -> None:
    """The event names the action, so that nobody is told again."""
    own_world.done("/alerts/a001/acknowledge", {"comment": "seen"})
    own_world.done("/alerts/a001/unacknowledge", {"text": "not mine"})
    told = [one.data for one in events.since(own_world.ledger, 0, 1000)][-2:]
    assert [(one["state"], one["action"]) for one in told] == [
        ("acknowledged", "acknowledge"),
        ("firing", "unacknowledge"),
    ]


def test_comments_are_kept_in_their_order(own_world: World) -> None:
    """With lines and Lao, on an alert that is over too; the same twice in a row is one."""
    for text in ("first\nsecond line", "ໂທແລ້ວ", "ໂທແລ້ວ"):
        own_world.done("/alerts/a005/comments", {"text": text})
    said = [one for one in acts(own_world, "/alerts/a005") if one[0] == "comment"]
    assert [text for _, _, text in said] == ["first\nsecond line", "ໂທແລ້ວ"]
    assert own_world.get("/alerts/a005")["revision"] == 2


@pytest.mark.parametrize("text", ["", "  ", "x" * 2001, "bell\x07", "esc\x1b[2J", "nul\x00", None])
def test_a_comment_is_plain_and_bounded(world: World, text: Any) -> None:
    """Anything else is a 422 about `text`."""
    answer = world.post("/alerts/a001/comments", {"text": text})
    assert [e["field"] for e in problem_of(answer, 422)["errors"]] == ["text"]


def test_a_request_that_comes_again_is_done_once(own_world: World) -> None:
    """By its key; another request with the same key is refused, another person's is not."""
    for _ in range(3):
        own_world.done("/alerts/a001/comments", {"text": "called"}, idempotency_key="k1")
        own_world.done("/alerts/a001/comments", {"text": "other"}, idempotency_key="k2")
    assert len(acts(own_world, "/alerts/a001")) == 3
    reused = own_world.post("/alerts/a001/comments", {"text": "more"}, idempotency_key="k1")
    assert problem_of(reused, 422)["errors"][0]["field"] == "Idempotency-Key"
    own_world.become(Somebody("Phom"))
    own_world.done("/alerts/a001/comments", {"text": "more"}, idempotency_key="k1")
    assert len(acts(own_world, "/alerts/a001")) == 4
    bad = own_world.post("/alerts/a001/comments", {"text": "x"}, idempotency_key="a b")
    problem_of(bad, 422)


def test_a_key_that_many_send_at_once_is_done_once(own_world: World) -> None:
    """A client that times out and tries again while the first try runs."""
    with ThreadPoolExecutor(8) as pool:
        tries = [
            pool.submit(
                own_world.done, "/alerts/a001/comments", {"text": "called"}, idempotency_key="k"
            )
            for _ in range(16)
        ]
        assert {one.result()["revision"] for one in tries} == {1}
    assert len(acts(own_world, "/alerts/a001")) == 2


def test_two_who_assign_do_not_overwrite_each_other(own_world: World) -> None:
    """Out of somebody's hands only with the revision that was seen, and not with an old one."""
    path = "/alerts/a001/assign"
    first = own_world.done(path, {"to": "Phom"})
    assert (first["assigned_to"], first["revision"]) == ("Phom", 1)
    assert own_world.done(path, {"to": "Phom"})["revision"] == 1
    refused = problem_of(own_world.post(path, {"to": "Keo"}), 428)
    assert (refused["assigned_to"], refused["revision"]) == ("Phom", 1)
    assert own_world.done(path, {"to": "Keo"}, if_match='"1"')["assigned_to"] == "Keo"
    stale = problem_of(own_world.post(path, {"to": None}, if_match='"1"'), 412)
    assert stale["revision"] == 2
    assert own_world.done(path, {"to": None}, if_match='"2"')["assigned_to"] is None
    problem_of(own_world.post(path, {"to": "x" * 101}), 422)
    problem_of(own_world.post(path, {"to": "Keo"}, if_match="2"), 422)
    assert acts(own_world, "/alerts/a001")[1:] == [("assign", "admin", "")] * 3


def test_a_closed_alert_does_not_fire_again_before_it_is_over(own_world: World) -> None:
    """Its condition goes on and opens nothing; when that is over and returns, something does."""
    closed = own_world.done("/alerts/a001/close", CLOSING)
    assert (closed["state"], closed["close_reason"]) == ("closed", "known-problem")
    assert own_world.done("/alerts/a001/close", CLOSING)["revision"] == 1
    problem_of(own_world.post("/alerts/a001/close", {**CLOSING, "reason": "other"}), 409)
    problem_of(own_world.post("/alerts/a001/acknowledge", {"comment": "x"}), 409)
    same = {"rule": "rule-1", "severity": "critical"}
    before = events.last_id(own_world.ledger)
    put(own_world, change(1, at_ms=NOW_MS + 1), change(7, **same))
    assert events.last_id(own_world.ledger) == before
    assert own_world.get("/alerts/a001")["state"] == "closed"
    assert "a001" not in [one["alert"] for one in own_world.items("/alerts", state="open")]
    assert [one["alert"] for one in own_world.items("/alerts", state="closed")] == ["a001"]
    put(own_world, change(1, state="resolved", at_ms=NOW_MS + 2), change(8, **same))
    states = {one["alert"]: one["state"] for one in own_world.items("/alerts")}
    assert (states["a001"], states["a008"]) == ("resolved", "firing")
    assert [act for act, _, _ in acts(own_world, "/alerts/a001")] == ["firing", "close", "resolved"]


@pytest.mark.parametrize("alert", ["a004", "a005"])
def test_only_an_open_alert_is_closed(world: World, alert: str) -> None:
    """One that is pending may never fire; one that is over needs it no more."""
    problem_of(world.post(f"/alerts/{alert}/close", CLOSING), 409)
    bad = world.post("/alerts/a001/close", {"reason": "because", "text": "x"})
    assert "'false-alarm'" in problem_of(bad, 422)["errors"][0]["allowed"]


def test_an_incident_is_closed_with_its_alerts(own_world: World) -> None:
    """For the same reason; it goes on being followed, and is no longer listed as open."""
    put(own_world, incident_of={"a001": "i1", "a004": "i1", "a005": "i1"})
    own_world.done("/incidents/i1/comments", {"text": "called LTC"})
    own_world.done("/incidents/i1/assign", {"to": "Phom", "text": "has the phone"})
    closed = own_world.done("/incidents/i1/close", {"reason": "not-our-duty", "text": "LTC's"})
    assert (closed["closed_by"], closed["close_reason"]) == ("admin", "not-our-duty")
    found = own_world.get("/incidents/i1")
    assert {one["alert"]: one["state"] for one in found["alerts"]} == {
        "a001": "closed",
        "a004": "pending",
        "a005": "resolved",
    }
    assert [act for act, _, _ in acts(own_world, "/incidents/i1")] == [
        "open", "comment", "assign", "close",
    ]  # fmt: skip
    assert own_world.get("/alerts/a001")["history"][-1]["data"] == {
        "reason": "not-our-duty",
        "with": "i1",
    }
    assert own_world.items("/incidents", state="open") == []
    assert [one["incident"] for one in own_world.items("/incidents", state="closed")] == ["i1"]
    over = {"reason": "other", "text": "x"}
    problem_of(own_world.post("/incidents/i2/close", over), 409)
    problem_of(own_world.post("/incidents/nothing/close", over), 404)


@pytest.mark.parametrize("action", ["acknowledge", "unacknowledge", "comments", "assign", "close"])
@pytest.mark.parametrize("alert", ["nothing", "a001'--", "%00", "ກ"])
def test_nothing_is_done_to_what_is_not_there(world: World, action: str, alert: str) -> None:
    """It is a 404, whatever its name is made of."""
    bodies = {"acknowledge": {"comment": "x"}, "assign": {"to": "x"}, "close": CLOSING}
    problem_of(world.post(f"/alerts/{alert}/{action}", bodies.get(action, {"text": "x"})), 404)


@pytest.mark.parametrize(
    ("asked", "alerts"),
    [
        ({"agency": "Health"}, ["a003"]),
        ({"rule": "rule-2"}, ["a002"]),
        ({"text": "TOO SLOW", "rule": "rule-2"}, ["a002"]),
        ({"text": "ຊ້າ", "site": "clinic"}, ["a003"]),
        ({"text": "100%"}, []),
        ({"text": "t_o"}, []),
        ({"incident": "i1"}, ["a001", "a003"]),
        ({"cause": "backbone"}, ["a001", "a003"]),
        ({"cause": "backbone", "province": "LA-VT"}, ["a003"]),
    ],
)
def test_a_history_is_searched(own_world: World, asked: dict[str, str], alerts: list[str]) -> None:
    """By whose it is, why, and in words."""
    put(own_world, incident_of={"a001": "i1", "a003": "i1"})
    assert [one["alert"] for one in own_world.items("/alerts", limit=1, **asked)] == alerts


@pytest.mark.parametrize(
    ("asked", "incidents"),
    [
        ({"site": "clinic"}, ["i2", "i1"]),
        ({"province": "LA-VT", "cause": "backbone"}, ["i1"]),
        ({"agency": "Nobody"}, []),
        ({"rule": "rule-1"}, ["i1"]),
        ({"severity": "critical"}, ["i1"]),
        ({"severity": "info"}, []),
        ({"text": "FAILED within"}, ["i2", "i1"]),
        ({"text": "ຂັດຂ້ອງ"}, ["i2", "i1"]),
        ({"text": "a mast fell"}, []),
    ],
)
def test_incidents_are_searched(
    own_world: World, asked: dict[str, str], incidents: list[str]
) -> None:
    """By their sites, their alerts and their evidence."""
    put(own_world, incident_of={"a001": "i1"})
    assert [one["incident"] for one in own_world.items("/incidents", limit=1, **asked)] == incidents


@pytest.mark.parametrize(
    ("action", "body", "field", "reason", "allowed"),
    [
        ("acknowledge", {}, "comment", "is missing", None),
        ("acknowledge", [], "body", "is not an object", "a JSON object"),
        ("acknowledge", {"comment": " "}, "comment", "is empty", VISIBLE),
        ("comments", {"text": "a\0b"}, "text", f"holds a {CONTROL}", f"text without {CONTROL}s"),
        ("comments", {"text": "x" * 2001}, "text", "is too long", "at most 2000 characters"),
        ("comments", {"text": 5}, "text", "is not text", "text"),
        ("assign", {"to": ""}, "to", "is empty", VISIBLE),
        ("assign", {"to": "a\nb"}, "to", f"holds a line break or another {CONTROL}",
         "text on one line"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_body_is_said_in_plain_words(
    world: World, action: str, body: Any, field: str, reason: str, allowed: str | None
) -> None:
    """No pattern and no word of a programmer where an operator reads."""
    problem = problem_of(world.post(f"/alerts/a001/{action}", body), 422)
    (error,) = problem["errors"]
    assert (error["field"], error["reason"], error["allowed"]) == (field, reason, allowed)
    assert problem["detail"] == f"{field}: {reason}"


def test_a_misspelt_field_is_not_known(world: World) -> None:
    """And the one that was meant is missing."""
    errors = problem_of(world.post("/alerts/a001/acknowledge", {"coment": "x"}), 422)["errors"]
    assert {error["field"]: error["reason"] for error in errors} == {
        "comment": "is missing",
        "coment": "is not known here; check its spelling",
    }


def test_a_revision_without_quotes_is_told_how_it_is_written(world: World) -> None:
    """A header is easily sent without them."""
    answer = world.post("/alerts/a001/assign", {"to": "Phom"}, if_match="3")
    (error,) = problem_of(answer, 422)["errors"]
    assert (error["reason"], error["got"]) == ("is not a revision in quotes", "3")

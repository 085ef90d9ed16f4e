"""Silences and maintenance: who may make them, of what, for how long, and what they mute."""

from __future__ import annotations

from typing import Any

import pytest

from api.times import iso
from storage.ledger.actions import Deed, KeyReusedError
from storage.ledger.keys import find_key, rotate_key
from storage.ledger.sight import Sight
from storage.ledger.windows import Plan, Terms, propose
from tests.api.world import DAY_MS, HOUR_MS, MINUTE_MS, NOW, NOW_MS, Somebody, World, problem_of

VONG, PHOM, ADMIN = Somebody("Vong"), Somebody("Phom"), Somebody("Boss", "admin")


def asked(kind: str = "silence", reach: str = "site", name: str = "office", **more: Any) -> Any:
    """The body of a window from now on for an hour."""
    body = {"kind": kind, "scope": {"type": reach, "id": name}, "end": iso(NOW_MS + HOUR_MS)}
    return {**body, "reason": "A new router.", **more}


def refused(world: World, body: Any, status: int = 422) -> list[str | None]:
    """The fields that a refusal names."""
    return [e["field"] for e in problem_of(world.post("/windows", body), status)["errors"]]


def ids(world: World, **filters: Any) -> list[str]:
    """Windows of a list, in pages of one."""
    return [one["window"] for one in world.items("/windows", limit=1, **filters)]


def test_a_silence_begins_at_once_and_is_ended_early(own_world: World) -> None:
    """With author, reason, place and history."""
    own_world.become(VONG)
    made = own_world.done("/windows", asked())
    assert (made["status"], made["start"], made["author"]) == ("active", NOW, "Vong")
    assert (made["province"], made["agency"], made["late"]) == ("LA-LP", "Interior", False)
    own_world.now_ms += 10 * MINUTE_MS
    own_world.become(PHOM)
    ended = own_world.done(f"/windows/{made['window']}/end", {"text": "It is in."})
    assert (ended["status"], ended["end"]) == ("over", iso(NOW_MS + 10 * MINUTE_MS))
    own_world.now_ms += MINUTE_MS
    assert own_world.done(f"/windows/{made['window']}/end", {"text": "Again."}) == ended
    history = own_world.get(f"/windows/{made['window']}")["history"]
    assert [(one["action"], one["by"], one["text"]) for one in history] == [
        ("propose", "Vong", "A new router."),
        ("end", "Phom", "It is in."),
    ]


def test_the_same_window_is_made_once(own_world: World) -> None:
    """By its key for ever, by its content until it is ended; another author has another one."""
    own_world.become(VONG)
    first = own_world.done("/windows", asked())
    own_world.now_ms += 5 * MINUTE_MS
    assert own_world.done("/windows", asked())["window"] == first["window"]
    own_world.done(f"/windows/{first['window']}/end", {"text": "x"})
    second = own_world.done("/windows", asked())["window"]
    keyed = own_world.done("/windows", asked(), idempotency_key="k1")["window"]
    own_world.become(PHOM)
    other = own_world.done("/windows", asked())["window"]
    assert len({first["window"], second, keyed, other}) == 4
    own_world.become(VONG)
    own_world.done(f"/windows/{keyed}/end", {"text": "x"})
    assert own_world.done("/windows", asked(), idempotency_key="k1")["window"] == keyed
    reused = own_world.post("/windows", asked(reason="other"), idempotency_key="k1")
    assert problem_of(reused, 422)["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("reach", "name"), [("country", ""), ("provider", "LTC"), ("rule", "silence")]
)
def test_a_national_window_needs_a_second_person(own_world: World, reach: str, name: str) -> None:
    """It mutes nothing before another operator has approved it, and then from there on."""
    own_world.become(VONG)
    made = own_world.done("/windows", asked("silence", reach, name))
    path = f"/windows/{made['window']}"
    assert made["status"] == "proposed"
    assert own_world.get("/alerts/a003")["muted"] == "silenced"  # by the clinic's own silence
    assert own_world.get("/alerts/a001")["muted"] == "part-of-incident"
    own_world.now_ms += 10 * MINUTE_MS
    others = [Somebody("Eye", "viewer"), Somebody("Eye", "auditor")]
    partial = [Somebody("Keo", provinces=("LA-LP",)), Somebody("Bo", agencies=("Health",))]
    for caller in (VONG, *others, *partial):
        own_world.become(caller)
        problem_of(own_world.post(f"{path}/approve", {"text": "yes"}), 403)
    own_world.become(PHOM)
    approved = own_world.done(f"{path}/approve", {"text": "yes"}, if_match='"1"')
    assert (approved["status"], approved["approved_by"]) == ("active", "Phom")
    assert approved["start"] == iso(NOW_MS + 10 * MINUTE_MS)
    assert own_world.done(f"{path}/approve", {"text": "yes"}) == approved
    muted = own_world.get("/alerts/a003" if reach == "rule" else "/alerts/a001")["muted"]
    assert muted == "silenced"
    own_world.become(ADMIN)
    problem_of(own_world.post(f"{path}/approve", {"text": "me too"}), 409)
    problem_of(own_world.post(f"{path}/end", {"text": "x"}, if_match='"1"'), 412)


def test_another_key_of_the_same_person_is_no_second_person(own_world: World) -> None:
    """Neither one that replaces the first, nor one of the same name."""
    first = own_world.key("operator", name="S. Vong")
    known = find_key(own_world.ledger, first)
    assert known is not None
    with own_world.calling(first) as client:
        made = client.post("/api/v1/windows", json=asked("silence", "country", "")).json()
    rotated = rotate_key(
        own_world.ledger, known.id, days=1, overlap_h=1, now_ms=own_world.machine_ms, by="test"
    )
    for key in (rotated.text, own_world.key("admin", name=" s.  VONG")):
        with own_world.calling(key) as client:
            answer = client.post(f"/api/v1/windows/{made['window']}/approve", json={"text": "yes"})
            assert "same person" in problem_of(answer, 403)["detail"]


@pytest.mark.parametrize("key", ["k1", None])
def test_a_window_that_its_author_sees_no_longer_is_no_trap(
    own_world: World, key: str | None
) -> None:
    """Whose sight was changed in between is told that the key, or the plan, has come before."""
    deed = Deed("oidc:u1", "U", NOW_MS, key)
    plan = Plan("silence", "site", "clinic", None, NOW_MS + HOUR_MS, "x")
    terms = Terms("LA-VT", "Health", NOW_MS, is_late=False, needs_second=False)
    propose(own_world.ledger, plan, terms, deed)
    elsewhere = own_world.ledger.seen_by(Sight(frozenset({"LA-LP"})))
    with pytest.raises(KeyReusedError):
        propose(elsewhere, plan, terms._replace(province="LA-LP"), deed)


def test_a_proposal_is_withdrawn_or_runs_out(own_world: World) -> None:
    """Neither can be approved any more."""
    own_world.become(VONG)
    gone = own_world.done("/windows", asked("maintenance", "provider", "LTC"))
    withdrawn = own_world.done(f"/windows/{gone['window']}/end", {"text": "another day"})
    assert withdrawn["status"] == "withdrawn"
    late = own_world.done("/windows", asked("silence", "country", ""))
    own_world.now_ms += 2 * HOUR_MS
    assert own_world.get(f"/windows/{late['window']}")["status"] == "expired"
    own_world.become(PHOM)
    for window in (gone, late):
        problem_of(own_world.post(f"/windows/{window['window']}/approve", {"text": "yes"}), 409)
    assert ids(own_world, status="withdrawn") == [gone["window"]]
    assert ids(own_world, status="expired") == [late["window"]]


def test_the_past_is_rewritten_by_admins_only(own_world: World) -> None:
    """Maintenance of the last four days; a silence never; and an admin takes it back."""
    past = iso(NOW_MS - 3 * HOUR_MS)
    body = asked("maintenance", start=past, end=iso(NOW_MS - HOUR_MS))
    own_world.become(VONG)
    problem_of(own_world.post("/windows", body), 403)
    own_world.become(ADMIN)
    assert refused(own_world, {**body, "kind": "silence"}) == ["start"]
    assert refused(own_world, {**body, "start": iso(NOW_MS - 5 * DAY_MS)}) == ["start"]
    made = own_world.done("/windows", body)
    assert (made["status"], made["late"], made["start"]) == ("over", True, past)
    own_world.become(VONG)
    problem_of(own_world.post(f"/windows/{made['window']}/end", {"text": "x"}), 409)
    own_world.become(ADMIN)
    back = own_world.done(f"/windows/{made['window']}/end", {"text": "wrong site"})
    assert back["status"] == "withdrawn"
    national = {**body, "scope": {"type": "provider", "id": "LTC"}}
    proposed = own_world.done("/windows", national)
    path = f"/windows/{proposed['window']}/approve"
    assert ids(own_world, status="proposed") == [proposed["window"]]
    own_world.become(PHOM)
    problem_of(own_world.post(path, {"text": "yes"}), 403)
    own_world.become(Somebody("Chief", "admin"))
    approved = own_world.done(path, {"text": "yes"})
    assert (approved["status"], approved["start"]) == ("over", past)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (asked(end=NOW), "end"),
        (asked(end=iso(NOW_MS + 7 * DAY_MS + 1)), "end"),
        (asked("maintenance", end=iso(NOW_MS + 14 * DAY_MS + 1)), "end"),
        (asked(start=iso(NOW_MS + HOUR_MS)), "end"),
        (asked(start=iso(NOW_MS + 367 * DAY_MS), end=iso(NOW_MS + 368 * DAY_MS)), "start"),
        (asked(end=1_791_165_600_001), "end"),
        (asked(end="2026-10-05T03:00:00"), "end"),
        (asked(start=-(10**30)), "start"),
        (asked(reason=""), "reason"),
        (asked(reason="\x07"), "reason"),
        (asked("holiday"), "kind"),
        (asked(reach="planet"), "scope.type"),
        (asked(name="offise"), "scope.id"),
        (asked(reach="device", name="p9"), "scope.id"),
        (asked(reach="province", name="LA-XX"), "scope.id"),
        (asked(reach="district", name="LA-LP/nowhere"), "scope.id"),
        (asked(reach="provider", name="Nobody"), "scope.id"),
        (asked(reach="agency", name="Nobody"), "scope.id"),
        (asked(reach="feeder", name=""), "scope.id"),
        (asked(reach="rule", name="silense"), "scope.id"),
        (asked(reach="country", name="LA"), "scope.id"),
        (asked(author="me"), "author"),
    ],
)
def test_a_window_that_cannot_be_is_refused(world: World, body: Any, field: str) -> None:
    """With the field that is wrong; nothing is kept."""
    before = ids(world)
    assert refused(world, body) == [field]
    assert ids(world) == before


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (NOW, "is not after the start"),
        (iso(NOW_MS + 7 * DAY_MS + 1), "makes a silence of more than 7 days"),
        (
            "2026-10-05T03:00:00",
            "has no zone: append Z for UTC, or +07:00 for Laos (in a URL %2B07:00)",
        ),
    ],
)
def test_a_refused_end_says_why(world: World, end: str, reason: str) -> None:
    """Too early, too late, or nobody knows when; the zone as it is written in a body."""
    (error,) = problem_of(world.post("/windows", asked(end=end)), 422)["errors"]
    assert error["reason"] == reason


@pytest.mark.parametrize(
    ("reach", "name", "lp", "health"),
    [
        ("site", "office", True, False),
        ("device", "p0", True, False),
        ("device", "c0", False, True),
        ("province", "LA-LP", True, False),
        ("district", "LA-LP/xieng-ngeun", True, False),
        ("province", "LA-VT", False, False),
        ("agency", "Health", False, True),
        ("agency", "Interior", False, False),
        ("feeder", "F1", False, False),
        ("provider", "LTC", False, False),
        ("country", "", False, False),
    ],
)
def test_who_sees_a_part_makes_windows_of_that_part(
    own_world: World, reach: str, name: str, lp: bool, health: bool
) -> None:
    """One of a province only within it, one of an agency only of its own sites."""
    for caller, may in (
        (Somebody("Lp", provinces=("LA-LP",)), lp),
        (Somebody("He", agencies=("Health",)), health),
    ):
        own_world.become(caller)
        answer = own_world.post("/windows", asked("silence", reach, name))
        assert (answer.status_code == 200) == may, answer.text
        assert answer.status_code in (200, 403, 422), answer.text


def test_windows_of_other_parts_are_not_seen(own_world: World) -> None:
    """Neither listed nor found nor ended; those of the whole country are everybody's to see."""
    office = own_world.done("/windows", asked())["window"]
    country = own_world.done("/windows", asked("silence", "country", ""))["window"]
    (clinic,) = set(ids(own_world)) - {office, country}
    own_world.become(Somebody("Vt", provinces=("LA-VT",)))
    assert set(ids(own_world)) == {country, clinic}
    own_world.problem(404, f"/windows/{office}")
    problem_of(own_world.post(f"/windows/{office}/end", {"text": "x"}), 404)
    problem_of(own_world.post(f"/windows/{country}/end", {"text": "x"}), 403)
    own_world.become(Somebody("In", agencies=("Interior",)))
    assert set(ids(own_world)) == {country, office}


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 3),
        ({"kind": "maintenance"}, 1),
        ({"status": "active"}, 2),
        ({"status": "planned"}, 1),
        ({"scope": "site"}, 2),
        ({"scope": "site", "id": "office"}, 1),
        ({"province": "LA-LP"}, 2),
        ({"agency": "Health"}, 1),
        ({"to": NOW}, 0),
        ({"from": iso(NOW_MS + 2 * HOUR_MS)}, 1),
    ],
)
def test_windows_are_filtered(own_world: World, filters: dict[str, str], count: int) -> None:
    """Each filter narrows the list, in pages as in one."""
    own_world.done("/windows", asked())
    tomorrow = {"start": iso(NOW_MS + DAY_MS), "end": iso(NOW_MS + DAY_MS + HOUR_MS)}
    own_world.done("/windows", asked("maintenance", "province", "LA-LP", **tomorrow))
    assert len(ids(own_world, **filters)) == count


@pytest.mark.parametrize(
    ("reach", "name", "muted"),
    [
        ("device", "p0", True),
        ("device", "n0", False),
        ("district", "LA-LP/luangprabang", True),
        ("district", "LA-LP/xieng-ngeun", False),
        ("province", "LA-LP", True),
        ("agency", "Interior", True),
        ("agency", "Health", False),
        ("feeder", "F1", True),
    ],
)
def test_a_window_mutes_and_touches_nothing(
    own_world: World, reach: str, name: str, muted: bool
) -> None:
    """An alert says why nobody is told of it, and is as it was."""
    before = own_world.get("/alerts/a001")
    own_world.done("/windows", asked("maintenance", reach, name))
    after = own_world.get("/alerts/a001")
    assert after["muted"] == ("maintenance" if muted else "part-of-incident")
    assert {**after, "muted": "part-of-incident"} == before

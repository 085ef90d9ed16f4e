"""Incidents: lists, filters, history. Availability: the arithmetic of a site's bins."""

from __future__ import annotations

import pytest

from tests.api.world import Somebody, World


@pytest.mark.parametrize(
    ("asked", "incidents"),
    [
        ({}, ["i2", "i1"]),
        ({"state": "open"}, ["i1"]),
        ({"state": "resolved"}, ["i2"]),
        ({"cause": "backbone"}, ["i1"]),
        ({"scope": "site"}, ["i2"]),
        ({"from": "2026-10-05T01:55:00Z"}, ["i2", "i1"]),
        ({"to": "2026-10-05T01:55:00Z"}, []),
    ],
)
def test_incidents_are_filtered_newest_first(
    world: World, asked: dict[str, str], incidents: list[str]
) -> None:
    """Every filter narrows the list, in pages as in one."""
    assert [row["incident"] for row in world.items("/incidents", **asked)] == incidents
    assert [row["incident"] for row in world.items("/incidents", limit=1, **asked)] == incidents


def test_an_incident_shows_what_it_went_through(world: World) -> None:
    """What it is now, and after each change before, the oldest first."""
    incident = world.get("/incidents/i1")
    assert (incident["cause"], incident["state"]) == ("backbone", "updated")
    assert incident["scope"] == {"type": "province", "id": "LA-LP"}
    assert incident["opened_at"] == "2026-10-05T01:55:00.000Z"
    assert incident["at"] == "2026-10-05T01:56:00.000Z"
    assert [change["cause"] for change in incident["changes"]] == ["unknown", "backbone"]
    assert incident["evidence_lo"][0].startswith("2 ໃນ 2")


@pytest.mark.parametrize("name", ["i9", "i1%00", "ໜຶ່ງ"])
def test_an_incident_that_is_not_there_is_a_404(world: World, name: str) -> None:
    """Whatever its name is made of."""
    world.problem(404, f"/incidents/{name}")


def test_hidden_evidence_cannot_be_guessed_by_searching_it(own_world: World) -> None:
    """Words of it find an incident only for who sees all of its sites, and so its evidence."""
    words = "sites of province"
    found = [one["incident"] for one in own_world.items("/incidents", text=words)]
    assert "i1" in found
    own_world.become(Somebody("Both", provinces=("LA-LP", "LA-VT")))
    assert [one["incident"] for one in own_world.items("/incidents", text=words)] == found
    own_world.become(Somebody("Keo", provinces=("LA-LP",)))
    mine = {one["incident"]: one for one in own_world.items("/incidents")}
    assert mine["i1"]["evidence"] == []
    assert own_world.items("/incidents", text=words) == []


def test_availability_is_that_of_the_bins(world: World) -> None:
    """U = 7, G = 1, D = 2, K = 1, one left out: the formulas of docs/incidents.md."""
    found = world.get("/sites/office/availability")
    states = ("up", "degraded", "down", "unknown", "excluded")
    assert [found[name] for name in states] == [7, 1, 2, 1, 1]
    assert found["availability"] == pytest.approx(8 / 10)
    assert (found["lower"], found["upper"]) == (pytest.approx(8 / 11), pytest.approx(9 / 11))
    assert (found["coverage"], found["sufficient"]) == (pytest.approx(10 / 11), True)
    assert found["quality_ok"] == pytest.approx(7 / 8)
    (outage,) = found["outages"]
    assert (outage["started_at"], outage["minutes"]) == ("2026-10-05T01:10:00.000Z", 10)
    assert not outage["open"]


def test_availability_of_a_time_without_bins_is_null(world: World) -> None:
    """Nothing known is not 100 %, and not 0 %."""
    found = world.get("/sites/office/availability", to="2026-10-05T01:00:00Z")
    assert (found["availability"], found["lower"], found["outages"]) == (None, None, [])


def test_availability_refuses_what_it_cannot_answer(world: World) -> None:
    """A site that there is not; a time that is too long."""
    world.problem(404, "/sites/nowhere/availability")
    problem = world.problem(422, "/sites/office/availability", from_="2026-01-05T01:00:00Z")
    assert problem["errors"][0]["allowed"] == "at most 92 days"

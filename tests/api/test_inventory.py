"""Kinds, provinces, districts, sites and devices."""

from __future__ import annotations

import pytest

from devices.geography import DISTRICTS, PROVINCES
from devices.kinds import KINDS
from tests.api.world import NOW, World


def test_every_kind_is_listed_with_its_metrics(world: World) -> None:
    """/kinds is the table of kinds and metrics."""
    listed = {item["kind"]: item["metrics"] for item in world.items("/kinds")}
    assert {kind: {m["metric"] for m in metrics} for kind, metrics in listed.items()} == {
        kind.name: set(kind.metrics) for kind in KINDS.values()
    }


def test_provinces_tell_heard_from_silent_from_never_heard(world: World) -> None:
    """Every province is listed, also those of which nothing is known."""
    provinces = {item["province"]: item for item in world.items("/provinces")}
    assert set(provinces) == set(PROVINCES)
    assert provinces["LA-LP"]["devices"] == {
        "registered": 1, "active": 1, "silent": 0, "abandoned": 0,
    }  # fmt: skip
    assert provinces["LA-VT"]["devices"] == {
        "registered": 1, "active": 0, "silent": 1, "abandoned": 1,
    }  # fmt: skip
    assert provinces["LA-LP"]["open_alerts"] == 2
    assert provinces["LA-VT"]["open_alerts"] == 1
    assert provinces["LA-XE"]["sites"] == 0


def test_districts_of_one_province(world: World) -> None:
    """/districts may be asked for one province."""
    assert len(world.items("/districts")) == len(DISTRICTS)
    here = world.items("/districts", province="LA-LP")
    assert {item["district"] for item in here} == {d for p, d in DISTRICTS if p == "LA-LP"}


def test_a_site_shows_its_uplinks_and_devices(world: World) -> None:
    """/sites/{id} holds the registry's facts and the devices that stand there."""
    site = world.get("/sites/office")
    assert site["name_lo"] == "ຫ້ອງການ"
    assert site["uplinks"][0]["contracted_down_mbps"] == 50.0
    assert [device["device"] for device in site["devices"]] == ["n0", "p0"]
    assert world.get("/sites/clinic")["feeder"] is None


@pytest.mark.parametrize(
    ("asked", "sites"),
    [
        ({"province": "LA-VT"}, ["clinic"]),
        ({"class": "office"}, ["office"]),
        ({"agency": "Health"}, ["clinic"]),
        ({"agency": "Health", "province": "LA-LP"}, []),
    ],
)
def test_sites_are_filtered(world: World, asked: dict[str, str], sites: list[str]) -> None:
    """Filters of /sites narrow it together."""
    assert [site["site"] for site in world.items("/sites", **asked)] == sites


@pytest.mark.parametrize(
    ("asked", "devices"),
    [
        ({}, ["c0", "n0", "n1", "old", "p0"]),
        ({"lifecycle": "registered"}, ["n0", "n1"]),
        ({"lifecycle": "active"}, ["p0"]),
        ({"lifecycle": "silent"}, ["c0"]),
        ({"lifecycle": "abandoned"}, ["old"]),
        ({"kind": "environment", "province": "LA-VT"}, ["n1", "old"]),
        ({"site": "office"}, ["n0", "p0"]),
    ],
)
def test_devices_are_filtered(world: World, asked: dict[str, str], devices: list[str]) -> None:
    """Filters of /devices narrow it; a page at a time gives the same as one page."""
    assert [row["device"] for row in world.items("/devices", **asked)] == devices
    assert [row["device"] for row in world.items("/devices", limit=1, **asked)] == devices


def test_a_device_falls_silent_after_three_intervals_exactly(own_world: World) -> None:
    """At three intervals since the last message a device is active, a millisecond later silent."""
    last_seen_ms = own_world.now_ms - 60_000
    own_world.now_ms = last_seen_ms + 3 * 60_000
    assert own_world.get("/devices/p0")["lifecycle"] == "active"
    own_world.now_ms += 1
    assert own_world.get("/devices/p0")["lifecycle"] == "silent"
    own_world.now_ms = last_seen_ms + 90 * 86_400_000 + 1
    assert own_world.get("/devices/p0")["lifecycle"] == "abandoned"


def test_the_latest_readings_carry_their_event_time_and_unit(world: World) -> None:
    """/latest answers from the ledger, newest event time of each metric."""
    latest = world.get("/devices/p0/latest")
    assert latest["readings"] == [
        {"metric": "dns_ms", "unit": "ms", "at": "2026-10-05T01:59:00.000Z", "value": 100.0},
        {"metric": "nat_rtt_p50_ms", "unit": "ms", "at": "2026-10-05T01:59:00.000Z", "value": 9.0},
    ]


def test_a_device_never_heard_has_no_readings_and_no_times(world: World) -> None:
    """Unknown is null and empty, not zero."""
    device = world.get("/devices/n0")
    assert (device["state"], device["first_seen"], device["last_seen"]) == (None, None, None)
    assert world.get("/devices/n0/latest") == {
        "device": "n0", "lifecycle": "registered", "last_seen": None, "readings": [],
    }  # fmt: skip


def test_the_world_stands_at_its_time(world: World) -> None:
    """Times are ISO 8601 in UTC with milliseconds and Z, in platform time."""
    assert world.get("/stats")["now"] == NOW


@pytest.mark.parametrize("path", ["/devices/nobody", "/devices/nobody/latest", "/sites/nowhere"])
def test_an_unknown_id_is_a_404(world: World, path: str) -> None:
    """The problem names the id that was asked for."""
    assert path.split("/")[2] in world.problem(404, path)["detail"]

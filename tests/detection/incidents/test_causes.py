"""Truth tables: which evidence speaks for which cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from detection.incidents.causes import Case, cause_of_outage
from detection.incidents.group_causes import cause_of_group
from detection.incidents.groups import GroupType
from detection.outages import Evidence, Outage

HOUR_MS = 3_600_000
ISP_DEAD: dict[str, Any] = {
    "rounds": 20,
    "failed": {"isp": 20, "nat": 20, "int": 20},
    "booted": False,
}
NAT_DEAD: dict[str, Any] = {
    "rounds": 20,
    "failed": {"nat": 20, "int": 20},
    "near": 20,
    "booted": False,
}
FINE: dict[str, Any] = {"rounds": 20, "failed": {}, "booted": False}
ALL_REBOOTED: dict[str, Any] = {"booted": True, "silent_devices": 3, "site_devices": 3}


def case(
    scope: Any = "site",
    link: str = "fibre",
    hours: float | None = 1.0,
    *,
    probe: bool = True,
    flapping: bool = False,
    **evidence: Any,
) -> Case:
    """A settled outage of so many hours (None: it lasts) with this evidence."""
    ended_ms = None if hours is None else round(hours * HOUR_MS)
    outage = Outage(
        outage="o1", scope=scope, site="s1", uplink=0, devices=("d1",), onset_ms=0,
        error_ms=30_000, known_ms=180_000, ended_ms=ended_ms, returned_ms=ended_ms,
        phase="live" if ended_ms is None else "settled", measured=False, backfilled=False,
        flapping=flapping, evidence=Evidence(**evidence),
    )  # fmt: skip
    return Case(outage, link, 1, probe)


TABLE = [
    # mode of docs/incidents.md, case, cause
    ("power cut without UPS", case(**ALL_REBOOTED), "power"),
    ("power cut, measured on battery first", case(**ISP_DEAD, mains_lost=True), "power"),
    ("power cut, gateway died first",
     case(rounds=9, failed={"gw": 9, "isp": 9, "nat": 9}, mains_lost=True), "power"),
    ("power cut at a site with one device", case(booted=True), "power"),
    ("a device that comes back after a day", case(hours=30, booted=True), "unknown"),
    ("last mile cut", case(**ISP_DEAD), "last-mile"),
    ("four cuts within minutes of each other", case(**ISP_DEAD, transitions=6), "flapping"),
    ("last mile cut, the other uplink lives",
     case("uplink", hours=None, other_uplink_alive=True), "last-mile"),
    ("a satellite is away for an hour, the other uplink lives",
     case("uplink", link="vsat-geo", hours=1, other_uplink_alive=True), "unknown"),
    ("the same, for a day",
     case("uplink", link="vsat-geo", hours=24, other_uplink_alive=True), "last-mile"),
    ("the same in the rain",
     case("uplink", link="vsat-geo", hours=1, other_uplink_alive=True, esno_drop_db=6.0),
     "rain-fade"),
    ("beyond the provider", case(**NAT_DEAD), "backbone"),
    ("nothing nearer is measured", case(**{**NAT_DEAD, "near": 0}), "unknown"),
    ("gateway dead, nobody knows of mains",
     case(rounds=9, failed={"gw": 9, "isp": 9, "nat": 9}), "unknown"),
    ("nothing known yet", case(hours=None), "unknown"),
    ("bill not paid", case(**FINE, blocked=20), "blocked"),
    ("rain", case(link="vsat-geo", hours=0.5, esno_drop_db=6.0), "rain-fade"),
    ("a signal that falls on a cable", case(hours=0.5, esno_drop_db=6.0), "unknown"),
    ("a dish that is broken", case(link="vsat-geo", hours=20, esno_drop_db=6.0), "unknown"),
    ("clear sky", case(link="vsat-geo", hours=0.5, esno_drop_db=0.3), "unknown"),
    ("weak radio", case(link="4g", rsrp_dbm=-117.0), "radio"),
    ("disturbed radio", case(link="4g", rsrp_dbm=-90.0, sinr_db=-4.0), "radio"),
    ("good radio", case(link="4g", rsrp_dbm=-90.0, sinr_db=12.0), "unknown"),
    ("flapping", case(flapping=True, transitions=12), "flapping"),
    ("two devices with one name", case(boots=2, transitions=8), "duplicate-identity"),
    ("a probe that restarts in a loop",
     case("device", flapping=True, transitions=8, restarts=6, site_devices=3), "probe"),
    ("a sensor that does",
     case("device", probe=False, flapping=True, transitions=8, restarts=6, site_devices=3),
     "sensor"),
    ("mains that flap", case(flapping=True, transitions=12, restarts=5, mains_lost=True), "power"),
    ("mains that flap, nobody says so",
     case(flapping=True, transitions=12, restarts=5, silent_devices=3, site_devices=3), "power"),
    ("a lone device that restarts", case(flapping=True, transitions=12, restarts=5), "unknown"),
    ("a restart among others", case(boots=2, hours=30), "unknown"),
    ("probe alone silent", case("device", hours=None, others_alive=True), "probe"),
    ("probe alone restarted", case("device", others_alive=True, booted=True), "probe"),
    ("its program restarted",
     case("device", others_alive=True, booted=False, agent_restarted=True), "agent"),
    ("measures and does not send", case("device", others_alive=True, **FINE), "agent"),
    ("a sensor alone silent", case("device", probe=False, others_alive=True), "sensor"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "given", "cause"), TABLE, ids=[row[0] for row in TABLE])
def test_the_evidence_of_one_outage_names_its_cause(what: str, given: Case, cause: str) -> None:
    """Each failure mode by its signature; unknown where the signature does not tell."""
    verdict = cause_of_outage(given)
    assert verdict.cause == cause, what
    assert 0 < verdict.confidence <= 1
    assert verdict.cause != "unknown" or verdict.confidence <= 0.3


GROUPS: list[tuple[GroupType, list[Case], int, str]] = [
    ("feeder", [case(hours=None)] * 4, 0, "power"),
    ("provider", [case(hours=None)] * 4, 0, "provider"),
    ("province", [case(hours=None)] * 4, 0, "backbone"),
    ("feeder", [case(**ALL_REBOOTED)] * 4, 0, "power"),
    ("district", [case(**ALL_REBOOTED)] * 4, 0, "power"),
    ("district", [case(booted=True)] * 4, 0, "power"),
    ("feeder", [case(**ISP_DEAD, mains_lost=True)] * 3 + [case(**ISP_DEAD)], 0, "power"),
    ("feeder", [case(hours=None)] * 2, 2, "power"),
    ("provider", [case(**ISP_DEAD)] * 4, 0, "provider"),
    ("uplink", [case(**ISP_DEAD)] * 4, 0, "provider"),
    ("uplink", [case(**NAT_DEAD)] * 4, 0, "backbone"),
    ("province", [case(**NAT_DEAD)] * 4, 0, "backbone"),
    ("district", [case(**ISP_DEAD)] * 3 + [case(**NAT_DEAD)], 0, "backbone"),
    ("province", [case(link="vsat-geo", hours=0.5, esno_drop_db=5.0)] * 3, 0, "rain-fade"),
    ("district", [case(link="4g", rsrp_dbm=-120.0)] * 3, 0, "radio"),
    ("provider", [case(**FINE, blocked=20)] * 3, 0, "blocked"),
    ("province", [case(**FINE)] * 4, 0, "unknown"),
    ("district", [case(**ALL_REBOOTED), case(**ISP_DEAD)] * 2, 0, "unknown"),
    ("platform", [case(hours=None)] * 9, 0, "platform"),
    ("platform", [case(**FINE)] * 9, 0, "platform"),
    ("platform", [case(**NAT_DEAD)] * 9, 0, "backbone"),
]


@pytest.mark.parametrize(("group", "cases", "mains", "cause"), GROUPS)
def test_the_members_of_a_group_name_its_cause(
    group: GroupType, cases: list[Case], mains: int, cause: str
) -> None:
    """What most of them tell; before the backfill what such groups usually have."""
    verdict = cause_of_group(group, at_sites(cases), {f"m{n}" for n in range(mains)})
    assert verdict.cause == cause
    assert verdict.cause != "unknown" or verdict.confidence <= 0.3


def at_sites(cases: Sequence[Case], names: str = "abcdefghi") -> list[Case]:
    """The cases, one at each of these sites in turn."""
    return [
        one._replace(outage=replace(one.outage, site=name))
        for one, name in zip(cases, names, strict=False)
    ]


@pytest.mark.parametrize(
    ("sites", "evidence", "mains", "said"),
    [
        ("aaab", ISP_DEAD, set(), {"n": 2, "known": 2}),
        ("ab", ISP_DEAD, {"a"}, {"n": 2, "known": 2}),
        ("ab", ALL_REBOOTED, {"a", "b", "c"}, {"n": 3, "known": 3}),
        ("aabb", {}, {"a"}, {"n": 1, "known": 1}),
        ("aaabc", ISP_DEAD, {"d", "e"}, {"n": 3, "known": 5}),
    ],
)
def test_a_site_counts_once(
    sites: str, evidence: dict[str, Any], mains: set[str], said: dict[str, int]
) -> None:
    """However many outages and alerts of mains it has."""
    cases = at_sites([case(**evidence)] * len(sites), sites)
    (reason,) = cause_of_group("province", cases, mains).reasons
    assert reason.facts == said


def test_a_site_with_many_outages_does_not_outvote_others() -> None:
    """Nor where everything fell silent at once."""
    cases = at_sites([case(**NAT_DEAD)] * 4 + [case(**FINE)] * 2, "aaaabc")
    verdict = cause_of_group("platform", cases, ())
    assert (verdict.cause, verdict.reasons[0].facts) == ("platform", {"n": 2, "known": 3})


def test_more_members_that_agree_make_it_surer() -> None:
    """Confidence grows with the number of members and with their agreement."""
    power, cut = case(**ALL_REBOOTED), case(**ISP_DEAD)
    two, five = (cause_of_group("feeder", at_sites([power] * n), ()).confidence for n in (2, 5))
    mixed = cause_of_group("feeder", at_sites([power] * 5 + [cut] * 2), ())
    assert mixed.cause == "power"
    assert mixed.confidence < two < five

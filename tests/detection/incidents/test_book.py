"""Incidents of one site or device: when they open and end, and what hangs below them."""

from __future__ import annotations

import pytest

from detection.incidents.changes import Scope
from detection.outages import Evidence
from tests.detection.incidents.world import (
    BLACKOUT,
    CUT,
    PROVINCES,
    START_MS,
    Play,
    country,
    of_state,
    registry,
    site,
)


def test_a_single_site_opens_after_two_intervals_and_resolves_when_settled() -> None:
    """Nobody fails with it: it is opened alone, and its cause is final after the backfill."""
    play = Play(registry(country()))
    play.outage("s00", 0, 30, evidence=CUT)
    play.until(100)
    first, *_, last = play.changes
    assert (first.at_ms - START_MS) / 60_000 == pytest.approx(5, abs=0.2)
    assert (first.state, first.cause, first.phase) == ("open", "unknown", "provisional")
    assert first.scope == ("site", "s00")
    assert (last.state, last.cause, last.phase) == ("resolved", "last-mile", "final")
    assert (last.started_ms, last.ended_ms) == (START_MS, START_MS + 30 * 60_000)
    assert of_state(play, "resolved") == [first.incident]


def test_a_critical_site_opens_at_once() -> None:
    """It does not wait for others."""
    play = Play(registry([site("h1", priority="critical"), site("o1", "LA-SV")]))
    play.outage("h1", 0)
    play.until(10)
    assert play.changes[0].at_ms == START_MS + 3 * 60_000


def test_alerts_below_an_outage_hang_below_its_incident() -> None:
    """Loss that led to it, silence and names not found in it: one incident."""
    play = Play(registry(country()))
    play.outage("s00", 10, 40, evidence=CUT)
    silent = play.alert("env0-s00", 13.5, 40, metric="", rule="silence", nature="connectivity")
    dns = play.alert("probe-s00", 14, 40, metric="dns_ms", nature="connectivity")
    play.until(70)
    (incident,) = play.latest()
    assert play.parents == {silent.alert: incident, dns.alert: incident}


def test_batteries_that_are_empty_after_a_power_cut_are_part_of_it() -> None:
    """Two sites lost their mains at different times and say half an hour after both are back how
    empty their batteries are: two incidents, not a third one of both."""
    away = [site(f"o{i}", PROVINCES[1 + i % 3]) for i in range(8)]
    play = Play(registry([site("a"), site("b"), *away], interval_s=300))
    play.outage("a", 0, 120, evidence=BLACKOUT)
    play.outage("b", 40, 120, evidence=BLACKOUT)
    for name in "ab":
        play.alert(f"probe-{name}", 150, 240, metric="ups_pct", rule="limits")
    play.until(400)
    assert {(c.sites, c.cause) for c in play.latest().values()} == {
        (("a",), "power"),
        (("b",), "power"),
    }


@pytest.mark.parametrize(
    ("device", "onset", "until", "fact"),
    [
        ("probe-s00", 80, 150, {"metric": "ups_pct", "rule": "limits"}),
        ("env0-s00", 115, 125, {"metric": "mains_on", "rule": "mains-off"}),
    ],
)
def test_what_was_kept_of_a_power_cut_hangs_below_it(
    device: str, onset: float, until: float, fact: dict[str, str]
) -> None:
    """The probe kept that its battery ran empty; a meter keeps its last rounds only, and tells the
    last five minutes of two hours without mains. That they were lost is known a little later."""
    play = Play(registry(country()))
    play.outage("s00", 0, 120, evidence=BLACKOUT)
    play.alert(device, 120.5, until, onset=onset, **fact)
    play.until(300)
    assert [(c.sites, c.cause) for c in play.latest().values()] == [(("s00",), "power")]


def test_a_power_cut_on_a_slow_line_is_told() -> None:
    """The line is slow all morning, and two hours into it the mains go: both meters of it are one
    incident of their own."""
    play = Play(registry(country()))
    play.alert("probe-s00", 0, 200, metric="nat_rtt_p95_ms", rule="limits", nature="connectivity")
    mains = {"rule": "on-battery", "metric": "power_mains", "nature": "connectivity"}
    cut = play.alert("probe-s00", 120, 140, **mains)
    volts = play.alert("probe-s00", 130, 140, rule="mains-low", metric="mains_v")
    play.until(190)
    told = play.latest()
    assert len(told) == 2
    assert play.parents[cut.alert] == play.parents[volts.alert]
    assert told[play.parents[cut.alert]].cause == "power"


def test_an_alert_of_a_sensor_has_its_own_incident_at_once() -> None:
    """It is opened with the alert and resolved with it."""
    play = Play(registry(country()))
    alert = play.alert("env0-s00", 5, 25, nature="data_quality", rule="stuck")
    play.until(30)
    opened, resolved = play.changes
    assert opened.at_ms == START_MS + 5 * 60_000
    assert opened.scope == ("device", "env0-s00")
    assert (opened.cause, opened.state, resolved.state) == ("sensor", "open", "resolved")
    assert resolved.phase == "final"
    assert play.parents == {alert.alert: opened.incident}


def test_habits_that_a_power_cut_changed_hang_below_it() -> None:
    """Mains off, then a room that warms and a voltage unlike before: one incident."""
    play = Play(registry([site("s00")], sensors=2))
    play.alert("env0-s00", 10, 60, metric="mains_on", rule="mains-off")
    warm = play.alert("env1-s00", 20, 100, rule="shift")
    late = play.alert("env0-s00", 110, 150, rule="shift")
    apart = play.alert("env0-s00", 400, 420, rule="shift")
    play.until(600)
    first, second = play.latest().values()
    assert first.cause == "power"
    homes = [play.parents[one.alert] for one in (warm, late, apart)]
    assert homes == [first.incident, first.incident, second.incident]


def test_a_sensor_that_falls_silent_on_a_faded_link_is_a_consequence() -> None:
    """The dish fades and a sensor's rounds are lost: rain fade, not a broken sensor."""
    play = Play(registry([site("s00", link="vsat-geo")]))
    fade = play.alert("probe-s00", 5, 60, nature="connectivity", rule="rain-fade", metric="esno_db")
    play.outage("s00", 20, 50, scope="device", devices=["env0-s00"])
    play.until(200)
    (change,) = play.latest().values()
    assert (change.scope, change.cause) == (Scope("site", "s00"), "rain-fade")
    assert play.parents == {fade.alert: change.incident}


def test_a_sensor_that_fell_silent_with_the_mains_is_no_second_trouble() -> None:
    """Its probe has a battery and says so in its next round, an interval after the cut at most."""
    play = Play(registry([site("s00")], interval_s=300))
    play.outage("s00", 20, 80, scope="device", devices=["env0-s00"])
    mains = play.alert("probe-s00", 26, 80, nature="connectivity", rule="on-battery",
                       metric="power_mains")  # fmt: skip
    play.until(200)
    (change,) = play.latest().values()
    assert change.cause == "power"
    assert play.parents == {mains.alert: change.incident}


def test_a_line_that_is_full_after_an_outage_is_part_of_it() -> None:
    """What was kept meanwhile is sent now: no congestion of its own."""
    play = Play(registry([site("s00")]))
    play.outage("s00", 5, 60, evidence=CUT)
    full = play.alert("probe-s00", 90, 120, nature="connectivity", rule="shift",
                      metric="nat_rtt_p50_ms")  # fmt: skip
    play.until(300)
    (incident,) = play.latest()
    assert play.parents == {full.alert: incident}


def test_a_link_that_is_slower_than_its_backup_is_no_second_trouble() -> None:
    """It is so until its level counts as normal, six hours later, as is what the site draws; a room
    is not waited for."""
    play = Play(registry([site("s00", second="LTC")], sensors=1))
    play.outage("s00", 5, 60, evidence=Evidence(booted=True, mains_lost=True))
    slow = play.alert("probe-s00", 120, 480, nature="connectivity", rule="shift",
                      metric="isp_rtt_p50_ms")  # fmt: skip
    load = play.alert("env0-s00", 120, 480, rule="shift", metric="current_a")
    warm = play.alert("env0-s00", 120, 480, rule="shift")
    play.until(700)
    assert play.parents[slow.alert] == play.parents[load.alert] != play.parents[warm.alert]
    homes = {
        play.parents[slow.alert]: ("site", "s00"),
        play.parents[warm.alert]: ("device", "env0-s00"),
    }
    assert {name: tuple(c.scope) for name, c in play.latest().items()} == homes


def test_flapping_that_begins_with_an_outage_is_flapping() -> None:
    """The first time it was away it did not show yet that it comes and goes; of nine changes every
    other one is a loss."""
    play = Play(registry([site("s00")]))
    play.outage("s00", 5, 15, evidence=CUT)
    play.outage("s00", 20, 120, flapping=True, evidence=Evidence(transitions=9, booted=False))
    play.until(300)
    (change,) = play.latest().values()
    assert change.cause == "flapping"
    assert change.evidence == ("The connection came and went 4 times within an hour.",)
    assert " 4 " in change.evidence_lo[0]


def test_while_the_second_uplink_is_silent_too_none_is_said_to_work() -> None:
    """A probe on each: the first falls silent, half an hour later the second, for an hour."""
    play = Play(registry([site("s00", second="LTC")]))
    alive = Evidence(other_uplink_alive=True)
    play.outage("s00", 5, 185, scope="uplink", uplink=1, live=alive, evidence=alive,
                devices=["probe-s00"])  # fmt: skip
    play.alert("env0-s00", 38, 95, rule="silence", nature="connectivity", severity="critical",
               onset=35)  # fmt: skip
    play.outage("s00", 35, 95, devices=["env0-s00"])
    play.until(300)
    said = [change.evidence for change in play.changes]
    works, dark = "The other uplink of the site works.", "Nothing reports from the site"
    assert [one[0][:29] for one in dict.fromkeys(said)] == [works[:29], dark]
    assert (said[0], said[-1], len(play.latest())) == ((works,), (works,), 1)


def test_an_outage_that_is_over_is_told_when_its_backfill_is_in() -> None:
    """It ended while it waited for others; who hears of it then hears what it was, two minutes
    after the devices came back."""
    play = Play(registry([site("s00")], interval_s=300))
    play.outage("s00", 5, 29, evidence=CUT)
    play.until(30.5)
    assert play.changes == []
    play.until(60)
    assert play.changes[0].at_ms == START_MS + 31 * 60_000

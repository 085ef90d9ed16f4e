"""Incidents: what fails together is one, with its cause; what does not stays apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from detection.incidents.changes import Cause, Scope
from detection.outages import Evidence
from devices.registry import Registry, Site
from tests.detection.incidents.world import PROVINCES, START_MS, Play, country, registry, site

CUT = Evidence(rounds=20, failed={"isp": 20, "nat": 20, "int": 20}, booted=False)
DARK_COUNTRY = Evidence(rounds=20, failed={"nat": 20, "int": 20}, booted=False)
BLACKOUT = Evidence(booted=True, silent_devices=2, site_devices=2)


def of_state(play: Play, state: str) -> list[str]:
    """Ids of the incidents with a change to that state, in order."""
    return [change.incident for change in play.changes if change.state == state]


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


@pytest.mark.parametrize(
    ("chosen", "evidence", "scope", "cause"),
    [
        (lambda s: s.province == "LA-LP", DARK_COUNTRY, Scope("province", "LA-LP"), "backbone"),
        (lambda s: s.uplinks[0].provider == "LTC", CUT, Scope("provider", "LTC"), "provider"),
        (lambda s: s.feeder == "F-LA-SV-0", BLACKOUT, Scope("feeder", "F-LA-SV-0"), "power"),
    ],
)
def test_what_fails_together_is_one_incident(
    chosen: Callable[[Site], bool], evidence: Evidence, scope: Scope, cause: Cause
) -> None:
    """One incident that names what the sites have in common; nothing else is opened."""
    sites = country()
    play = Play(registry(sites))
    hit = [s.site for s in sites if chosen(s)]
    for n, name in enumerate(hit):
        play.outage(name, n % 3 / 2, 60 + n % 2, evidence=evidence)
    play.until(130)
    assert len(of_state(play, "open")) == 1
    last = play.changes[-1]
    assert (last.scope, last.cause) == (scope, cause)
    assert last.sites == tuple(sorted(hit))
    assert (last.state, last.phase) == ("resolved", "final")


def test_a_fibre_cut_that_silences_forty_offices_is_one_incident() -> None:
    """Forty alerts hang below one incident that names the province, and none of them is loud."""
    sites = [site(f"s{i:02d}", "LA-LP", place=i % 8, provider=("A", "B", "C")[i % 3])
             for i in range(40)]  # fmt: skip
    sites += [site(f"t{i:02d}", "LA-SV", place=i % 8, provider=("A", "B", "C")[i % 3])
              for i in range(40)]  # fmt: skip
    play = Play(registry(sites))
    alerts = []
    for n in range(40):
        name = f"s{n:02d}"
        play.outage(name, n % 4 / 2, 90, evidence=CUT)
        alerts.append(play.alert(f"probe-{name}", 3.2 + n % 4 / 2, 90, metric="", rule="silence",
                                 nature="connectivity", severity="critical"))  # fmt: skip
    play.until(20)
    assert play.last
    assert len(play.latest()) == 1
    (incident,) = play.latest().values()
    assert incident.scope == ("province", "LA-LP")
    assert incident.cause == "backbone"
    assert {play.last.parent_of[a.alert] for a in alerts} == {incident.incident}
    assert play.last.muted >= {a.alert for a in alerts}
    play.until(150)
    last = play.changes[-1]
    assert (last.state, last.cause, last.phase) == ("resolved", "backbone", "final")
    assert last.confidence > 0.8
    assert any("40 of 40" in sentence for sentence in last.evidence)
    play.until(151)
    assert not play.last.parent_of


def test_two_causes_at_once_are_two_incidents() -> None:
    """A blackout of one feeder and a cut of another province's do not become one."""
    sites = country()
    play = Play(registry(sites))
    dark = [s.site for s in sites if s.feeder == "F-LA-SV-0"]
    cut = [s.site for s in sites if s.province == "LA-CH"]
    for name in dark:
        play.outage(name, 0, 60, evidence=BLACKOUT)
    for n, name in enumerate(cut):
        play.outage(name, n % 3 / 2, 50, evidence=CUT)
    play.until(120)
    final = {c.scope: c.cause for c in play.latest().values()}
    assert final == {Scope("feeder", "F-LA-SV-0"): "power", Scope("province", "LA-CH"): "backbone"}


@pytest.mark.parametrize("interval_s", [60, 300])
@pytest.mark.parametrize("minute", [1.5, 3, 5])
def test_a_site_of_two_groups_that_fail_takes_neither_into_the_other(
    minute: float, interval_s: float
) -> None:
    """A feeder loses its mains, and minutes later the provider of one of its four sites fails:
    two incidents, and the site is in the one that it comes back with."""
    sites = country()
    play = Play(registry(sites, interval_s))
    dark = [s.site for s in sites if s.feeder == "F-LA-SV-0"]
    others = [s.site for s in sites if s.uplinks[0].provider == "LTC" and s.site not in dark]
    for name in dark:
        play.outage(name, 0, 90, evidence=BLACKOUT)
    for n, name in enumerate(others):
        play.outage(name, minute + n % 3 / 3, 60, evidence=CUT)
    play.until(200)
    told = {c.scope: (c.cause, c.sites) for c in play.latest().values()}
    assert told == {
        Scope("feeder", "F-LA-SV-0"): ("power", tuple(sorted(dark))),
        Scope("provider", "LTC"): ("provider", tuple(sorted(others))),
    }


def test_a_group_is_not_merged_into_one_that_has_some_of_its_sites() -> None:
    """A province is cut, and two minutes later a provider that has two sites there."""
    cut = [site(f"c{i}", "LA-CH", place=i % 3, provider=("Unitel", "LTC", "ETL")[i % 3])
           for i in range(5)]  # fmt: skip
    away = [site(f"u{i}", PROVINCES[i % 2], place=i // 2) for i in range(6)]
    others = [site(f"o{i}", PROVINCES[i % 2], place=i // 2 % 3, provider="LTC") for i in range(12)]
    play = Play(registry([*cut, *away, *others]))
    for n, one in enumerate(cut):
        play.outage(one.site, n % 3 / 2, 60, evidence=DARK_COUNTRY)
    for n, one in enumerate(away):
        play.outage(one.site, 2 + n / 2, 90, evidence=CUT)
    play.until(200)
    told = {c.scope: (c.cause, c.sites) for c in play.latest().values()}
    assert told == {
        Scope("province", "LA-CH"): ("backbone", tuple(one.site for one in cut)),
        Scope("provider", "Unitel"): ("provider", tuple(one.site for one in away)),
    }


def test_what_a_provider_leaves_of_a_feeder_is_still_the_feeder() -> None:
    """Three sites on a feeder, one of a provider that fails in the same minute: the two others
    are all that the feeder has left."""
    feeder = [site("f0", feeder="F"), site("f1", feeder="F", place=1)]
    feeder += [site("f2", feeder="F", provider="LTC")]
    ltc = [site(f"o{i}", PROVINCES[1 + i % 3], place=i // 3, provider="LTC") for i in range(9)]
    others = [site(f"u{i}", PROVINCES[i % 4], place=2) for i in range(8)]
    play = Play(registry([*feeder, *ltc, *others]))
    for one in feeder:
        play.outage(one.site, 0.2, 90, evidence=BLACKOUT)
    for one in ltc:
        play.outage(one.site, 0, 60, evidence=CUT)
    play.until(200)
    told = {c.scope: c.cause for c in play.latest().values()}
    assert told == {Scope("feeder", "F"): "power", Scope("provider", "LTC"): "provider"}


def test_a_country_of_which_a_province_goes_on_is_not_the_platform() -> None:
    """Three of four provinces are cut, and with them more than four fifths of all sites; in the
    fourth all is well."""
    sites = [site(f"s{i:02d}", PROVINCES[i % 3], place=i // 3 % 3, provider="ABCDE"[i % 5])
             for i in range(17)]  # fmt: skip
    sites += [site(f"w{i}", "LA-XA", provider="ABC"[i]) for i in range(3)]
    play = Play(registry(sites))
    for n, one in enumerate(sites[:17]):
        play.outage(one.site, n % 3 / 3, 120, evidence=CUT)
    play.until(200)
    assert {c.scope for c in play.latest().values()} == {
        Scope("province", name) for name in PROVINCES[:3]
    }


def test_when_everything_is_gone_it_is_the_platform() -> None:
    """All sites of all provinces at once: no cable does that."""
    sites = country()
    play = Play(registry(sites))
    fine = Evidence(rounds=20, failed={}, booted=False)
    for one in sites[1:]:
        play.outage(one.site, 0, 20, evidence=fine)
    slow = ["env0-s00"]  # its site is not dark yet when the platform is back
    play.outage("s00", 1, 20, scope="device", devices=slow, evidence=fine)
    play.until(60)
    assert len(play.latest()) == 1
    last = play.changes[-1]
    assert last.scope.type == "platform"
    assert (last.cause, last.phase) == ("platform", "final")


def test_a_straggler_gets_an_incident_of_its_own() -> None:
    """Ten minutes after the others are back, who is still down is another trouble."""
    sites = country()
    play = Play(registry(sites))
    hit = [s.site for s in sites if s.province == "LA-LP"]
    for name in hit[:-1]:
        play.outage(name, 0, 40, evidence=CUT)
    play.outage(hit[-1], 0, 300, evidence=CUT)
    play.until(400)
    assert len(play.latest()) == 2
    group, alone = play.latest().values()
    assert group.scope == ("province", "LA-LP")
    assert alone.scope == ("site", hit[-1])
    opened = next(c for c in play.changes if c.incident == alone.incident)
    assert 50 <= (opened.at_ms - START_MS) / 60_000 <= 51
    assert sorted(of_state(play, "resolved")) == sorted([group.incident, alone.incident])


def test_singles_that_opened_before_become_the_group() -> None:
    """Of critical sites that opened alone the first grows into the group, the other is merged."""
    sites = [site(f"s{i}", priority="critical" if i < 2 else "normal") for i in range(6)]
    sites += [site(f"t{i}", "LA-SV", provider="LTC") for i in range(6)]
    play = Play(registry(sites))
    for i in range(6):
        play.outage(f"s{i}", i / 4, 60, evidence=CUT)
    play.until(120)
    group, merged = play.latest().values()
    scopes = [c.scope.type for c in play.changes if c.incident == group.incident]
    assert (scopes[0], scopes[-1]) == ("site", "provider")
    assert merged.cause == "provider"
    assert merged.state == "resolved"
    assert merged.evidence == (f"Merged into {group.incident}.",)
    assert group.sites == tuple(f"s{i}" for i in range(6))
    assert len(of_state(play, "resolved")) == 2


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


def test_a_power_cut_at_a_site_whose_line_is_away_for_long_is_told() -> None:
    """Its provider failed two hours ago; its other uplink tells that the mains are gone."""
    play = Play(registry(country()))
    for one in play.registry.sites.values():
        if one.uplinks[0].provider == "LTC":
            play.outage(one.site, 0, 300, evidence=CUT)
    play.alert(
        "probe-s12", 120, 200, metric="power_mains", rule="on-battery", nature="connectivity"
    )
    play.until(180)
    told = {c.scope: c.cause for c in play.latest().values()}
    assert told[Scope("site", "s12")] == "power"
    assert len(told) == 2


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


def test_habits_of_many_sites_are_no_group() -> None:
    """The weather changes for a province: what it moves is not one failure."""
    sites = country()
    play = Play(registry(sites))
    for one in sites[:8]:
        play.alert(f"env0-{one.site}", 10, 60, rule="shift")
        play.alert(f"env0-{one.site}", 300, 320, rule="shift", metric="frequency_hz")
    play.until(600)
    assert {c.scope.type for c in play.latest().values()} == {"device", "site"}


def test_while_all_that_is_heard_of_is_silent_no_group_is_told() -> None:
    """Fast sites of one provider are silent first, then all: nothing but the platform is told."""
    fast = [site(f"f{i}", PROVINCES[i % 2], provider=("Unitel", "LTC")[i // 4]) for i in range(8)]
    slow = [site(f"s{i}", PROVINCES[i % 4], provider="ETL") for i in range(12)]
    quick, other = registry(fast, 60), registry(slow, 300)
    play = Play(Registry({**quick.sites, **other.sites}, {**quick.devices, **other.devices}))
    for one in [*fast, *slow]:
        play.outage(one.site, 0, 40, evidence=Evidence(rounds=9, failed={}, booted=False))
    play.until(90)
    assert {c.scope.type for c in play.changes} == {"platform"}


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
    """It is so until its level counts as normal, six hours later; a room is not waited for."""
    play = Play(registry([site("s00", second="LTC")], sensors=1))
    play.outage("s00", 5, 60, evidence=Evidence(booted=True, mains_lost=True))
    slow = play.alert("probe-s00", 120, 480, nature="connectivity", rule="shift",
                      metric="isp_rtt_p50_ms")  # fmt: skip
    warm = play.alert("env0-s00", 120, 480, rule="shift")
    play.until(700)
    assert play.parents[slow.alert] != play.parents[warm.alert]
    homes = {
        play.parents[slow.alert]: ("site", "s00"),
        play.parents[warm.alert]: ("device", "env0-s00"),
    }
    assert {name: tuple(c.scope) for name, c in play.latest().items()} == homes


def test_flapping_that_begins_with_an_outage_is_flapping() -> None:
    """The first time it was away it did not show yet that it comes and goes."""
    play = Play(registry([site("s00")]))
    play.outage("s00", 5, 15, evidence=CUT)
    play.outage("s00", 20, 120, flapping=True, evidence=Evidence(transitions=9, booted=False))
    play.until(300)
    assert [c.cause for c in play.latest().values()] == ["flapping"]


def test_a_group_that_is_told_alike_grows_by_one_site() -> None:
    """First the fibre sites of a provider, then one on its mobile links: still one incident."""
    sites = [site(f"f{i}", PROVINCES[i % 4], place=i // 4, link="fibre") for i in range(5)]
    sites += [site("m0", "LA-XA", place=2, link="4g")]
    sites += [site(f"o{i}", PROVINCES[i % 4], provider="LTC") for i in range(12)]
    play = Play(registry(sites))
    for i in range(5):
        play.alert(f"probe-f{i}", 5, 60, nature="connectivity", rule="dns-failing", metric="dns_ms")
    play.alert("probe-m0", 7.5, 60, nature="connectivity", rule="dns-failing", metric="dns_ms")
    play.until(200)
    (change,) = play.latest().values()
    assert change.scope == Scope("provider", "Unitel")
    assert len(change.sites) == 6


def names_fail(until: float) -> Play:
    """No names for the six sites of a provider from minute 5 on; those of another are well."""
    sites = [site(f"f{i}", PROVINCES[i % 4], place=i // 4) for i in range(6)]
    sites += [site(f"o{i}", PROVINCES[i % 4], provider="LTC") for i in range(9)]
    play = Play(registry(sites))
    for i in range(6):
        play.alert(
            f"probe-f{i}", 5, until, nature="connectivity", rule="dns-failing", metric="dns_ms"
        )
    return play


@pytest.mark.parametrize(
    ("slow", "cause"), [(0, "international"), (3, "international"), (5, "congestion")]
)
def test_a_provider_that_is_slow_near_and_abroad_is_not_the_way_abroad(
    slow: int, cause: Cause
) -> None:
    """Abroad is slow at its six sites; where most are slow at home too, it is a queue."""
    sites = [site(f"f{i}", PROVINCES[i % 4], place=i // 4) for i in range(6)]
    sites += [site(f"o{i}", PROVINCES[i % 4], provider="LTC") for i in range(9)]
    play = Play(registry(sites))
    link = {"nature": "connectivity"}
    for i in range(6):
        play.alert(f"probe-f{i}", 5, 120, rule="limits", metric="int_rtt_p50_ms", **link)
        if i < slow:
            play.alert(f"probe-f{i}", 6, 120, rule="congestion", metric="nat_rtt_p50_ms", **link)
    play.until(100)
    (group,) = play.latest().values()
    assert (group.scope, group.cause) == (Scope("provider", "Unitel"), cause)


@pytest.mark.parametrize(
    ("fact", "own"),
    [
        ({"rule": "limits", "metric": "int_jitter_ms"}, False),
        ({"rule": "slow-trips", "metric": "nat_rtt_p50_ms"}, False),
        ({"rule": "content-blocked", "metric": "content_ok"}, True),
        ({"rule": "rain-fade", "metric": "esno_db"}, True),
    ],
)
def test_a_link_that_suffers_while_its_group_does_is_no_second_incident(
    fact: dict[str, str], own: bool
) -> None:
    """Two hours into a failure of names at a provider, one of its sites shows more than that."""
    play = names_fail(260)
    more = play.alert("probe-f2", 125, 200, nature="connectivity", **fact)
    play.until(150)
    (group,) = [c for c in play.latest().values() if c.scope.type == "provider"]
    assert (play.parents[more.alert] == group.incident) != own
    play.until(400)
    told = play.latest()
    assert len(told) == 1 + own
    ended = told[group.incident]
    assert (ended.cause, ended.ended_ms) == ("dns", START_MS + 260 * 60_000)


def test_a_link_that_suffers_beyond_its_group_is_told_then() -> None:
    """The group is over and the site's own trouble is not."""
    play = names_fail(160)
    play.alert("probe-f2", 125, nature="connectivity", rule="limits", metric="int_jitter_ms")
    play.until(400)
    (group, own) = sorted(play.latest().values(), key=lambda c: c.started_ms)
    assert (group.state, group.ended_ms) == ("resolved", START_MS + 160 * 60_000)
    assert (own.sites, own.state) == (("f2",), "open")


def test_an_outage_that_is_over_is_told_when_its_backfill_is_in() -> None:
    """It ended while it waited for others; who hears of it then hears what it was, two minutes
    after the devices came back."""
    play = Play(registry([site("s00")], interval_s=300))
    play.outage("s00", 5, 29, evidence=CUT)
    play.until(30.5)
    assert play.changes == []
    play.until(60)
    assert play.changes[0].at_ms == START_MS + 31 * 60_000


def test_the_generations_of_a_mobile_network_fail_together() -> None:
    """Two sites on 3G and two on 4G lose their one core, while fibre goes on: one incident."""
    sites = [site(f"f{i}", PROVINCES[i % 4], place=i // 4) for i in range(12)]
    links = ("3g", "4g", "3g", "4g")
    sites += [site(f"m{i}", PROVINCES[i], place=2, link=link) for i, link in enumerate(links)]
    play = Play(registry(sites))
    for i in range(4):
        play.outage(f"m{i}", 5, 60, evidence=CUT)
    play.until(200)
    (change,) = play.latest().values()
    assert change.scope == Scope("provider", "Unitel")
    assert change.sites == ("m0", "m1", "m2", "m3")


def test_a_link_in_trouble_for_hours_is_not_the_outage_of_its_provider() -> None:
    """It lost packets all morning; when the provider fails, that is another incident."""
    play = Play(registry(country()))
    down = [s for s in play.registry.sites.values() if s.uplinks[0].provider == "LTC"]
    play.alert(
        "probe-" + down[0].site, 5, nature="connectivity", rule="loss", metric="isp_loss_pct"
    )
    env = "env0-" + down[0].site
    play.outage(down[0].site, 200, 260, scope="device", devices=[env])
    play.alert(env, 202.5, 260, nature="connectivity", rule="silence", metric="")
    for one in down:
        play.outage(one.site, 201, 260, evidence=CUT)
    play.until(400)
    told = play.latest().values()
    (group,) = [c for c in told if c.scope == Scope("provider", "LTC")]
    assert group.started_ms > START_MS + 190 * 60_000
    (old,) = [c for c in told if c is not group]
    assert (old.cause, old.sites, old.state) == ("last-mile", (down[0].site,), "updated")


def test_a_site_that_was_out_hours_ago_takes_its_group_nowhere() -> None:
    """Its trips are slow since then, so that its incident is not done with. When the names of its
    provider fail, and look odd at this site besides, that is no part of the old outage."""
    play = names_fail(300)
    play.outage("f2", -200, -140, evidence=CUT)
    for metric in ("isp_rtt_p50_ms", "nat_rtt_p50_ms"):
        play.alert("probe-f2", -138, 200, nature="connectivity", rule="shift", metric=metric)
    play.alert("probe-f2", 7, 300, nature="connectivity", rule="limits", metric="dns_ms", onset=5)
    play.until(250)
    old, group = sorted(play.latest().values(), key=lambda c: c.started_ms)
    assert (group.scope, group.cause) == (Scope("provider", "Unitel"), "dns")
    assert group.sites == tuple(f"f{i}" for i in range(6))
    assert (old.sites, old.cause, old.state) == (("f2",), "last-mile", "resolved")
    play.until(600)
    assert {c.state for c in play.latest().values()} == {"resolved"}


def test_a_member_of_a_group_that_goes_dark_does_not_become_the_group() -> None:
    """Bills are unpaid at six sites and the provider switches one of them off."""
    sites = [site(f"f{i}", PROVINCES[i % 4], place=i // 4) for i in range(6)]
    sites += [site(f"o{i}", PROVINCES[i % 4], provider="LTC") for i in range(9)]
    play = Play(registry(sites))
    for i in range(6):
        play.alert(
            f"probe-f{i}", 5, 200, nature="connectivity", rule="content-blocked",
            metric="content_ok",
        )  # fmt: skip
    play.outage("f2", 40, 100, evidence=CUT)
    play.until(300)
    group = min(play.latest().values(), key=lambda c: c.started_ms)
    assert (group.scope, group.cause) == (Scope("provider", "Unitel"), "blocked")
    assert group.sites == tuple(f"f{i}" for i in range(6))
    assert group.ended_ms == START_MS + 200 * 60_000

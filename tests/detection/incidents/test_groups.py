"""Groups: what fails together is one incident, also where several do at once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from detection.incidents.changes import Cause, Scope
from detection.outages import Evidence
from devices.registry import Registry, Site
from tests.detection.incidents.world import (
    BLACKOUT,
    CUT,
    DARK_COUNTRY,
    PROVINCES,
    START_MS,
    Play,
    country,
    district,
    of_state,
    registry,
    site,
)


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


def test_evidence_counts_sites_and_their_first_onset() -> None:
    """Two sites of a provider that failed within a minute fail again, and one of them says by an
    alert that its mains are off: they are as many sites as before, which failed as fast."""
    sites = country()
    play = Play(registry(sites))
    hit = [s.site for s in sites if s.uplinks[0].provider == "LTC"]
    for n, name in enumerate(hit):
        play.outage(name, n % 3 / 3, 20 if n < 2 else 60, evidence=CUT)
    for name in hit[:2]:
        play.outage(name, 22, 60, evidence=CUT)
    play.alert(f"env0-{hit[0]}", 24, 60, metric="mains_on", rule="mains-off")
    play.until(130)
    (change,) = play.latest().values()
    n = len(hit)
    assert change.evidence == (
        f"{n} of {n} sites of provider LTC failed within 1 min.",
        f"{n} of {n} sites are back.",
        f"{n} of {n} sites that told more had power and a working gateway, but their provider did"
        " not answer.",
    )
    numbers = [re.findall(r"\d+", text) for text in change.evidence_lo]
    assert numbers == [[str(n), str(n), "1"], [str(n), str(n)], [str(n), str(n)]]


def test_a_power_cut_began_when_its_sites_said_so_not_when_their_batteries_were_empty() -> None:
    """They fall silent 25 to 55 minutes after the mains went, all within a minute."""
    sites = country()
    play = Play(registry(sites))
    hit = [s.site for s in sites if s.feeder == "F-LA-SV-0"]
    mains = {"rule": "on-battery", "metric": "power_mains", "nature": "connectivity"}
    for n, name in enumerate(hit):
        play.alert(f"probe-{name}", 2, 90, onset=n / 4, **mains)
        play.outage(name, 25 + 10 * n, 90, evidence=BLACKOUT)
    play.until(60)
    (cut,) = play.latest().values()
    assert (cut.scope, cut.started_ms) == (Scope("feeder", "F-LA-SV-0"), START_MS)
    assert cut.evidence[0].endswith("failed within 1 min.")
    play.until(200)
    (cut,) = play.latest().values()
    assert (cut.started_ms, cut.state) == (START_MS, "resolved")


def test_a_fibre_cut_that_silences_forty_offices_is_one_incident() -> None:
    """Forty alerts hang below one incident that names the province."""
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
    play.until(150)
    last = play.changes[-1]
    assert (last.state, last.cause, last.phase) == ("resolved", "backbone", "final")
    assert last.confidence > 0.8
    assert any("40 of 40" in sentence for sentence in last.evidence)
    play.until(151)
    assert not play.last.parent_of


def test_a_cut_cable_takes_everything_but_what_has_a_dish() -> None:
    """Seven of ten sites of a province are cut, on mobile links and one on another: the dishes go
    on. In one district of another all but the dish are."""
    sites = [site(f"s{i}", "LA-LP", place=i % 3, provider="ABC"[i % 3], link="4g" if i else "dsl")
             for i in range(7)]  # fmt: skip
    sites += [site(f"v{i}", "LA-LP", place=i, provider="Sky", link="vsat-geo") for i in range(3)]
    sites += [site(f"d{i}", "LA-SV", place=i % 2, provider="ABC"[i % 3]) for i in range(6)]
    sites += [site("vd", "LA-SV", provider="Sky", link="vsat-geo")]
    sites += [site(f"o{i}", "LA-XA", place=i % 3, provider="ABC"[i % 3]) for i in range(9)]
    play = Play(registry(sites))
    dark = [f"s{i}" for i in range(7)]
    here = ["d0", "d2", "d4"]
    for n, name in enumerate(dark):
        play.outage(name, 1 - n / 6, 90, evidence=DARK_COUNTRY)
    for n, name in enumerate(here):
        play.outage(name, 200 + n / 3, 260, evidence=DARK_COUNTRY)
    play.until(400)
    assert [(c.scope, c.cause, list(c.sites)) for c in play.latest().values()] == [
        (Scope("province", "LA-LP"), "backbone", dark),
        (Scope("district", f"LA-SV/{district('LA-SV')}"), "backbone", here),
    ]
    assert any("no satellite link" in text for text in play.changes[-1].evidence)


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

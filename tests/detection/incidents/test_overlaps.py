"""Groups and what else their sites have: other groups, older trouble, trouble of their own."""

from __future__ import annotations

import pytest

from detection.incidents.changes import Scope
from tests.detection.incidents.world import (
    BLACKOUT,
    CUT,
    DARK_COUNTRY,
    PROVINCES,
    START_MS,
    Play,
    country,
    of_state,
    registry,
    site,
)


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
    silence = [
        play.alert(
            f"probe-{name}", interval_s / 20, 90, rule="silence", metric="", nature="connectivity"
        )
        for name in dark
    ]
    play.until(200)
    told = {c.scope: (c.cause, c.sites) for c in play.latest().values()}
    assert told == {
        Scope("feeder", "F-LA-SV-0"): ("power", tuple(sorted(dark))),
        Scope("provider", "LTC"): ("provider", tuple(sorted(others))),
    }
    feeder = next(c for c in play.latest().values() if c.scope.type == "feeder")
    assert {play.parents[alert.alert] for alert in silence} == {feeder.incident}


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


def test_two_providers_that_fail_within_minutes_are_two_groups() -> None:
    """Two sites have both: they were dark with the first, and are again when the second fails."""
    unitel = [site(f"u{i}", PROVINCES[i % 4], place=i // 4) for i in range(8)]
    both = [site(f"b{i}", PROVINCES[i], second="LTC") for i in range(2)]
    ltc = [site(f"l{i}", PROVINCES[i % 4], place=i // 4, provider="LTC") for i in range(11)]
    others = [site(f"e{i}", PROVINCES[i % 4], provider="ETL") for i in range(9)]
    play = Play(registry([*unitel, *both, *ltc, *others]))
    for n, one in enumerate(unitel):
        play.outage(one.site, n % 3 / 2, 60, evidence=CUT)
    for one in both:
        play.outage(one.site, 0.5, 9, evidence=CUT)
        play.outage(one.site, 10.2, 40, evidence=CUT)
    for n, one in enumerate(ltc):
        play.outage(one.site, 10 + n % 3 / 2, 40, evidence=CUT)
    play.until(200)
    told = {c.scope: c.sites for c in play.latest().values()}
    assert told == {
        Scope("provider", "Unitel"): tuple(sorted(one.site for one in (*unitel, *both))),
        Scope("provider", "LTC"): tuple(sorted(one.site for one in ltc)),
    }


def test_an_outage_that_was_over_long_before_is_another_incident() -> None:
    """Forty minutes lie between the two of one site."""
    play = Play(registry(country()))
    play.outage("s00", 0, 8, evidence=CUT)
    play.outage("s00", 48, 200, evidence=CUT)
    play.until(300)
    first, second = sorted(play.latest().values(), key=lambda c: c.started_ms)
    assert second.started_ms == START_MS + 48 * 60_000
    assert not any("Merged" in said for one in (first, second) for said in one.evidence)


def test_what_is_dark_already_does_not_speak_for_its_neighbours() -> None:
    """A provider is out when all others fall silent at once: that is the platform, besides it."""
    providers = ("Unitel", "LTC", "ETL")
    sites = [
        site(f"s{i:02d}", PROVINCES[i % 4], place=i // 4 % 3, provider=providers[i // 12])
        for i in range(36)
    ]
    play = Play(registry(sites))
    for one in sites:
        if one.uplinks[0].provider == "LTC":
            play.outage(one.site, 0, 90, evidence=CUT)
        else:
            play.outage(one.site, 30, 36)
    play.until(200)
    told = {c.scope.type: len(c.sites) for c in play.latest().values()}
    assert told == {"provider": 12, "platform": 24}


@pytest.mark.parametrize(
    ("providers", "cause"), [(("LTC",), "provider"), (("LTC", "ETL"), "unknown")]
)
def test_loss_within_the_country_is_no_trouble_abroad(
    providers: tuple[str, ...], cause: str
) -> None:
    """What is lost on the way abroad too is what brings the sites together."""
    sites = [site(f"f{i}", provider=providers[i % len(providers)], place=i // 4) for i in range(6)]
    sites += [site(f"o{i}", PROVINCES[i % 4], place=i // 4) for i in range(9)]
    play = Play(registry(sites))
    for i in range(6):
        for metric in ("int_loss_pct", "nat_loss_pct", "isp_loss_pct"):
            play.alert(f"probe-f{i}", 5, 100, nature="connectivity", metric=metric)
    play.until(60)
    (group,) = play.latest().values()
    assert (len(group.sites), group.cause) == (6, cause)


def test_a_silence_that_begins_as_its_outage_ends_is_part_of_it() -> None:
    """A broker that stopped for three minutes: a device is missed until it has come back too."""
    play = Play(registry(country()))
    play.outage("s00", 0, 3, evidence=CUT)
    silence = {"rule": "silence", "metric": "", "nature": "connectivity"}
    play.alert("env0-s00", 5, 5.2, onset=3.5, **silence)
    play.until(120)
    assert len(play.latest()) == 1


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


def test_a_sensor_silent_until_its_site_took_over_is_part_of_the_outage() -> None:
    """It has no probe that would tell so; the silence is told, and over, before the others are due.
    Where it has no second uplink, a sensor that misses its rounds meanwhile is its own trouble."""
    sites = [site(f"s{i}", PROVINCES[i % 4], place=i // 4, provider="Unitel") for i in range(8)]
    sites += [site("two", provider="Unitel", second="LTC"), site("one", provider="Unitel")]
    sites += [site(f"o{i}", PROVINCES[i % 4], provider="LTC") for i in range(9)]
    play = Play(registry(sites))
    for i in range(8):
        play.outage(f"s{i}", i % 3 / 2, 60, evidence=CUT)
    short = {"rule": "silence", "metric": "", "nature": "connectivity", "onset": 0.5}
    two, one = (play.alert(f"env0-{name}", 2.5, 2.8, **short) for name in ("two", "one"))
    play.until(2.9)
    first = play.parents[two.alert]
    play.until(200)
    group = next(c for c in play.latest().values() if c.scope.type == "provider" and c.sites[1:])
    assert play.latest()[first].evidence == (f"Merged into {group.incident}.",)
    assert play.parents[two.alert] == group.incident
    assert play.parents[one.alert] != group.incident
    assert len(play.latest()) == 3


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
    """The group is over and the site's own trouble is not, three hours later."""
    play = names_fail(160)
    play.alert("probe-f2", 125, nature="connectivity", rule="limits", metric="int_jitter_ms")
    play.until(330)
    assert len(play.latest()) == 1
    play.until(400)
    (group, own) = sorted(play.latest().values(), key=lambda c: c.started_ms)
    assert (group.state, group.ended_ms) == ("resolved", START_MS + 160 * 60_000)
    assert (own.sites, own.state) == (("f2",), "open")


def test_a_slow_backup_is_part_of_the_outage_until_the_next_test() -> None:
    """Speed is tested every few hours: that the old line is back is known long after it is."""
    sites = [site(f"s{i}", PROVINCES[i % 4], place=i // 4, provider="Unitel") for i in range(8)]
    sites += [site("two", provider="Unitel", second="LTC")]
    sites += [site(f"o{i}", PROVINCES[i % 4], provider="LTC") for i in range(9)]
    play = Play(registry(sites))
    for i in range(8):
        play.outage(f"s{i}", i % 3 / 2, 120, evidence=CUT)
    play.outage("two", 1, 120, scope="uplink", uplink=1)
    play.alert(
        "probe-two", 100, 430, nature="connectivity", rule="slow-link", metric="up_mbps", onset=30
    )
    play.until(600)
    (group,) = play.latest().values()
    assert (group.scope, group.state) == (Scope("provider", "Unitel"), "resolved")
    assert group.ended_ms == START_MS + 120 * 60_000


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

"""Each failure mode leaves the traces that it has in the field."""

from __future__ import annotations

import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulators.failure_modes import MODES
from simulators.group_modes import GROUP_MODES
from tests.simulators.made import (
    HOUR_MS,
    MINUTE_MS,
    Played,
    all_troubled,
    country,
    places,
    play,
    troubled,
)

Rounds = list[dict[str, Any]]


def tiers(one: dict[str, Any]) -> tuple[bool, ...]:
    """Which of gw, isp, nat and int answered in a round."""
    return tuple(one[f"{tier}_rcvd"] > 0 for tier in ("gw", "isp", "nat", "int"))


def median(rounds: Rounds, metric: str) -> float:
    return statistics.median(float(one[metric]) for one in rounds if metric in one)


def share(rounds: Rounds, metric: str, value: object) -> float:
    """Share of the rounds in which a metric has a value (None: was not measured)."""
    return sum(bool(one.get(metric) == value) for one in rounds) / len(rounds)


def lost(rounds: Rounds, tier: str) -> float:
    sent = sum(int(one[f"{tier}_sent"]) for one in rounds)
    return 1 - sum(int(one[f"{tier}_rcvd"]) for one in rounds) / sent


def boots(played: Played, device: str) -> list[str]:
    """The boots that a device has told, in order, each once."""
    return list(dict.fromkeys(h.said["boot"] for h in played.of(device)))


def without_ups() -> str:
    return (
        next(p for p in places() if not p.ups_ms and p.probes[0].interval_s == 60).probes[0].device
    )


def with_ups(least_ms: int, most_ms: int) -> str:
    return next(p for p in places() if least_ms < p.ups_ms < most_ms).probes[0].device


def test_a_power_cut_without_a_battery_leaves_nothing_and_another_boot() -> None:
    """No round is measured in the gap, the Will comes late, the boot and uptime are new."""
    played = play(troubled("power-cut", device=without_ups()), hours=5)
    probe, trouble = played.probe, played.trouble
    assert played.during(probe) == []
    assert len(boots(played, probe)) == 2
    will, birth = played.of(probe, "status")[1:]
    assert will.said["state"] == "offline"
    assert 30_000 <= will.at_ms - trouble.start_ms <= 90_000
    assert birth.said["state"] == "online"
    assert 10_000 < birth.at_ms - trouble.end_ms < 120_000
    after = [h for h in played.of(probe, "telemetry") if h.at_ms > trouble.end_ms]
    assert after[0].said["m"]["os_uptime_s"] < 200
    assert [h.said["seq"] for h in after] == list(range(1, len(after) + 1))
    assert trouble.dark[0].start_ms == trouble.start_ms


def test_nobody_is_heard_through_a_router_that_boots_after_a_power_cut() -> None:
    """A device that is up sooner than the router of its site waits, and finds its gateway dead."""
    for at in [p for p in places() if not p.ups_ms][6:12]:
        played = play(troubled("power-cut", device=at.probes[0].device), hours=5)
        (dark,) = played.trouble.dark
        for device in at.devices:
            heard = [h for h in played.of(device.device) if h.at_ms > dark.start_ms]
            spoken = [h for h in heard if h.said.get("state") != "offline"]
            assert spoken
            assert spoken[0].at_ms > dark.end_ms


def test_a_power_cut_with_a_battery_is_told_until_the_battery_is_empty() -> None:
    """Rounds on battery arrive live; then the site's own network fails, then all is silent."""
    probe = with_ups(20 * MINUTE_MS, 90 * MINUTE_MS)
    played = play(troubled("power-cut", device=probe, duration="3h"), hours=6)
    rounds = played.during(probe)
    assert all(one["power_mains"] is False and one["mains_v"] == 0 for one in rounds)
    charges = [one["ups_pct"] for one in rounds]
    assert charges == sorted(charges, reverse=True)
    assert charges[-1] < 25
    assert tiers(rounds[0]) == (True,) * 4
    dark = played.trouble.dark[0]
    assert dark.start_ms > played.trouble.start_ms + 20 * MINUTE_MS
    assert len(boots(played, probe)) == 2


def test_a_last_mile_cut_is_measured_and_told_afterwards() -> None:
    """Same boot; the rounds of the gap come as backfill: only the site's own network answered."""
    played = play(troubled("last-mile-cut"), hours=5)
    probe, trouble = played.probe, played.trouble
    assert len(boots(played, probe)) == 1
    assert {tiers(one) for one in played.during(probe)} == {(True, False, False, False)}
    backfill = played.of(probe, "backfill")
    assert all(h.at_ms > trouble.end_ms for h in backfill)
    told = {r["seq"] for h in played.of(probe) for r in h.rounds()}
    assert max(told) - min(told) == len(told) - 1  # nothing is missing
    assert {dark.site for dark in trouble.dark} == set(trouble.sites)


def test_backfill_and_live_rounds_take_turns() -> None:
    """After a long gap live rounds do not wait for the backlog."""
    played = play(troubled("last-mile-cut", duration="40h"), hours=44)
    channels = [h.channel for h in played.of(played.probe) if h.at_ms > played.trouble.end_ms]
    assert channels[0] == "status"
    assert channels.index("telemetry") < len(channels) - channels[::-1].index("telemetry")
    assert channels.count("backfill") >= 8


def test_a_site_that_fails_over_stays_up_on_its_other_uplink() -> None:
    """No session is lost for long; attributes and round trips are those of the other link."""
    played = play(troubled("fallback", duration="4h"), hours=7)
    probe, trouble = played.probe, played.trouble
    site = played.registry.sites[trouble.sites[0]]
    assert not trouble.dark
    assert trouble.on_backup == [site.site]
    during = [
        r
        for h in played.of(probe, "telemetry")
        for r in h.rounds()
        if trouble.start_ms + 2 * MINUTE_MS < r["ts"] < trouble.end_ms
    ]
    assert {r["a"]["link_active"] for r in during} == {site.uplinks[1].link_type}
    before = [r for h in played.of(probe, "telemetry") for r in h.rounds() if "a" in r]
    assert before[0]["a"]["public_ip"] != during[0]["a"]["public_ip"]


@pytest.mark.parametrize(
    ("kind", "answering"),
    [
        ("backbone-cut", (True, True, False, False)),
        ("district-cut", (True, True, False, False)),
        ("trunk-cut", (True, True, False, False)),
        ("provider-outage", (True, False, False, False)),
        ("mobile-core-outage", (True, False, False, False)),
    ],
)
def test_a_cut_of_something_shared(kind: str, answering: tuple[bool, ...]) -> None:
    """The members fall silent and return together, and tell from which tier on it was dead."""
    played = play(troubled(kind), hours=5)
    trouble = played.trouble
    assert len({dark.site for dark in trouble.dark}) >= 3
    starts = [dark.start_ms for dark in trouble.dark]
    assert max(starts) - min(starts) <= 60_000
    for dark in trouble.dark:
        probe = next(p for p in places() if p.name == dark.site).probes[0].device
        assert {tiers(one) for one in played.during(probe, margin_ms=60_000)} == {answering}


def test_a_backbone_cut_spares_satellites() -> None:
    """A satellite link does not run over the province's cables."""
    trouble = troubled("backbone-cut", group="LA-PH" if "LA-PH" in provinces() else provinces()[0])
    for name in trouble.sites:
        assert not country().sites[name].uplinks[0].link_type.startswith("vsat")


def provinces() -> list[str]:
    return sorted(GROUP_MODES["backbone-cut"].members({p.name: p for p in places()}))


def test_a_feeder_cut_hits_all_its_sites_at_once() -> None:
    """Within seconds, and those without a battery boot anew."""
    played = play(troubled("feeder-cut"), hours=5)
    feeders = {country().sites[name].feeder for name in played.trouble.sites}
    assert feeders == {played.trouble.scope[1]}
    assert len(played.trouble.sites) >= 3
    for dark in played.trouble.dark:
        at = next(p for p in places() if p.name == dark.site)
        assert len(boots(played, at.probes[0].device)) == 2


def test_an_international_cut_loses_no_session() -> None:
    """Only the tier abroad fails; rounds arrive live."""
    played = play(troubled("international-cut"), hours=5)
    assert {tiers(one) for one in played.during(played.probe)} == {(True, True, True, False)}
    assert len(played.of(played.probe, "status")) == 1


def test_an_international_detour_is_longer_abroad_only() -> None:
    """The smallest round trip abroad grows by 40 to 130 ms; within the country nothing changes."""
    played = play(troubled("international-detour"), hours=5)
    before, during = played.before(played.probe), played.during(played.probe)
    assert 35 < median(during, "int_rtt_min_ms") - median(before, "int_rtt_min_ms") < 140
    assert median(during, "nat_rtt_min_ms") < 1.3 * median(before, "nat_rtt_min_ms") + 5


def test_a_dns_failure_leaves_pings_and_sessions() -> None:
    """No name is found and no page loads, by servfail or by timeout; packets come back."""
    played = play(troubled("dns-failure"), hours=5)
    rounds = played.during(played.probe)
    assert share(rounds, "dns_ms", None) == share(rounds, "http_status", None) == 1.0
    assert 0.2 < share(rounds, "dns_rcode", 2) < 1.0
    assert {tiers(one) for one in rounds} == {(True,) * 4}
    assert len(played.of(played.probe, "status")) == 1


def test_congestion_leaves_the_smallest_round_trip() -> None:
    """The middle grows at least twofold over its idle part, the smallest hardly."""
    played = play(troubled("congestion", start="3h", duration="4h"), hours=8)
    before, during = played.before(played.probe), played.during(played.probe)

    def wait(rounds: Rounds) -> float:
        return median(rounds, "nat_rtt_p50_ms") - median(rounds, "nat_rtt_min_ms")

    assert wait(during) > 1.8 * wait(before)
    assert wait(during) > median(during, "nat_rtt_min_ms") - median(before, "nat_rtt_min_ms")


def test_a_blocked_site_gets_another_page() -> None:
    """Names and TCP work, TLS does not, the page is another one; no session, all told later."""
    played = play(troubled("blocked"), hours=5)
    rounds = played.during(played.probe)
    assert share(rounds, "http_status", 302) == share(rounds, "content_ok", False) == 1.0
    assert share(rounds, "dns_rcode", 0) > 0.99
    assert share(rounds, "tls_ms", None) == 1.0
    assert all("tcp_ms" in one for one in rounds)
    assert not played.trouble.dark
    start_ms, end_ms = played.trouble.start_ms, played.trouble.end_ms
    live = [h for h in played.of(played.probe, "telemetry") if start_ms < h.at_ms < end_ms]
    assert not live


def test_rain_takes_the_signal_before_the_link() -> None:
    """The signal falls before packets are lost, and comes back; the floor stays."""
    played = play(troubled("rain-fade", duration="50m"), hours=4)
    probe = played.probe
    before, during = played.before(probe), played.during(probe)
    lowest = min(one["esno_db"] for one in during)
    assert median(before, "esno_db") - lowest > 3.5
    first_low = next(n for n, one in enumerate(during) if one["esno_db"] < lowest + 2)
    first_lossy = next((n for n, one in enumerate(during) if one["nat_rcvd"] < 8), len(during))
    assert first_low <= first_lossy + 2
    alive = [one for one in during if "nat_rtt_min_ms" in one]
    assert median(alive, "nat_rtt_min_ms") < 1.1 * median(before, "nat_rtt_min_ms")


def test_a_weak_radio_and_a_full_cell_differ() -> None:
    """A weak signal is low in itself; a full cell only in its quality."""
    weak, full = play(troubled("weak-radio"), hours=5), play(troubled("cell-overload"), hours=5)
    for played, metric, least in ((weak, "rsrp_dbm", 15), (full, "rsrq_db", 6)):
        before, during = played.before(played.probe), played.during(played.probe)
        assert median(before, metric) - median(during, metric) > least
        assert lost(during, "nat") > lost(before, "nat") + 0.01
    before, during = full.before(full.probe), full.during(full.probe)
    assert abs(median(before, "rsrp_dbm") - median(during, "rsrp_dbm")) < 6


def test_flapping_is_many_short_sessions_of_one_boot() -> None:
    """Births and Wills in turn, one boot, no round missing."""
    played = play(troubled("flapping", duration="3h"), hours=6)
    states = [h.said["state"] for h in played.of(played.probe, "status")]
    assert states.count("offline") >= 10
    assert all(before != after for before, after in pairwise(states))
    assert len(boots(played, played.probe)) == 1
    told = {r["seq"] for h in played.of(played.probe) for r in h.rounds()}
    assert max(told) - min(told) == len(told) - 1


def test_silent_loss_shows_only_in_the_sum() -> None:
    """Between half a percent and six percent are lost; most rounds lose nothing."""
    played = play(troubled("silent-loss", duration="20h"), hours=23)
    during = played.during(played.probe)
    assert 0.005 < lost(during, "nat") < 0.08
    assert share(during, "nat_rcvd", 10) > 0.5


def test_a_slow_uplink_is_slow_one_way() -> None:
    """Upload tests give a fraction of what they gave before, downloads do not."""
    played = play(troubled("slow-uplink", start="48h", duration="120h"), hours=168)
    before, during = played.before(played.probe), played.during(played.probe)
    assert median(during, "up_mbps") < 0.4 * median(before, "up_mbps")
    assert median(during, "down_mbps") > 0.6 * median(before, "down_mbps")


def test_an_mtu_black_hole_stalls_full_segments() -> None:
    """Pings, names and TCP are well, TLS and pages are not, and the largest packet is smaller."""
    played = play(troubled("mtu-black-hole", duration="4h"), hours=7)
    before, during = played.before(played.probe), played.during(played.probe)
    assert share(during, "tls_ms", None) == share(during, "http_status", None) == 1.0
    assert share(during, "tcp_ms", None) < 0.1
    assert median(during, "pmtu_bytes") < median(before, "pmtu_bytes") - 50
    assert len(played.of(played.probe, "status")) == 1


def test_a_detour_moves_the_floor() -> None:
    """The smallest round trip within the country grows by at least two thirds at once."""
    played = play(troubled("detour"), hours=5)
    before, during = played.before(played.probe), played.during(played.probe)
    assert median(during, "nat_rtt_min_ms") > 1.4 * median(before, "nat_rtt_min_ms")
    assert median(during, "isp_rtt_min_ms") < 1.3 * median(before, "isp_rtt_min_ms") + 3


def test_a_dead_probe_is_silent_alone() -> None:
    """The other devices of its site go on; it boots when it comes back."""
    trouble = troubled("probe-dead", device=probe_with_company())
    played = play(trouble, hours=5)
    assert played.during(played.probe) == []
    assert len(boots(played, played.probe)) == 2
    other = next(d for d in played.registry.devices if is_neighbour(d, played.probe))
    assert len(played.during(other)) > 10


def probe_with_company() -> str:
    return next(p for p in places() if len(p.devices) >= 3 and not p.fails_over).probes[0].device


def is_neighbour(device: str, probe: str) -> bool:
    devices = country().devices
    return device != probe and devices[device].site == devices[probe].site


def test_an_agent_that_hangs_keeps_its_session() -> None:
    """No Will, no round; afterwards the agent has started anew and the system has not."""
    played = play(troubled("agent-hang"), hours=5)
    assert played.during(played.probe) == []
    assert len(played.of(played.probe, "status")) == len(boots(played, played.probe)) == 1
    last = played.of(played.probe, "telemetry")[-1].said["m"]
    assert last["agent_uptime_s"] < 3 * 3600 < last["os_uptime_s"]


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("clock-reset", lambda skew: skew < -200 * 86_400_000),
        ("clock-step", lambda skew: 40_000 < abs(skew) < 260_000),
        ("clock-drift", lambda skew: abs(skew) < 5_000),
        ("timezone", lambda skew: abs(abs(skew) - 7 * HOUR_MS) < 10_000),
    ],
)
def test_wrong_clocks(kind: str, fits: Any) -> None:
    """Event times are off from arrival by what the fault says; the measurements are sound."""
    played = play(troubled(kind), hours=5)
    start_ms, end_ms = played.trouble.start_ms, played.trouble.end_ms
    live = played.of(played.probe, "telemetry")
    during = [h for h in live if start_ms + 10_000 < h.at_ms < end_ms]
    assert len(during) > 20
    assert all(fits(h.said["ts"] - h.at_ms) for h in during)
    assert all(-12_000 < h.said["ts"] - h.at_ms <= 0 for h in live if h.at_ms < start_ms)
    if kind == "clock-drift":
        skews = [h.said["ts"] - h.at_ms for h in during]
        assert abs(statistics.mean(skews[-10:]) - statistics.mean(skews[:10])) > 700


def test_a_duplicate_identity_throws_the_other_out() -> None:
    """Two boots with counts of their own take turns, each with a Will for the other."""
    played = play(troubled("duplicate-identity", duration="1h"), hours=4)
    during = [
        h
        for h in played.of(played.probe, "telemetry")
        if played.trouble.start_ms < h.at_ms < played.trouble.end_ms
    ]
    names = [h.said["boot"] for h in during]
    assert len(set(names)) == 2
    assert sum(a != b for a, b in pairwise(names)) > 0.9 * (len(names) - 1)
    wills = [h for h in played.of(played.probe, "status") if h.said["state"] == "offline"]
    assert {h.said["boot"] for h in wills} == set(names)


def test_when_the_platform_is_away_everybody_is_well() -> None:
    """Nothing arrives, no Will either; all return within a minute and tell of a sound network."""
    played = play(troubled("platform-failure", duration="30m"), hours=4)
    start_ms, end_ms = played.trouble.start_ms, played.trouble.end_ms
    assert not [h for h in played.heard if start_ms + 15_000 < h.at_ms < end_ms]
    births = [h for h in played.heard if h.channel == "status" and h.at_ms > end_ms]
    assert {h.said["state"] for h in births} == {"online"}
    assert {h.device for h in births} == set(played.trouble.devices) == set(country().devices)
    assert max(h.at_ms for h in births) < end_ms + 70_000
    assert {tiers(one) for one in played.during(played.probe)} == {(True,) * 4}


def test_expired_credentials_are_refused_at_one_hour() -> None:
    """The probes of an agency lose their sessions together; their networks are well."""
    batch = all_troubled("credential-expiry")
    assert len(batch) >= 3
    assert {trouble.scope for trouble in batch} == {("device", t.devices[0]) for t in batch}
    for trouble in batch[:3]:
        played = play(trouble, hours=5)
        will = next(h for h in played.of(played.probe, "status") if h.said["state"] == "offline")
        assert trouble.start_ms <= will.at_ms < trouble.start_ms + 40_000
        assert {tiers(one) for one in played.during(played.probe)} == {(True,) * 4}


def test_every_mode_is_tested_here() -> None:
    """No failure mode is without a test of its signature on this page."""
    text = Path(__file__).read_text("utf-8")
    for kind in (*MODES, *GROUP_MODES):
        assert f'"{kind}"' in text, kind

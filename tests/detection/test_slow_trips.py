"""Slow trips: what lasts on all tiers is told, what a single tier or another way does is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detection.engine import Engine
from detection.findings import Finding
from detection.periods import DAY_MS
from detection.seasons import UTC_OFFSET_MS
from devices.readings import Readings
from tests.detection.feed import Talk, split, steps
from tests.detection.test_period_rules import STEP_S, Shape, days, talk

WAYS_MS = {"gw": 1.0, "isp": 4.0, "nat": 12.0, "int": 50.0}
HOUR = 1 / 24


def trips(longer_ms: float = 0.0, **slower: float) -> Shape:
    """Round trips of restless tiers; slower: how many times as long packets wait, by tier.

    longer_ms: of the way itself, to every tier.
    """

    def shape(hour: float, rng: np.random.Generator) -> dict[str, float]:
        said = {}
        for tier, way_ms in WAYS_MS.items():
            wait_ms = (2 + 2 * (8 <= hour < 16)) * rng.gamma(4, 0.25) * slower.get(tier, 1.0)
            said[f"{tier}_rtt_min_ms"] = way_ms + longer_ms + 0.05 * wait_ms
            said[f"{tier}_rtt_p50_ms"] = way_ms + longer_ms + wait_ms
        return said

    return shape


def slow(found: list[Finding]) -> list[str]:
    """The phases of what is said of slow trips."""
    return steps(found, "slow-trips")


@pytest.fixture
def lived() -> tuple[Talk, np.random.Generator]:
    """A probe on the morning of its fifth day."""
    rng, probe = np.random.default_rng(3), talk("connectivity-probe")
    assert slow(days(probe, 4 + 9 * HOUR, trips(), rng)) == []
    return probe, rng


def test_what_is_slow_on_all_tiers_is_told(lived: tuple[Talk, np.random.Generator]) -> None:
    """Within five rounds, of the national median, with what is usual; and it ends."""
    probe, rng = lived
    began_ms = probe.at_ms
    found = days(probe, 2 * HOUR, trips(isp=5, nat=5, int=5), rng)
    (fired,) = [f for f in found if f.rule == "slow-trips"]
    assert (fired.metric, fired.phase, fired.nature) == ("nat_rtt_p50_ms", "firing", "connectivity")
    assert fired.at_ms - began_ms <= 5 * STEP_S * 1000
    assert fired.expected is not None
    assert 12 < fired.expected[1] < 25
    assert slow(days(probe, 4 * HOUR, trips(), rng)) == ["clear"]


@pytest.mark.parametrize(
    "shape",
    [
        trips(gw=8),
        trips(isp=8),
        trips(longer_ms=30),
        trips(longer_ms=4),
        trips(longer_ms=30, isp=2, nat=2),
    ],
    ids=["the gateway", "one tier", "another way", "a little longer way", "another way, restless"],
)
def test_what_is_no_full_line_is_silent(
    shape: Shape, lived: tuple[Talk, np.random.Generator]
) -> None:
    """The router of a near tier may be slow to answer, and a longer way is no waiting."""
    probe, rng = lived
    assert slow(days(probe, 3 * HOUR, shape, rng)) == []


@pytest.mark.parametrize(("beyond", "told"), [(1, False), (8, True)])
@pytest.mark.parametrize("near", ["gw", "isp"])
def test_a_router_that_is_slow_to_answer_is_no_shift(
    near: str, beyond: float, told: bool, lived: tuple[Talk, np.random.Generator]
) -> None:
    """What the next tier beyond does not show is not the way."""
    probe, rng = lived
    slower = {**dict.fromkeys(WAYS_MS, beyond), near: 8.0}
    found = days(probe, 3 * HOUR, trips(**slower), rng)
    metrics = {f.metric for f in found if f.rule == "shift" and f.phase == "firing"}
    assert (f"{near}_rtt_p50_ms" in metrics) == told


def test_what_recurs_is_the_link_s_habit(lived: tuple[Talk, np.random.Generator]) -> None:
    """A short rush is told once; the next one like it is not, one that lasts is."""
    probe, rng = lived
    rush = trips(isp=3, nat=3, int=3)
    assert "firing" in slow(days(probe, HOUR, rush, rng))
    days(probe, 1 - HOUR, trips(), rng)
    days(probe, HOUR, rush, rng)
    days(probe, 1 - HOUR, trips(), rng)
    assert slow(days(probe, HOUR / 2, rush, rng)) == []
    assert slow(days(probe, 6 * HOUR, trips(isp=6, nat=6, int=6), rng)) == ["firing"]


def test_a_missing_round_begins_the_sum_anew(lived: tuple[Talk, np.random.Generator]) -> None:
    """It may come late, and what is late raises no alarm."""
    probe, rng = lived
    rush = trips(isp=20, nat=20, int=20)
    for _ in range(4):
        assert slow(days(probe, HOUR / 12, rush, rng)) == []
        probe.pause(STEP_S)
    assert slow(days(probe, 4 * HOUR / 12, rush, rng)) == ["firing"]


def test_one_tier_alone_is_not_judged() -> None:
    """A probe that measures the national tier only is judged by its shifts."""
    rng, probe = np.random.default_rng(5), talk("connectivity-probe")

    def national(shape: Shape) -> Shape:
        return lambda hour, rng: {k: v for k, v in shape(hour, rng).items() if k[:3] == "nat"}

    days(probe, 4, national(trips()), rng)
    assert slow(days(probe, 2 * HOUR, national(trips(nat=9)), rng)) == []


def test_nothing_is_judged_before_two_days_were_lived() -> None:
    """What a day of this link looks like is not known yet."""
    rng, probe = np.random.default_rng(4), talk("connectivity-probe")
    days(probe, 1.4, trips(), rng)
    assert slow(days(probe, 2 * HOUR, trips(isp=9, nat=9, int=9), rng)) == []


@pytest.mark.parametrize(("slower", "told"), [(1.0, []), (4.0, ["firing"])])
def test_the_first_saturday_is_held_against_working_days(
    slower: float, told: list[str], lived: tuple[Talk, np.random.Generator]
) -> None:
    """What is slow in an hour that no day of rest was lived in yet is not taken for its season.

    Nor is the busy morning of an office that works on Saturdays told.
    """
    probe, rng = lived
    days(probe, 23 * HOUR, trips(), rng)
    assert slow(days(probe, 2 * HOUR, trips(isp=slower, nat=slower, int=slower), rng)) == told
    assert slow(days(probe, 1 - 2 * HOUR, trips(), rng)) == ["clear"] * len(told)
    assert slow(days(probe, 3 * HOUR, trips(), rng)) == []


def test_rounds_of_many_probes_in_one_batch_are_told_apart() -> None:
    """As one by one: a wave holds a round of each device, whichever order they came in."""
    rng = np.random.default_rng(5)
    probe = talk("connectivity-probe")
    catalogue, at_ms = probe.catalogue, probe.at_ms
    devices = [replace(probe.device, device=f"d{n}") for n in range(3)]
    rounds: list[Readings] = []
    alone, together = Engine(catalogue), Engine(catalogue)
    one_by_one: list[Finding] = []
    for n in range(round(4.6 * 288)):
        at_ms += round(STEP_S * 1000)
        hour = (at_ms + 7 * 3_600_000) % 86_400_000 / 3_600_000
        rushed = n > 4.4 * 288
        for k, said_by in enumerate(devices):
            times = 5.0 if rushed and k == 1 else 1.0
            shape = trips(isp=times, nat=times, int=times)
            live, _ = split(catalogue, said_by, at_ms, shape(hour, rng))
            rounds.append(live)
            one_by_one += alone.score(live)
    batch = Readings(
        *(
            np.concatenate([getattr(one, name) for one in rounds])
            for name in ("series", "at_ms", "received_ms", "value")
        )
    )
    found = together.score(batch)
    assert {f.device for f in found if f.rule == "slow-trips"} == {"d1"}
    keys = [(f.device, f.rule, f.phase, f.onset_ms) for f in one_by_one if f.rule == "slow-trips"]
    assert keys == [
        (f.device, f.rule, f.phase, f.onset_ms) for f in found if f.rule == "slow-trips"
    ]


def full(**more_ms: float) -> Shape:
    """Packets wait so long more on the way to a tier."""

    def shape(hour: float, rng: np.random.Generator) -> dict[str, float]:
        said = trips()(hour, rng)
        for tier, more in more_ms.items():
            said[f"{tier}_rtt_p50_ms"] += more
        return said

    return shape


@pytest.mark.parametrize(
    ("shape", "rounds", "told"),
    [
        (full(isp=8, nat=2.5, int=25), 12, []),
        (full(isp=14, nat=14, int=14), 5, ["firing"]),
        (full(isp=40, nat=40, int=40), 2, ["firing"]),
    ],
    ids=["too little", "doubled", "much"],
)
def test_what_nobody_notices_is_silent(
    shape: Shape, rounds: int, told: list[str], lived: tuple[Talk, np.random.Generator]
) -> None:
    """Some milliseconds more are not told; a doubling is, by a value above what is expected."""
    probe, rng = lived
    found = days(probe, rounds * HOUR / 12, shape, rng)
    assert slow(found) == told
    for fired in found:
        if fired.rule == "slow-trips":
            assert fired.value is not None
            assert fired.expected is not None
            assert fired.value > fired.expected[1]


def test_a_rush_of_some_minutes_is_silent() -> None:
    """However slow three rounds of a minute each are; the fourth is told."""
    rng, probe = np.random.default_rng(6), Talk("connectivity-probe", interval_s=60)

    def rounds(n: int, shape: Shape) -> list[Finding]:
        found = []
        for _ in range(n):
            hour = (probe.at_ms + 60_000 + UTC_OFFSET_MS) % DAY_MS / 3_600_000
            found += probe.say(**shape(hour, rng))
        return found

    rush = full(isp=40, nat=40, int=40)
    rounds(4 * 1440, trips())
    assert slow(rounds(3, rush)) == []
    assert slow(rounds(1, rush)) == ["firing"]

"""Every timed condition at its limit, a minute before its time, at it, and over a gap.

The numbers are those of the standards and of public health, written down here a second time:
EN 50160 (230 V +/- 10 %, and -15 %), WHO on vaccine stores and drinking water, indoor air.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from detection.rules_tables import read_conditions
from tests.detection.feed import Feed, steps

MINUTE_S = 60


class Case(NamedTuple):
    """at: the last value in order; beyond: the first bad one; minutes until it fires."""

    kind: str
    metric: str
    rule: str
    usual: float
    at: float
    beyond: float
    minutes: int


CASES = [
    Case("cold-chain", "temperature_c", "fridge-freeze", 4.0, -0.4, -0.5, 60),
    Case("cold-chain", "temperature_c", "fridge-cold", 4.0, 2.0, 1.9, 240),
    Case("cold-chain", "temperature_c", "fridge-warm", 4.0, 8.0, 8.1, 60),
    Case("cold-chain", "temperature_c", "fridge-heat", 4.0, 8.0, 8.1, 600),
    Case("cold-chain", "door_open", "fridge-door", 0.0, 0.0, 1.0, 15),
    Case("water-quality", "turbidity_ntu", "water-turbid", 4.0, 5.0, 5.01, 15),
    Case("water-quality", "ph", "water-acid", 7.0, 6.5, 6.49, 15),
    Case("water-quality", "ph", "water-alkaline", 8.0, 8.5, 8.51, 15),
    Case("water-quality", "chlorine_mgl", "chlorine-low", 0.3, 0.2, 0.19, 15),
    Case("water-quality", "chlorine_mgl", "chlorine-high", 4.0, 5.0, 5.01, 10),
    Case("water-level", "level_m", "tank-low", 1.0, 0.8, 0.79, 10),
    Case("water-level", "level_m", "tank-dry", 0.5, 0.2, 0.19, 10),
    Case("water-level", "level_m", "tank-full", 3.8, 3.92, 3.93, 10),
    Case("power", "mains_v", "mains-low", 230.0, 207.0, 206.9, 10),
    Case("power", "mains_v", "mains-high", 230.0, 253.0, 253.1, 10),
    Case("power", "mains_v", "mains-sag", 230.0, 195.5, 195.4, 1),
    Case("connectivity-probe", "mains_v", "mains-low", 230.0, 195.5, 195.4, 10),
    Case("connectivity-probe", "mains_v", "mains-high", 230.0, 253.0, 253.1, 10),
    Case("environment", "co2_ppm", "co2-poor", 600.0, 1000.0, 1001.0, 480),
    Case("environment", "co2_ppm", "co2-high", 900.0, 2000.0, 2001.0, 20),
]
every_case = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.kind}-{case.rule}" for case in CASES]
)


def feed(case: Case) -> Feed:
    """A series that was in order for three minutes."""
    made = Feed(case.kind, case.metric, params={"height_m": 4.0})
    made.say([case.usual] * 3)
    return made


def test_no_timed_condition_is_left_out() -> None:
    """Each row of the table that has a dwell is tried here."""
    tried = {(case.metric, case.rule) for case in CASES}
    metrics = {(case.kind, case.rule) for case in CASES}
    timed = [rule for rule in read_conditions() if rule.dwell_ms]
    assert {rule.name for rule in timed} == {rule for _, rule in tried}
    assert len(timed) == len(metrics) == len(CASES)


@every_case
def test_at_the_limit_all_is_well(case: Case) -> None:
    """The limit itself is no fault, however long it lasts."""
    assert steps(feed(case).say([case.at] * (2 * case.minutes + 5)), case.rule) == []


@every_case
def test_it_fires_at_its_minute_and_not_before(case: Case) -> None:
    """A minute less than the dwell is pending, the dwell fires."""
    one = feed(case)
    assert steps(one.say([case.beyond] * case.minutes), case.rule) == ["pending"]
    (fired,) = [f for f in one.say([case.beyond]) if f.rule == case.rule]
    assert fired.phase == "firing"
    assert fired.at_ms - fired.onset_ms == case.minutes * MINUTE_S * 1000


@every_case
@pytest.mark.parametrize("gap_s", [3 * MINUTE_S, 6 * 3600])
def test_a_gap_in_the_middle_neither_counts_nor_starts_anew(case: Case, gap_s: float) -> None:
    """Half the time, minutes or hours unheard, the other half: only what was heard counts."""
    if case.minutes < 2:
        return
    one, half = feed(case), case.minutes // 2
    assert steps(one.say([case.beyond] * (half + 1)), case.rule) == ["pending"]
    one.pause(gap_s)
    assert steps(one.say([case.beyond] * (case.minutes - half)), case.rule) == []
    assert steps(one.say([case.beyond]), case.rule) == ["firing"]


@every_case
def test_a_firing_condition_is_not_over_at_its_limit(case: Case) -> None:
    """It ends well inside, not where it began."""
    one = feed(case)
    one.say([case.beyond] * (case.minutes + 2))
    if case.metric != "door_open":
        assert steps(one.say([case.at] * 20), case.rule) == []
    assert steps(one.say([case.usual] * 20), case.rule) == ["clear"]


def test_a_surge_fires_with_the_second_reading() -> None:
    """Above 264 V there is no time to lose; 264 V itself is none."""
    meter = Feed("power", "mains_v")
    assert steps(meter.say([230.0, 230.0, 264.0, 264.0, 264.0]), "mains-surge") == []
    assert steps(meter.say([264.1]), "mains-surge") == ["pending"]
    assert steps(meter.say([264.1]), "mains-surge") == ["firing"]

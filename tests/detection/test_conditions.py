"""Conditions: the timers of public health and standards, at their boundaries."""

from __future__ import annotations

import pytest

from detection.findings import Finding
from detection.rules_tables import read_conditions
from detection.texts import explain
from tests.detection.feed import Feed, Talk, steps

RULES = {rule.name for rule in read_conditions()}
FRIDGE = {"ambient_c": 28.0, "door_open": 0.0, "compressor_on": 1.0, "mains_on": 1.0}


def fired(found: list[Finding]) -> set[str]:
    """The conditions that fired."""
    return {f.rule for f in found if f.phase == "firing" and f.rule in RULES}


def fridge(interval_s: float = 60) -> Feed:
    """A vaccine fridge in order."""
    feed = Feed("cold-chain", "temperature_c", interval_s=interval_s)
    feed.say([4.0, 4.1])
    return feed


@pytest.mark.parametrize(("minutes", "expected"), [(59, ["pending"]), (60, ["pending", "firing"])])
def test_freezing_for_an_hour(minutes: int, expected: list[str]) -> None:
    """A fridge at exactly -0.5 degrees is critical after 60 minutes, not after 59."""
    found = fridge().say([-0.5] * (minutes + 1))
    assert steps(found, "fridge-freeze") == expected


def test_just_above_is_not_freezing() -> None:
    """-0.4 degrees does not count, however long it lasts."""
    assert steps(fridge().say([-0.4] * 200), "fridge-freeze") == []


def test_one_reading_above_starts_the_freezing_timer_anew() -> None:
    """The 60 minutes are consecutive: 40, a reading at -0.4, and 40 more are no alarm."""
    found = fridge().say([-1.0] * 41 + [-0.4] + [-1.0] * 41)
    assert steps(found, "fridge-freeze") == ["pending", "clear", "pending"]


@pytest.mark.parametrize("gap_s", [3600, 6 * 3600])
def test_a_gap_neither_resets_nor_satisfies_the_freezing_timer(gap_s: float) -> None:
    """30 minutes frozen, hours unheard, and 30 more: fires with the 60th minute heard."""
    feed = fridge()
    assert steps(feed.say([-1.0] * 31), "fridge-freeze") == ["pending"]
    feed.pause(gap_s)
    assert steps(feed.say([-1.0] * 30), "fridge-freeze") == []
    assert steps(feed.say([-1.0] * 2), "fridge-freeze") == ["firing"]


def test_a_gap_of_three_intervals_is_a_gap() -> None:
    """At five minutes, twenty minutes without a reading do not count as frozen."""
    feed = fridge(interval_s=300)
    feed.say([-1.0] * 7)  # 30 minutes
    feed.pause(1200 - 300)
    assert "fridge-freeze" not in fired(feed.say([-1.0] * 6))  # 25 minutes more
    assert "fridge-freeze" in fired(feed.say([-1.0] * 2))


@pytest.mark.parametrize(("minutes", "expected"), [(599, False), (600, True)])
def test_ten_hours_of_heat(minutes: int, expected: bool) -> None:
    """Above 8 degrees for 600 minutes is critical, for 599 not; it warns long before."""
    found = fridge().say([9.0] * (minutes + 1))
    assert ("fridge-heat" in fired(found)) == expected
    assert "fridge-warm" in fired(found)


def test_exactly_eight_degrees_is_in_order() -> None:
    """+8 is still inside the store's range."""
    assert fired(fridge().say([8.0] * 700)) == set()


def test_heat_adds_up_over_short_returns() -> None:
    """Five hours, half an hour at 7 degrees, and five more hours are ten hours of heat."""
    found = fridge().say([9.0] * 301 + [7.0] * 30 + [9.0] * 301)
    assert steps(found, "fridge-heat") == ["pending", "firing"]


def test_an_hour_of_return_ends_the_heat() -> None:
    """Five hours, an hour and a half at 5 degrees, and nine more hours are no ten hours."""
    found = fridge().say([9.0] * 301 + [5.0] * 90 + [9.0] * 541)
    assert "fridge-heat" not in fired(found)


def test_a_gap_neither_resets_nor_satisfies_the_heat_timer() -> None:
    """Five hours, eight unheard, and five more: critical after ten hours heard."""
    feed = fridge()
    feed.say([9.0] * 301)
    feed.pause(8 * 3600)
    assert "fridge-heat" not in fired(feed.say([9.0] * 300))
    assert "fridge-heat" in fired(feed.say([9.0] * 2))


def test_an_opened_door_is_no_condition() -> None:
    """The air warms by some degrees for ten minutes several times a day: silence."""
    feed = Talk("cold-chain")
    found = []
    for _ in range(20):
        found += feed.say(50, temperature_c=4.5, **FRIDGE)
        found += feed.say(10, temperature_c=9.4, **(FRIDGE | {"door_open": 1.0}))
    assert fired(found) == set()


@pytest.mark.parametrize(
    ("said", "why"),
    [({"mains_on": 0.0}, "no mains power"), ({"compressor_on": 0.0}, "does not run"), ({}, None)],
)
def test_a_warm_fridge_says_why(said: dict[str, float], why: str | None) -> None:
    """A fridge without power or with a compressor that stands says so in its alert."""
    feed = Talk("cold-chain")
    feed.say(5, temperature_c=5.0, **FRIDGE)
    found = [feed.say(temperature_c=5 + k * 0.05, **(FRIDGE | said)) for k in range(140)]
    warm = [f for fs in found for f in fs if f.rule == "fridge-warm" and f.phase == "firing"]
    text = explain(warm[0]).en
    assert (why in text) if why else ("no mains" not in text and "does not run" not in text)


def test_ten_minutes_of_low_voltage_on_average() -> None:
    """A voltage that plays around 207 V but averages 205 V fires; at 209 it does not."""
    low = Feed("power", "mains_v")
    low.say([230.0] * 5)
    assert "mains-low" in fired(low.say([203, 208, 204] * 5))
    fair = Feed("power", "mains_v")
    fair.say([230.0] * 5)
    assert "mains-low" not in fired(fair.say([205, 211, 210] * 10))


def test_a_tank_is_judged_by_its_own_height() -> None:
    """0.7 m are a fifth of a tank of 4 m, but not of one of 3 m, and say nothing of a river."""
    for height, expected in ((4.0, True), (3.0, False), (None, False)):
        feed = Feed("water-level", "level_m", params={"height_m": height} if height else {})
        feed.say([1.2])
        assert ("tank-low" in fired(feed.say([0.7] * 15))) == expected


def test_a_falling_tank_says_when_it_is_empty() -> None:
    """A level that falls by 0.3 m an hour from 0.75 m is empty in about two and a half hours."""
    feed = Feed("water-level", "level_m", params={"height_m": 4.0})
    feed.say([0.9])
    found = feed.say([0.78 - 0.005 * k for k in range(15)])
    (low,) = [f for f in found if f.rule == "tank-low" and f.phase == "firing"]
    assert 2 * 3600 < float(low.facts["left_s"]) < 3 * 3600


def test_a_flood_fires_with_its_second_report() -> None:
    """One report may be a splash; two are a flood."""
    feed = Feed("presence", "water_present")
    assert steps(feed.say([0, 1, 0, 1, 1]), "flood") == ["pending", "clear", "pending", "firing"]


@pytest.mark.parametrize(
    ("minutes", "rules"), [(19, set()), (21, {"co2-high"}), (481, {"co2-high", "co2-poor"})]
)
def test_bad_air(minutes: int, rules: set[str]) -> None:
    """CO2 above 2000 ppm warns after 20 minutes; a poor room is told after eight hours."""
    feed = Feed("environment", "co2_ppm")
    feed.say([500, 900])
    assert fired(feed.say([2100.0] * minutes)) == rules

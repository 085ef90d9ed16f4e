"""Rules over nights, days and quarters of an hour: what fires, when, and what must not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from detection.findings import Finding
from detection.periods import DAY_MS
from detection.seasons import UTC_OFFSET_MS
from detection.texts import explain
from tests.detection.feed import START_MS, Talk, steps

STEP_S = 300.0
MIDNIGHT_MS = (START_MS + UTC_OFFSET_MS) // DAY_MS * DAY_MS - UTC_OFFSET_MS  # a local one
Shape = Callable[[float, np.random.Generator], dict[str, float]]  # of the local hour


def days(talk: Talk, n: float, shape: Shape, rng: np.random.Generator) -> list[Finding]:
    """Findings of n days of a device."""
    found = []
    for _ in range(round(n * DAY_MS / 1000 / STEP_S)):
        hour = (talk.at_ms + STEP_S * 1000 + UTC_OFFSET_MS) % DAY_MS / 3_600_000
        found += talk.say(**shape(hour, rng))
    return found


def talk(kind: str) -> Talk:
    """A device that begins at a local midnight of a Monday."""
    made = Talk(kind, interval_s=STEP_S)
    made.at_ms = MIDNIGHT_MS - ((MIDNIGHT_MS + UTC_OFFSET_MS) // DAY_MS + 3) % 7 * DAY_MS
    return made


def use(leak: float) -> Shape:
    """A town's flow: little at night, some noise."""

    def shape(hour: float, rng: np.random.Generator) -> dict[str, float]:
        busy = 8 * np.exp(-(((hour - 7) / 2) ** 2)) + 7 * np.exp(-(((hour - 18) / 2.5) ** 2))
        return {"flow_m3h": max(0.0, leak + 1.0 + busy + 0.1 * rng.normal())}

    return shape


def test_a_leak_is_found_after_its_first_night() -> None:
    """A pipe that loses 2 m³/h raises the least flow of the night; mending it ends the alert."""
    rng, plant = np.random.default_rng(1), talk("water-level")
    assert steps(days(plant, 6, use(0), rng), "leak") == []
    (fired,) = [f for f in days(plant, 1, use(2), rng) if f.rule == "leak"]
    assert fired.phase == "firing"
    assert (fired.at_ms + UTC_OFFSET_MS) % DAY_MS < 4.2 * 3_600_000
    assert steps(days(plant, 3, use(2), rng), "leak") == []
    assert steps(days(plant, 1, use(0), rng), "leak") == ["clear"]


def test_water_that_is_drawn_once_at_night_is_no_leak() -> None:
    """A tank that is filled for an hour at two o'clock leaves the least flow where it was."""
    rng, plant = np.random.default_rng(2), talk("water-level")
    days(plant, 6, use(0), rng)

    def filled(hour: float, rng: np.random.Generator) -> dict[str, float]:
        return use(6.0 if 2 <= hour < 3 else 0.0)(hour, rng)

    assert steps(days(plant, 2, filled, rng), "leak") == []


def solar(watts: float, dark_w: float = 0.0, night_v: float = 12.3) -> Shape:
    """A panel and a battery."""

    def shape(hour: float, rng: np.random.Generator) -> dict[str, float]:
        sun = max(0.0, np.sin(np.pi * (hour - 6) / 12))
        watt = watts * sun * rng.uniform(0.3, 1) if sun > 0.02 else dark_w
        volt = 13.4 if 10 <= hour < 17 else night_v
        return {"pv_w": watt, "pv_v": 17.0 if sun > 0.02 else 0.0, "battery_v": volt}

    return shape


def test_a_dead_panel_is_found_by_noon() -> None:
    """A panel that gives nothing fires on the first day; a dark day does not."""
    rng, site = np.random.default_rng(3), talk("solar")
    assert steps(days(site, 4, solar(200), rng), "panel-dead") == []
    assert steps(days(site, 1, solar(20), rng), "panel-dead") == []
    (fired,) = [f for f in days(site, 1, solar(0), rng) if f.rule == "panel-dead"]
    assert (fired.at_ms + UTC_OFFSET_MS) % DAY_MS <= 12.2 * 3_600_000
    assert steps(days(site, 1, solar(200), rng), "panel-dead") == ["clear"]


@pytest.mark.parametrize("dark_w", [8.0, 40.0])
def test_no_sun_at_night(dark_w: float) -> None:
    """A panel that seems to give some watts in the dark is a sensor fault, one that gives 2 not."""
    rng, site = np.random.default_rng(4), talk("solar")
    assert steps(days(site, 3, solar(200, 2.0), rng), "night-sun") == []
    found = [f for f in days(site, 1, solar(200, dark_w), rng) if f.rule == "night-sun"]
    assert (found[0].metric, found[0].nature) == ("pv_w", "data_quality")


def test_an_ageing_battery_is_found_in_five_nights() -> None:
    """Nights that end 0.3 V lower than ever fire after the fifth; four such nights do not."""
    rng, site = np.random.default_rng(5), talk("solar")
    assert steps(days(site, 8, solar(200), rng), "battery-ageing") == []
    assert steps(days(site, 4, solar(200, night_v=12.0), rng), "battery-ageing") == []
    assert steps(days(site, 1, solar(200, night_v=12.0), rng), "battery-ageing") == ["firing"]


def test_burning_season_is_told_once_and_as_real() -> None:
    """Days of 150 µg/m³ are silent; 24 hours of 300 are told, as a condition, for information."""
    rng, street = np.random.default_rng(6), talk("air-quality")

    def dust(level: float) -> Shape:
        return lambda _, rng: {"pm2_5_ugm3": level * rng.uniform(0.7, 1.3)}

    assert steps(days(street, 3, dust(150), rng), "smoke") == []
    found = [f for f in days(street, 3, dust(300), rng) if f.rule == "smoke"]
    assert [(f.phase, f.severity, f.nature) for f in found] == [("firing", "info", "condition")]
    assert steps(days(street, 3, dust(50), rng), "smoke") == ["clear"]


def trips(nat_ms: float = 12, int_ms: float = 50, wait_ms: float = 0) -> Shape:
    """Round trips of a line that is busier in working hours."""

    def shape(hour: float, rng: np.random.Generator) -> dict[str, float]:
        busy = 6 * (8 <= hour < 16) + wait_ms
        noise = rng.exponential(1.5, 2)
        return {
            "nat_rtt_min_ms": nat_ms + noise[0] / 4,
            "nat_rtt_p50_ms": nat_ms + busy + noise[0],
            "int_rtt_min_ms": int_ms + noise[1] / 4,
            "int_rtt_p50_ms": int_ms + busy + noise[1],
        }

    return shape


LINKS = {"route-change", "international-slow", "congestion"}


def links(found: list[Finding]) -> list[tuple[str, str]]:
    """Rule and phase of the findings on links."""
    return [(f.rule, f.phase) for f in found if f.rule in LINKS]


@pytest.mark.parametrize(("before_ms", "now_ms", "why"), [(55, 25, "shorter"), (25, 55, "longer")])
def test_another_route_says_what_the_way_was(before_ms: float, now_ms: float, why: str) -> None:
    """The value lies beyond the end that is told, and the text says which way the way changed."""
    rng, probe = np.random.default_rng(7), talk("connectivity-probe")
    days(probe, 2, trips(nat_ms=before_ms), rng)
    found = days(probe, 0.1, trips(nat_ms=now_ms), rng)
    (fired,) = [f for f in found if (f.rule, f.phase) == ("route-change", "firing")]
    said = explain(fired).en
    assert f"The way became {why}: before it was {before_ms}" in said
    assert ("Expected: at least" in said) == (why == "shorter")


def test_another_route_is_told_once() -> None:
    """A way that is 60 ms longer at once is told and then taken as usual; 10 ms are not told."""
    rng, probe = np.random.default_rng(7), talk("connectivity-probe")
    days(probe, 2, trips(), rng)
    assert links(days(probe, 1, trips(nat_ms=22), rng)) == []
    found = links(days(probe, 1, trips(nat_ms=82, int_ms=120), rng))
    assert found == [("route-change", "firing"), ("route-change", "clear")]


def test_a_detour_abroad() -> None:
    """The way abroad is 60 ms longer while the national one is not: a fault of the gateway."""
    rng, probe = np.random.default_rng(8), talk("connectivity-probe")
    days(probe, 2, trips(), rng)
    assert links(days(probe, 0.5, trips(int_ms=110), rng)) == [("international-slow", "firing")]
    assert links(days(probe, 0.5, trips(), rng)) == [("international-slow", "clear")]


def test_a_detour_abroad_behind_a_satellite() -> None:
    """It is short beside the way up and down; a longer way up and down is none."""
    rng, probe = np.random.default_rng(8), talk("connectivity-probe")
    days(probe, 2, trips(nat_ms=580, int_ms=625), rng)
    assert steps(days(probe, 1, trips(nat_ms=640, int_ms=685), rng), "international-slow") == []
    days(probe, 2, trips(nat_ms=580, int_ms=625), rng)
    detour = trips(nat_ms=580, int_ms=685)
    assert links(days(probe, 0.5, detour, rng)) == [("international-slow", "firing")]


def test_congestion_moves_the_median_alone() -> None:
    """A full line is told from a longer way, and from a working day like those before."""
    rng, probe = np.random.default_rng(9), talk("connectivity-probe")
    assert links(days(probe, 3.3, trips(), rng)) == []
    assert links(days(probe, 0.3, trips(wait_ms=60), rng)) == [("congestion", "firing")]
    assert links(days(probe, 1, trips(), rng)) == [("congestion", "clear")]


@pytest.mark.parametrize(
    ("first", "told"),
    [(date(2026, 12, 2), []), (date(2026, 12, 9), [("congestion", "firing")])],
)
def test_a_holiday_is_no_working_day_to_learn_from(
    first: date, told: list[tuple[str, str]]
) -> None:
    """The day after National Day is the first busy one that is heard; a week later one is known."""
    rng, probe = np.random.default_rng(9), talk("connectivity-probe")
    probe.at_ms = (first - date(1970, 1, 1)).days * DAY_MS - UTC_OFFSET_MS
    assert links(days(probe, 1, trips(), rng)) == []
    assert links(days(probe, 0.6, trips(wait_ms=60), rng)) == told


def test_waiting_counts_on_a_long_way() -> None:
    """A satellite's half second does not hide that packets wait three times as long."""
    rng, probe = np.random.default_rng(10), talk("connectivity-probe")
    assert links(days(probe, 3.3, trips(nat_ms=540), rng)) == []
    assert links(days(probe, 0.3, trips(nat_ms=540, wait_ms=40), rng)) == [("congestion", "firing")]
    assert links(days(probe, 1, trips(nat_ms=540), rng)) == [("congestion", "clear")]


def test_another_way_is_not_congested() -> None:
    """What was learned of waiting stays right when the way becomes longer, and short again."""
    rng, probe = np.random.default_rng(11), talk("connectivity-probe")
    days(probe, 3.3, trips(), rng)
    for nat_ms in (82, 12):
        found = links(days(probe, 1.2, trips(nat_ms=nat_ms, int_ms=50 + nat_ms), rng))
        assert found == [("route-change", "firing"), ("route-change", "clear")]

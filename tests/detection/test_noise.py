"""Noise: a sensor that trembles more than it ever did."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices.kinds import KINDS
from tests.detection.feed import Feed, steps
from tests.detection.measure import fired_on

DAY = 1440  # readings of a day at one a minute
ROOMS = 24
PER_DAY = 288  # readings of a room


def told_of_rooms(noise: NDArray[np.float64]) -> list[list[int]]:
    """Readings with which it fires on a daily rhythm, by room. noise: float64[rooms, n]."""
    rhythm = 26 + 3 * np.sin(np.arange(noise.shape[1]) / PER_DAY * 2 * np.pi)
    metric = KINDS["environment"].metrics["temperature_c"]
    fired = fired_on([metric] * ROOMS, list(rhythm + noise), step_s=300)
    return [[k for k, finding in own if finding.rule == "noise"] for own in fired]


def test_more_noise_is_found_on_a_level_that_moves_faster_than_it() -> None:
    """A pump fills five centimetres a minute; a sensor that trembles by two is still found."""
    feed = Feed("water-level", "level_m")
    rng = np.random.default_rng(5)
    filling = np.where(np.arange(6 * DAY) % 360 < 60, 0.05, -0.01)
    level = 2 + np.cumsum(filling)
    assert steps(feed.say(level + 0.002 * rng.standard_normal(len(level))), "noise") == []
    assert steps(feed.say(level[:90] + 0.02 * rng.standard_normal(90)), "noise") == ["firing"]


def test_four_times_the_noise_is_not_learned_while_it_lasts() -> None:
    """Two hours of it at a reading in five minutes; most are found, healthy days are silent."""
    days = 6 * PER_DAY
    noise = 0.3 * np.random.default_rng(1).standard_normal((ROOMS, days + 24))
    noise[:, days:] *= 4
    told = told_of_rooms(noise)
    assert all(k >= days for own in told for k in own)
    assert sum(map(bool, told)) >= 18


def test_six_times_the_noise_is_found_on_the_second_day() -> None:
    """A young series widens its ranges by what leaves them, but not by what lasts for hours."""
    start, end = PER_DAY * 3 // 2, PER_DAY * 7 // 4
    noise = 0.1 * np.random.default_rng(2).standard_normal((ROOMS, end))
    for k in range(1, end):
        noise[:, k] += 0.9 * noise[:, k - 1]
    noise[:, start:] += 0.6 * np.random.default_rng(3).standard_normal((ROOMS, end - start))
    told = told_of_rooms(noise)
    assert all(k >= start for own in told for k in own)
    assert sum(map(bool, told)) >= 21


def test_noise_that_lasts_needs_to_be_less() -> None:
    """An hour a day of three times the noise made the range wide; six hours of seven times it are
    half again as much as ever, and found in half of the rooms."""
    rng, days = np.random.default_rng(4), 8 * PER_DAY
    size = np.full((ROOMS, days + PER_DAY // 4), 0.1)
    for room in size:
        for day in range(8):
            busy = day * PER_DAY + rng.integers(0, PER_DAY - 12)
            room[busy : busy + 12] = 0.3
    size[:, days:] = 0.7
    told = told_of_rooms(size * rng.standard_normal(size.shape))
    assert all(k >= days for own in told for k in own)
    assert sum(map(bool, told)) >= 12


def test_more_noise_is_found_in_a_restless_series() -> None:
    """Outliers make its limits wide, but seven times its noise is told all the same."""
    feed = Feed("cold-chain", "ambient_c")
    rng = np.random.default_rng(5)
    outliers = rng.choice([0.0, 0.4, -0.4], 6 * DAY, p=[0.96, 0.02, 0.02])
    assert steps(feed.say(24 + 0.1 * rng.standard_normal(6 * DAY) + outliers), "noise") == []
    assert steps(feed.say(24 + 0.7 * rng.standard_normal(60)), "noise") == ["firing"]


def test_noise_that_stays_is_told_once() -> None:
    """Its alert stays open while it trembles; it is not accepted and told anew every few hours."""
    days, stays = 6 * PER_DAY, 3 * PER_DAY
    size = np.repeat([0.1, 0.8], [days, stays])
    told = told_of_rooms(size * np.random.default_rng(6).standard_normal((ROOMS, len(size))))
    assert all(k >= days for own in told for k in own)
    assert all(told)
    assert sum(map(len, told)) < 2 * ROOMS


def test_noise_is_normal_after_three_days_of_it() -> None:
    """Until then its alert is open, not closed after some hours and told again."""
    feed, rng = Feed("environment", "temperature_c", interval_s=300), np.random.default_rng(9)
    feed.say(26 + 0.1 * rng.standard_normal(6 * PER_DAY))
    began_ms = feed.at_ms
    found = [f for f in feed.say(26 + 2 * rng.standard_normal(4 * PER_DAY)) if f.rule == "noise"]
    assert steps(found, "noise") == ["firing", "clear"]
    assert found[-1].facts["accepted"] == 1
    assert 72 <= (found[-1].at_ms - began_ms) / 3_600_000 <= 78


def test_noise_is_told_on_the_first_day_of_rest() -> None:
    """No day of rest was lived in yet; what is seen on it is not taken for its habit."""
    start, end = PER_DAY * 11 // 2, PER_DAY * 23 // 4
    size = np.repeat([0.1, 0.8], [start, end - start])
    told = told_of_rooms(size * np.random.default_rng(7).standard_normal((ROOMS, end)))
    assert all(k >= start for own in told for k in own)
    assert sum(map(bool, told)) >= 21


def test_a_wild_hour_on_its_first_day_does_not_blind_it() -> None:
    """Thirty times the noise while it was put in place; of a range so wide not all is kept."""
    start, end = PER_DAY * 8, PER_DAY * 33 // 4
    size = np.full(end, 0.1)
    size[80:100], size[start:] = 3.0, 0.7
    told = told_of_rooms(size * np.random.default_rng(8).standard_normal((ROOMS, end)))
    assert sum(any(k >= start for k in own) for own in told) >= 18

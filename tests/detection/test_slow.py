"""Slow: a few speed tests a day tell a link that lost its speed from a busy one."""

from __future__ import annotations

from tests.detection.feed import Feed, steps

SIX_HOURS = 6 * 3600
DAYS = [8.0, 5.0, 6.5, 7.9, 8.1, 4.6, 6.0, 7.7]  # slower in working hours


def link() -> Feed:
    """A link of 8 Mbit/s that was tested for two days."""
    feed = Feed("connectivity-probe", "up_mbps", interval_s=SIX_HOURS)
    assert feed.say(DAYS) == []
    return feed


def slow(feed: Feed, values: list[float]) -> list[str]:
    """Phases of the rule."""
    return steps(feed.say(values), "slow-link")


def test_two_slow_tests_fire_and_one_good_ends_it() -> None:
    """One slow test is chance; a test in the usual range ends it."""
    feed = link()
    assert slow(feed, [1.0]) == ["pending"]
    assert slow(feed, [1.2]) == ["firing"]
    assert slow(feed, [1.1, 0.9]) == []
    assert slow(feed, [5.0]) == ["clear"]


def test_one_slow_test_is_dropped() -> None:
    """A test that met a download says nothing."""
    assert slow(link(), [1.0, 7.0, 1.0, 7.0]) == ["pending", "clear", "pending", "clear"]


def test_busy_hours_are_usual() -> None:
    """What is not below half of the slowest test so far is no trouble."""
    assert slow(link(), [2.4, 2.4, 2.4]) == []


def test_nothing_is_judged_before_the_busy_hours_were_seen() -> None:
    """Four tests within an hour know one hour only."""
    feed = Feed("connectivity-probe", "down_mbps", interval_s=900)
    assert slow(feed, [8.0] * 8 + [2.0] * 8) == []


def test_a_speed_that_stays_is_the_new_normal() -> None:
    """After two weeks the new speed is accepted, and half of that is slow again."""
    feed = link()
    slow(feed, [1.0, 1.0])
    assert slow(feed, [1.0] * 60) == ["clear"]
    assert slow(feed, [0.4, 0.4]) == ["pending", "firing"]

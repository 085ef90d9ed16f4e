"""Chatter: a contact that bounces is told from a door that many people use."""

from __future__ import annotations

import numpy as np

from detection.findings import Finding
from tests.detection.feed import Feed, steps

DAY = 288  # readings, one each five minutes
OFFICE = slice(96, 192)  # eight hours of them


def working_day(share: float = 0.2, seed: int = 1) -> list[float]:
    """A door that is open for this share of the office hours, and closed else."""
    day = np.zeros(DAY)
    day[OFFICE] = np.random.default_rng(seed).random(DAY)[OFFICE] < share
    opened: list[float] = day.tolist()
    return opened


def door(days: int = 9) -> Feed:
    """A door that was watched for days, none of which was told of."""
    feed = Feed("presence", "door_open", interval_s=300)
    for day in range(days):
        assert chatter(feed, working_day(seed=day)) == []
    return feed


def chatter(feed: Feed, values: list[float]) -> list[Finding]:
    """What the rule says of the next readings."""
    return [found for found in feed.say(values) if found.rule == "chatter"]


def bounced(n: int, seed: int = 7) -> list[float]:
    """A contact that is as often closed as open."""
    values: list[float] = (np.random.default_rng(seed).random(n) < 0.5).astype(float).tolist()
    return values


def test_a_contact_that_bounces_is_told_within_two_hours_and_ends() -> None:
    """At night, when nobody is there; the first changes are its onset."""
    feed = door()
    began_ms = feed.at_ms
    (found,) = chatter(feed, bounced(36))
    assert (found.phase, found.nature, found.severity) == ("firing", "data_quality", "warning")
    assert began_ms < found.onset_ms <= began_ms + 30 * 60_000
    assert found.at_ms <= began_ms + 2.5 * 3_600_000
    times, usual, readings = (int(found.facts[k]) for k in ("times", "usual", "readings"))
    assert 3 * usual < times <= readings
    assert steps(chatter(feed, [0.0] * 48)) == ["clear"]


def test_what_is_usual_is_learned_by_hour() -> None:
    """As many changes at noon as every day are none too many; at night they are."""
    feed = door()
    assert chatter(feed, working_day(seed=20)) == []
    night = working_day(seed=21)[OFFICE]
    assert steps(chatter(feed, night[:60])) == ["firing"]


def test_a_busier_day_is_no_chatter() -> None:
    """A third more people than on other days."""
    feed = door()
    assert chatter(feed, working_day(0.27, seed=30)) == []


def test_a_busy_hour_alone_is_no_chatter() -> None:
    """What is over within an hour does not count for enough."""
    feed = door()
    assert chatter(feed, [*bounced(12), *[0.0] * 36]) == []


def test_readings_after_missing_ones_are_passed_over() -> None:
    """Nobody knows how often it changed in between."""
    feed = door()
    for value in [1.0, 0.0] * 40:
        feed.pause(600)
        assert chatter(feed, [value] * 3) == []


def test_nothing_is_judged_before_the_day_was_seen() -> None:
    """A door that is busy from the first reading on is a busy door."""
    feed = Feed("presence", "door_open", interval_s=300)
    assert chatter(feed, bounced(2 * DAY)) == []


def test_a_compressor_that_switches_too_often_is_a_condition() -> None:
    """Ten minutes in the hour become five in every fifteen."""
    feed = Feed("cold-chain", "compressor_on", interval_s=300)
    assert chatter(feed, ([1.0] * 2 + [0.0] * 10) * 24 * 4) == []
    found = chatter(feed, [1.0, 0.0, 0.0] * 48)
    assert [(f.phase, f.nature) for f in found] == [("firing", "condition")]


def test_what_lasts_two_weeks_is_the_new_normal() -> None:
    """It is told once, then learned."""
    feed = door()
    found = chatter(feed, bounced(15 * DAY))
    assert steps(found) == ["firing", "clear"]
    assert found[-1].facts["accepted"]
    assert chatter(feed, bounced(3 * DAY, seed=8)) == []

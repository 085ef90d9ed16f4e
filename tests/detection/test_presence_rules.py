"""Presence sensors at night: people that never move, a door that stands open."""

from __future__ import annotations

import pytest

from detection.engine import Engine
from detection.findings import Finding
from detection.periods import DAY_MS
from detection.seasons import HOUR_MS, UTC_OFFSET_MS
from tests.detection.feed import START_MS, Talk, steps

STEP_S = 600.0
MIDNIGHT_MS = (START_MS + UTC_OFFSET_MS) // DAY_MS * DAY_MS - UTC_OFFSET_MS  # a local one


def room() -> Talk:
    """A sensor that begins at a local midnight."""
    made = Talk("presence", interval_s=STEP_S)
    made.at_ms = MIDNIGHT_MS - round(STEP_S * 1000)
    return made


def until(talk: Talk, hour: float, **said: float) -> list[Finding]:
    """Findings until just before the next time that it is so late; said: all the while."""
    now = talk.at_ms + round(STEP_S * 1000)
    left = (hour * HOUR_MS - (now + UTC_OFFSET_MS)) % DAY_MS or DAY_MS
    return talk.say(round(left / 1000 / STEP_S), **said)


def days(talk: Talk, n: int, night: float = 0) -> list[Finding]:
    """Findings of n days: people and an open door from 8 to 16, `night` of the door besides."""
    found = []
    for _ in range(n):
        found += until(talk, 8, occupancy=0, door_open=night)
        for hour in range(9, 17):
            found += until(talk, hour, occupancy=hour, door_open=1)
        found += until(talk, 24, occupancy=0, door_open=night)
    return found


def test_people_who_never_move_are_found_after_a_night() -> None:
    """Three from 20:00 on are told a day later, with when it began; and that they move again."""
    sensor = room()
    assert steps(days(sensor, 2), "occupancy-still") == []
    until(sensor, 20, occupancy=0)
    assert steps(until(sensor, 20, occupancy=3), "occupancy-still") == []
    (fired,) = [f for f in until(sensor, 21, occupancy=3) if f.rule == "occupancy-still"]
    assert (fired.at_ms + UTC_OFFSET_MS) % DAY_MS == 20 * HOUR_MS
    assert fired.at_ms - fired.onset_ms == DAY_MS
    assert (fired.nature, fired.value) == ("data_quality", 3)
    assert steps(until(sensor, 7, occupancy=3), "occupancy-still") == []
    assert steps(until(sensor, 9, occupancy=4), "occupancy-still") == ["clear"]


def test_a_day_without_a_whole_night_may_be_people() -> None:
    """From 23:00 to 23:00 is no whole night; the next one is."""
    sensor = room()
    days(sensor, 1)
    until(sensor, 23, occupancy=0)
    assert steps(until(sensor, 23, occupancy=3), "occupancy-still") == []
    assert steps(until(sensor, 5, occupancy=3), "occupancy-still") == []
    assert steps(until(sensor, 6, occupancy=3), "occupancy-still") == ["firing"]


def test_nobody_may_be_there_for_days() -> None:
    """Zero is no frozen count."""
    sensor = room()
    assert steps(sensor.say(1000, occupancy=0), "occupancy-still") == []


@pytest.mark.parametrize(("before", "told"), [([3], []), ([0, 1, 0, 3], ["firing"])])
def test_a_number_that_hardly_changed_yet_may_stay(before: list[int], told: list[str]) -> None:
    """A ward with as many beds as patients is full; who is counted at a door comes and goes."""
    sensor = room()
    for hour, number in enumerate(before, 9):
        until(sensor, hour, occupancy=number)
    assert steps(sensor.say(2 * 144, occupancy=3), "occupancy-still") == told


def test_somebody_who_goes_for_a_moment_was_there() -> None:
    """One reading that differs ends the run."""
    sensor = room()
    days(sensor, 1)
    until(sensor, 20, occupancy=2)
    until(sensor, 1, occupancy=2)
    sensor.say(occupancy=1)
    assert steps(until(sensor, 20, occupancy=2), "occupancy-still") == []


def test_a_night_that_was_hardly_heard_proves_nothing() -> None:
    """Two hours of a night are too few, four are enough."""
    for pause_h, expected in ((5, []), (3, ["firing"])):
        sensor = room()
        days(sensor, 1)
        until(sensor, 19, occupancy=0)
        until(sensor, 23, occupancy=3)
        sensor.pause(pause_h * 3600)
        assert steps(until(sensor, 20, occupancy=3), "occupancy-still") == expected


def test_a_door_that_stands_open_at_night() -> None:
    """Told at 05:00 after three nights closed, and over when it is closed."""
    sensor = room()
    assert steps(days(sensor, 3), "door-night") == []
    until(sensor, 20, door_open=0)
    assert steps(until(sensor, 5, door_open=1), "door-night") == []
    (fired,) = [f for f in until(sensor, 6, door_open=1) if f.rule == "door-night"]
    assert (fired.nature, fired.severity, fired.value) == ("condition", "warning", 1)
    assert (fired.at_ms + UTC_OFFSET_MS) % DAY_MS == 5 * HOUR_MS
    assert fired.at_ms - fired.onset_ms == 7 * HOUR_MS
    assert steps(until(sensor, 5, door_open=1), "door-night") == []
    assert steps(until(sensor, 23, door_open=1), "door-night") == []
    assert steps(until(sensor, 2, door_open=0), "door-night") == ["clear"]


def test_three_nights_are_learned_first() -> None:
    """After two nothing is known of the third."""
    sensor = room()
    days(sensor, 1)
    until(sensor, 22, door_open=0)
    assert steps(until(sensor, 12, door_open=1), "door-night") == []


def test_a_door_that_is_open_in_most_nights_may_be() -> None:
    """A shelter's door says nothing."""
    sensor = room()
    assert steps(days(sensor, 10, night=1), "door-night") == []


@pytest.mark.parametrize("hour", [22, 1, 4])
def test_a_door_that_is_closed_once_was_not_open_all_night(hour: float) -> None:
    """One reading in the night says so."""
    sensor = room()
    days(sensor, 4)
    until(sensor, 20, door_open=0)
    until(sensor, hour, door_open=1)
    sensor.say(door_open=0)
    assert steps(until(sensor, 19, door_open=1), "door-night") == []


def test_a_door_by_night_needs_half_of_its_rounds() -> None:
    """Two hours of a night are too few; four are enough, if it is still open in the morning."""
    for pause_h, morning, expected in ((5, 1, []), (3, 1, ["firing"]), (3, 0, [])):
        sensor = room()
        days(sensor, 4)
        until(sensor, 22, door_open=1)
        until(sensor, (29 - pause_h) % 24, door_open=1)
        sensor.pause(pause_h * 3600)
        assert steps(until(sensor, 9, door_open=morning), "door-night") == expected


def test_a_snapshot_goes_on() -> None:
    """Nights learned, a night half over and what fires are kept."""
    sensor = room()
    found = days(sensor, 4)
    for hour in (20, 1, 9):
        found += until(sensor, hour, occupancy=3, door_open=1)
        state, sensor.engine = sensor.engine.snapshot(), Engine(sensor.catalogue)
        sensor.engine.restore(state)
    assert steps(found, "door-night") == steps(found, "occupancy-still") == ["firing"]
    over = until(sensor, 11, occupancy=2, door_open=0)
    assert steps(over, "door-night") == steps(over, "occupancy-still") == ["clear"]

"""Stuck: a run of equal values against the runs that are normal for the sensor."""

from __future__ import annotations

import pytest

from tests.detection.feed import Feed, noisy, steps


def test_found_in_the_first_minute_at_five_seconds() -> None:
    """Four values that move, then eight equal ones: fires with the eighth, from the first."""
    feed = Feed("air-quality", "pm2_5_ugm3", interval_s=5)
    feed.say([31.2, 30.8, 31.9])
    assert feed.say([31.5] * 7) == []
    (fired,) = feed.say([31.5])
    assert (fired.rule, fired.phase, fired.nature) == ("stuck", "firing", "data_quality")
    assert fired.onset_ms == feed.at_ms - 7 * 5000
    assert fired.facts["run"] == 8


def test_ends_when_the_value_moves() -> None:
    """One other value ends it, with the onset that it began with."""
    feed = Feed("environment", "temperature_c")
    (fired,) = feed.say([*noisy(24, 0.2, 10), *[24.0] * 10])
    (cleared,) = feed.say([24.3])
    assert cleared.phase == "clear"
    assert cleared.onset_ms == fired.onset_ms


def test_coarse_sensor_is_not_stuck() -> None:
    """A sensor that often repeats itself needs a far longer run than one that never does."""
    feed = Feed("environment", "temperature_c")
    coarse = [round(value * 2) / 2 for value in noisy(24, 0.35, 3000)]
    assert steps(feed.say(coarse), "stuck") == []
    assert steps(feed.say([24.0] * 60), "stuck") == ["firing"]


def test_a_sensor_that_stands_still_every_night_is_soon_left_alone() -> None:
    """Nights of forty equal values are called stuck three times at most, not every night."""
    feed = Feed("environment", "temperature_c", interval_s=300)
    days = [value for n in range(20) for value in [*noisy(25, 0.5, 200, n), *[22.0] * 40]]
    assert 0 < steps(feed.say(days), "stuck").count("firing") <= 3


def test_a_long_fault_does_not_blind_it() -> None:
    """After a fault of a thousand readings the next run of twenty is found again."""
    feed = Feed("environment", "temperature_c")
    feed.say([*noisy(24, 0.2, 100), *[24.0] * 1000, *noisy(24, 0.2, 100)])
    assert steps(feed.say([24.0] * 20), "stuck") == ["firing"]


def test_never_changed_is_stuck_only_after_very_long() -> None:
    """A sensor that has never moved gets twelve times the run before it is called stuck."""
    feed = Feed("environment", "temperature_c")
    assert feed.say([24.0] * 95) == []
    assert steps(feed.say([24.0] * 2)) == ["firing"]


def test_an_end_of_the_range_may_last() -> None:
    """Fog keeps humidity at 100 % for a night, and a page without errors has 0 ms of nothing."""
    feed = Feed("environment", "humidity_pct")
    assert steps(feed.say([*noisy(93, 1, 50), *[100.0] * 300]), "stuck") == []


def test_a_run_at_an_end_of_the_range_is_no_measure_of_others() -> None:
    """After foggy nights of hundreds of equal values a sensor stuck at 80 % is found as soon."""
    feed = Feed("environment", "humidity_pct", interval_s=300)
    feed.say([*noisy(85, 2, 100), *[100.0] * 200, *noisy(85, 2, 100)])
    assert steps(feed.say([80.0] * 25), "stuck") == ["firing"]


def test_slow_things_must_last_in_time_too() -> None:
    """A fridge read every five seconds may stay on one tenth of a degree for half an hour."""
    feed = Feed("cold-chain", "temperature_c", interval_s=5)
    moving = noisy(5, 0.4, 100)
    assert steps(feed.say([*moving, *[5.0] * 400]), "stuck") == []
    assert steps(feed.say([5.0] * 400), "stuck") == ["firing"]


@pytest.mark.parametrize(
    ("kind", "metric", "value"),
    [
        ("connectivity-probe", "nat_loss_pct", 0.0),
        ("connectivity-probe", "boot_count", 7.0),
        ("connectivity-probe", "ups_pct", 100.0),
        ("power", "mains_on", 1.0),
        ("power", "energy_kwh", 812.5),
        ("presence", "battery_v", 3.6),
        ("presence", "occupancy", 12.0),
    ],
)
def test_what_is_constant_in_health_is_never_stuck(kind: str, metric: str, value: float) -> None:
    """No loss, a counter, a full battery or a switch may keep its value for days."""
    feed = Feed(kind, metric)
    assert feed.say([value] * 3000) == []


def test_fog_and_smoke_keep_a_sensor_at_its_top_for_hours() -> None:
    """The highest that it ever said may last six hours, wherever that is; other values may not."""
    feed = Feed("environment", "humidity_pct", interval_s=120)
    feed.say([80 + round(value, 1) for value in noisy(0, 2, 300)])
    assert steps(feed.say([99.5] * 180), "stuck") == []
    assert steps(feed.say([99.5] * 2), "stuck") == ["firing"]
    assert steps(feed.say([80.1, 80.7, 79.8]), "stuck") == ["clear"]
    assert steps(feed.say([81.3] * 35), "stuck") == ["firing"]


def test_a_foggy_night_is_no_measure_of_other_runs() -> None:
    """Five hours at the top: a stuck value below it is found as soon as before."""
    feed = Feed("environment", "humidity_pct", interval_s=120)
    moving = [80 + round(value, 1) for value in noisy(0, 2, 300)]
    assert steps(feed.say([*moving, *[99.5] * 150, *moving]), "stuck") == []
    assert steps(feed.say([81.3] * 35), "stuck") == ["firing"]

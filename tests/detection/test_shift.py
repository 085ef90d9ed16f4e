"""Shift: spikes and steps are found, what recurs is learned, what is slow is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from detection.findings import Finding
from tests.detection.feed import Feed, noisy, steps

DAY = 1440  # readings of a day at one a minute
FRIDAY_MS = 1_790_269_200_000  # midnight in the country, 2026-09-25


def room(days: float, start: int = 0) -> list[float]:
    """An office's temperature through the day, a reading a minute."""
    t = np.arange(start, start + int(days * DAY)) / DAY
    noise = np.random.default_rng(3).normal(0, 0.1, len(t))
    values: list[float] = (25 + 4 * np.sin(2 * np.pi * t) + noise).tolist()
    return values


def shifts(found: list[Finding]) -> list[str]:
    """Phases of the rule."""
    return steps(found, "shift")


def test_a_spike_fires_at_once_and_ends_with_the_fourth_good_reading() -> None:
    """A value far beyond all before it is found with no delay; the way back is one more change."""
    feed = Feed("environment", "temperature_c")
    assert shifts(feed.say(noisy(24, 0.1, 300))) == []
    (fired,) = [f for f in feed.say([32.0]) if f.rule == "shift"]
    assert (fired.rule, fired.phase, fired.facts["channel"]) == ("shift", "firing", "jump")
    assert fired.expected is not None
    assert 16 < fired.expected[0] < 23.7
    assert 24.3 < fired.expected[1] < 32
    assert shifts(feed.say([24.05, 23.95, 24.1])) == []
    assert shifts(feed.say([24.0])) == ["clear"]


def test_no_judgement_before_twenty_readings_and_low_confidence_before_fifty() -> None:
    """The first readings are learned from; then only the wildest are told, as information."""
    early = Feed("environment", "temperature_c")
    assert shifts(early.say([*noisy(24, 0.1, 18), 35.0])) == []
    later = Feed("environment", "temperature_c")
    (fired,) = [f for f in later.say([*noisy(24, 0.1, 25), 35.0]) if f.rule == "shift"]
    assert fired.severity == "info"


@pytest.mark.parametrize("interval_s", [60, 300])
def test_the_first_start_of_a_pump_is_no_shift(interval_s: int) -> None:
    """What has only ever shown one value has not shown what its changes are like."""
    feed, hour = Feed("water-level", "flow_m3h", interval_s=interval_s), 3600 // interval_s
    off, on = [0.0] * 6 * hour, np.round(noisy(11.3, 0.1, 3 * hour), 2).tolist()
    found = feed.say([*off, *on, *off])
    assert [(f.rule, f.phase) for f in found if f.phase == "firing"] == []


def test_what_has_moved_is_judged() -> None:
    """A sensor that stood still for hours and then moved a little is judged a minute later."""
    feed = Feed("environment", "temperature_c")
    assert shifts(feed.say([24.0] * 300)) == []
    feed.say(noisy(24, 0.1, 60))
    assert shifts(feed.say([38.0])) == ["firing"]


def test_mains_that_goes_and_comes_back_is_no_shift() -> None:
    """No voltage is no level of the voltage: neither it nor the return is a break with the past."""
    feed = Feed("power", "mains_v")
    feed.say(noisy(232, 0.7, 2 * DAY))
    assert shifts(feed.say([*np.zeros(40), *noisy(232, 0.7, 100, 5)])) == []


@pytest.mark.parametrize(
    ("kind", "metric", "interval_s", "usual", "normal", "wild"),
    [
        ("power", "mains_v", 60, (230, 0.7), (195.0, 190.0), 262.0),  # nothing lifts the supply
        ("cold-chain", "temperature_c", 300, (5, 0.1), (7.5, 7.6), 1.2),  # an open door warms
    ],
)
def test_spikes_that_are_normal_to_one_side_hide_none_to_the_other(
    kind: str,
    metric: str,
    interval_s: int,
    usual: tuple[float, float],
    normal: tuple[float, float],
    wild: float,
) -> None:
    """One reading that dips or warms every hour is the habit; one to the other side is a fault."""
    feed = Feed(kind, metric, interval_s=interval_s)
    hour = 3600 // interval_s
    for n in range(72):
        feed.say([*noisy(*usual, hour - 1, n), normal[0]])
    feed.say(noisy(*usual, 30, 99))
    assert shifts(feed.say([normal[1], usual[0]])) == []
    assert shifts(feed.say([wild, usual[0]])) == ["firing"]


@pytest.mark.parametrize(("wild", "told"), [(300.0, ["firing"]), (700.0, [])])
def test_a_spike_to_what_no_air_holds_needs_to_go_less_far(wild: float, told: list[str]) -> None:
    """Visitors make single readings of 40 ppm more or less usual; less than outdoors is none."""
    feed = Feed("environment", "co2_ppm", interval_s=300)
    rng = np.random.default_rng(1)
    for _ in range(72):
        feed.say([*rng.normal(500, 8, 11), 500 + rng.choice([-40, 40])])
    feed.say(rng.normal(500, 8, 30))
    assert shifts(feed.say([wild, 500.0])) == told


@pytest.mark.parametrize(("wild", "told"), [(300.0, ["firing"]), (600.0, [])])
def test_nor_does_it_need_to_be_known_what_its_days_are_like(wild: float, told: list[str]) -> None:
    """On the second day a visitor may breathe on a sensor; he does not clean the air."""
    feed = Feed("environment", "co2_ppm", interval_s=300)
    feed.say(np.random.default_rng(1).normal(450, 8, 350))
    assert shifts(feed.say([wild, 450.0])) == told


def test_spikes_within_noise_are_told_by_it_and_not_learned() -> None:
    """Once a sensor is known to tremble none of its jumps is told, and the next spike is found."""
    feed = Feed("water-quality", "conductivity_uscm", interval_s=120)
    feed.say(noisy(225, 1.5, 3600))
    trembling = feed.say(noisy(225, 12, 150, 2))
    known = next(k for k, f in enumerate(trembling) if (f.rule, f.phase) == ("noise", "firing"))
    assert "firing" not in shifts(trembling[known:])
    feed.say(noisy(225, 1.5, 3600, 3))
    assert shifts(feed.say([190.0, 225.0])) == ["firing"]


def test_a_fault_that_ends_when_it_would_be_accepted_is_no_new_normal() -> None:
    """Good readings never make the level of a fault the usual one: no drift back follows."""
    feed = Feed("environment", "temperature_c", interval_s=60)
    feed.say(noisy(25, 0.1, 5 * DAY, 1))
    assert shifts(feed.say(noisy(27.5, 0.1, 360, 2))) == ["firing"]
    found = feed.say(noisy(25, 0.1, 2 * DAY, 3))
    assert [(f.rule, f.phase) for f in found if f.phase != "pending"] == [("shift", "clear")]
    assert not found[-1].facts["accepted"]


def test_a_day_is_no_shift() -> None:
    """The first days of a daily rhythm, from the first reading on, are silent."""
    feed = Feed("environment", "temperature_c")
    assert feed.say(room(3)) == []


def test_a_step_fires_and_is_accepted_after_six_hours() -> None:
    """A level that lasts is told once, and is then the new normal, in both directions."""
    feed = Feed("power", "mains_v")
    feed.say(noisy(232, 0.7, 2 * DAY))
    found = feed.say(noisy(210, 0.7, 360, 5))
    assert shifts(found) == ["firing"]
    (cleared,) = [f for f in feed.say(noisy(210, 0.7, 60, 6)) if f.rule == "shift"]
    assert cleared.phase == "clear"
    assert cleared.facts["accepted"]
    assert shifts(feed.say(noisy(210, 0.7, DAY, 7))) == []


def test_what_recurs_is_learned() -> None:
    """A fridge whose door opens every hour for ten readings is told a few times, then no more."""
    feed = Feed("cold-chain", "temperature_c")
    feed.say(noisy(4, 0.1, 3 * DAY))
    hours = [[*noisy(4, 0.1, 50, n), *noisy(7.5, 0.1, 10, n)] for n in range(48)]
    fired = [shifts(feed.say(hour)).count("firing") for hour in hours]
    assert 0 < sum(fired) <= 4
    assert sum(fired[24:]) == 0


def test_single_spiky_rounds_of_a_probe_never_fire() -> None:
    """A round trip that is ten times as long for one or two rounds is not told."""
    feed = Feed("connectivity-probe", "nat_rtt_p50_ms")
    calm = [20 * np.exp(v) for v in noisy(0, 0.05, 2000)]
    for n in range(100, 2000, 97):
        calm[n] *= 10
        calm[n + 1] *= 8
    assert "firing" not in shifts(feed.say(calm))


def test_a_doubled_round_trip_fires_with_the_fourth_round() -> None:
    """Times are judged by ratio: twice as long is found on a link of 20 ms, or of 600."""
    for level in (20, 600):
        feed = Feed("connectivity-probe", "nat_rtt_p50_ms", interval_s=300)
        feed.say([level * np.exp(v) for v in noisy(0, 0.05, 4 * 288)])
        assert shifts(feed.say([2 * level])) == []
        assert "firing" not in shifts(feed.say([2.1 * level, 2.05 * level]))
        assert shifts(feed.say([2.05 * level])) == ["firing"]


def test_a_restless_link_that_doubles_fires() -> None:
    """Slow rounds now and then make tails heavy and ranges wide; a doubling is said anyway."""
    feed = Feed("connectivity-probe", "nat_rtt_p50_ms", interval_s=300)
    n, rng = 5 * 288, np.random.default_rng(5)
    slow = np.where(np.arange(n) % 40 < 3, rng.uniform(1.0, 1.35, n), 1.0)
    assert "firing" not in shifts(feed.say(45 * slow * np.exp(0.003 * rng.normal(size=n))))
    assert shifts(feed.say([95] * 6)) == ["pending", "firing"]


def test_a_gap_is_no_jump() -> None:
    """After hours unheard the level may be another one; it is taken up afresh."""
    feed = Feed("environment", "temperature_c")
    feed.say(room(2))
    feed.pause(7 * 3600)
    assert shifts(feed.say(room(1, start=2 * DAY + 7 * 60))) == []


def test_one_wild_value_does_not_blind_it() -> None:
    """After a spike to the end of the range a far smaller one is still found."""
    feed = Feed("environment", "temperature_c")
    feed.say([*noisy(24, 0.1, 2 * DAY), 60.0, *noisy(24, 0.1, 60)])
    assert shifts(feed.say([33.0])) == ["firing"]


def test_a_small_step_is_found_by_its_mean() -> None:
    """A level that moves by less than a jump that counts is found within an hour."""
    feed = Feed("power", "mains_v", interval_s=300)
    feed.say(noisy(232, 1, 7 * 288))
    found = [f for f in feed.say(noisy(227, 1, 12, 2)) if f.rule == "shift"]
    assert [(f.phase, f.facts["channel"]) for f in found] == [
        ("pending", "step"),
        ("firing", "step"),
    ]
    assert found[1].value == pytest.approx(228, abs=1)


def test_an_episode_that_settles_halfway_back_ends() -> None:
    """A value that stays between normal and alarming does not keep an alert open for ever."""
    feed = Feed("environment", "temperature_c")
    feed.say(noisy(24, 0.1, 600))
    (fired,) = [f for f in feed.say([28.0]) if f.rule == "shift"]
    assert fired.expected is not None
    halfway = fired.expected[1] - 0.8
    assert shifts(feed.say(noisy(halfway, 0.05, 400))) == ["clear"]


def test_an_episode_goes_on_over_a_gap() -> None:
    """A level that was wrong before a gap and still is does not count as back to normal."""
    feed = Feed("power", "mains_v")
    feed.say(noisy(232, 0.7, 2 * DAY))
    assert shifts(feed.say(noisy(212, 0.7, 10))) == ["firing"]
    feed.pause(2 * 3600)
    assert shifts(feed.say(noisy(212, 0.7, 10))) == []
    assert shifts(feed.say(noisy(232, 0.7, 60))) == ["clear"]


def test_readings_out_are_not_counted_over_a_gap() -> None:
    """Three have to be out in a row: two before an outage and one after it are not."""
    feed = Feed("connectivity-probe", "dns_ms")
    feed.say([20.0 + n % 3 for n in range(2 * DAY)])
    assert steps(feed.say([900.0] * 3), "shift") == ["pending"]  # the middle one of three counts
    feed.pause(20 * 60)
    assert "firing" not in steps(feed.say([900.0] * 2), "shift")


def test_after_a_gap_the_level_is_a_new_one_though_something_was_pending() -> None:
    """What was as high before the outage as after it, and too short to fire, is no jump after."""
    feed = Feed("connectivity-probe", "dns_ms")
    feed.say([20.0 + n % 3 for n in range(5 * DAY)])
    assert steps(feed.say([60.0] * 3), "shift") == ["pending"]
    feed.pause(20 * 60)
    assert steps(feed.say([60.0] * 9), "shift") == ["clear"]


def test_one_wild_value_does_not_move_the_mean() -> None:
    """After a spike to the end of the range the level is not out as well."""
    feed = Feed("water-quality", "chlorine_mgl", interval_s=300)
    feed.say(noisy(0.7, 0.01, 4 * 288))
    assert shifts(feed.say([19.9, *noisy(0.7, 0.01, 4)])) == ["firing", "clear"]


def test_trust_grows_with_age() -> None:
    """The same values make a narrower expectation once whole days have been lived."""
    highest = []
    for days in (0.2, 4):
        feed = Feed("environment", "humidity_pct", interval_s=300)
        feed.say(noisy(50, 1, round(days * 288)))
        fired = next(f for f in feed.say([85.0]) if f.rule == "shift")
        assert fired.expected is not None
        highest.append(fired.expected[1])
    assert highest[0] > highest[1] + 2


@pytest.mark.parametrize(("size", "fires"), [(0.6, False), (1.1, True)])
def test_a_spike_must_stand_out_of_ordinary_outliers(size: float, fires: bool) -> None:
    """Six deviations are not told, however quiet the sensor has been so far; eleven are."""
    feed = Feed("cold-chain", "ambient_c")
    feed.say(24 + np.random.default_rng(1).uniform(-0.17, 0.17, 20 * DAY))
    assert ("firing" in shifts(feed.say([24 + size, *noisy(24, 0.05, 10)]))) == fires


@pytest.mark.parametrize(("metric", "usual"), [("dns_ms", 40.0), ("down_mbps", 20.0)])
def test_a_link_that_becomes_better_is_no_shift(metric: str, usual: float) -> None:
    """Shorter times and faster links are worth no alert; the opposite is."""
    better, worse = (usual / 4, usual * 4) if metric == "dns_ms" else (usual * 4, usual / 4)
    for value, fires in ((better, False), (worse, True)):
        feed = Feed("connectivity-probe", metric)
        feed.say(noisy(usual, usual / 40, 9 * DAY))
        assert ("firing" in shifts(feed.say(noisy(value, usual / 40, 60, 5)))) == fires


def tank(fills: list[int], minutes: int) -> list[float]:
    """A tank in metres, a reading a minute: it drains, and is filled for half an hour at times."""
    change = np.full(minutes, -0.002)
    for at in fills:
        change[at : at + 30] = 0.032
    noise = np.random.default_rng(4).normal(0, 0.002, minutes)
    level: list[float] = (2 + np.cumsum(change) + noise).tolist()
    return level


def test_a_tank_may_be_filled_at_another_hour() -> None:
    """Its pump is as fast at night as by day, so that a first fill at night is nothing unusual."""
    feed = Feed("water-level", "level_m")
    by_day = [day * DAY + hour * 60 for day in range(8) for hour in (8, 12, 17)]
    at_night = 8 * DAY + 60
    level = tank([*by_day, at_night], 9 * DAY)
    feed.say(level[: 8 * DAY])
    assert steps(feed.say(level[8 * DAY :])) == []


def test_the_first_monday_is_no_step() -> None:
    """A range of steps that was lived on a weekend alone does not judge a working day."""
    feed = Feed("power", "current_a", interval_s=300)
    feed.pause((FRIDAY_MS - feed.at_ms) / 1000)
    minutes = np.arange(0, 4 * DAY, 5)
    load = np.array([9, 0, 0, 12])[minutes // DAY]  # a busier Monday
    share = np.clip((minutes % DAY - 420) / 60, 0, 1) * np.clip((1050 - minutes % DAY) / 60, 0, 1)
    noise = np.random.default_rng(6).normal(0, 0.2, len(minutes))
    assert shifts(feed.say(4 + load * share + noise)) == []


@pytest.mark.parametrize("off_m", [0.15, -0.15])
def test_a_single_wrong_echo_of_a_tank_that_fills_fast_is_a_spike(off_m: float) -> None:
    """The level rises by 3 cm a reading for half an hour, and never goes up and down by as much."""
    level = tank([day * DAY + hour * 60 for day in range(8) for hour in (6, 17)], 8 * DAY)
    feed = Feed("water-level", "level_m")
    feed.say(level[: 7 * DAY])
    level[7 * DAY + 720] += off_m
    fired = [f for f in feed.say(level[7 * DAY :]) if f.phase == "firing"]
    assert [(f.rule, f.facts["channel"]) for f in fired] == [("shift", "spike")]

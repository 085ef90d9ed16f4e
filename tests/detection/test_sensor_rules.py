"""Sensor faults that need no learning: impossible, too fast, zero, contradicting, outside."""

from __future__ import annotations

import pytest

from detection.engine import Engine
from detection.findings import Finding
from detection.texts import explain
from tests.detection.feed import Feed, Talk, noisy, steps

FRIDGE = {"door_open": 0.0, "compressor_on": 1.0, "mains_on": 1.0}
OURS = {"impossible", "rate", "unit", "counter", "zero", "dropout", "pair", "probe-outside"}


def fired(found: list[Finding]) -> list[Finding]:
    """The findings of these rules that fired."""
    return [f for f in found if f.phase == "firing" and f.rule in OURS]


@pytest.mark.parametrize(
    ("value", "said"), [(85.0, "cannot measure"), (-127.0, "cannot measure"), (80.6, "in °F")]
)
def test_the_second_impossible_value_fires(value: float, said: str) -> None:
    """A thermometer that says what nothing can be is a fault with the second such reading."""
    feed = Talk("environment")
    feed.say(5, temperature_c=27.0)
    assert fired(feed.say(temperature_c=value)) == []
    (alert,) = fired(feed.say(temperature_c=value))
    assert (alert.rule, alert.nature, alert.value) == ("impossible", "data_quality", value)
    assert said in explain(alert).en
    assert steps(feed.say(3, temperature_c=27.0), "impossible") == ["clear"]


def test_single_impossible_values_are_dropped() -> None:
    """One refused reading among a dozen good ones is a lost reading, not a fault."""
    feed = Talk("environment")
    found = []
    for _ in range(20):
        found += feed.say(12, temperature_c=27.0) + feed.say(temperature_c=85.0)
    assert fired(found) == []


@pytest.mark.parametrize("good", [2, 11])
def test_impossible_values_that_come_and_go_are_one_fault(good: int) -> None:
    """A loose contact: the third within a dozen each fires, a dozen good ones end it."""
    feed = Talk("environment")
    feed.say(5, temperature_c=27.0)
    found = []
    for n in range(20):
        found += feed.say(temperature_c=-127.0) + feed.say(good, temperature_c=27.0)
        assert len(fired(found)) == (n >= 2)
    assert steps(found, "impossible") == ["pending", "firing"]
    assert steps(feed.say(12, temperature_c=27.0), "impossible") == ["clear"]


def test_a_dead_meter_has_no_frequency() -> None:
    """0 Hz while the mains are off is no fault of the sensor."""
    feed = Talk("power")
    feed.say(5, mains_on=1, mains_v=230, frequency_hz=50)
    assert fired(feed.say(10, mains_on=0, mains_v=0, frequency_hz=0)) == []
    assert fired(feed.say(2, mains_on=1, mains_v=230, frequency_hz=0))


def test_a_jump_that_nothing_makes_fires_at_once() -> None:
    """A room that is 20 degrees warmer within a minute is a fault; its return ends it."""
    feed = Feed("environment", "temperature_c")
    feed.say([25.0] * 5)
    (alert,) = fired(feed.say([45.0]))
    assert (alert.rule, alert.onset_ms) == ("rate", feed.at_ms)
    assert alert.expected == (22, 28)
    assert steps(feed.say([25.0, 25.0]), "rate") == ["clear"]


def test_ordinary_noise_never_jumps() -> None:
    """Readings a few seconds apart are not judged as if their noise went on for a minute."""
    feed = Feed("environment", "temperature_c", interval_s=5)
    assert fired(feed.say(noisy(25, 0.3, 3000))) == []


def test_a_sensor_that_jumps_and_comes_back_is_told_three_times() -> None:
    """Wrong echoes of a river that recur are a habit; one that goes twice as far is still told."""
    feed = Feed("water-level", "level_m")
    told = [len(fired(feed.say([5.0] * 30 + [5.3]))) for _ in range(8)]
    assert told == [1, 1, 1, 0, 0, 0, 0, 0]
    feed.say([5.0] * 30)
    assert [f.rule for f in fired(feed.say([5.6]))] == ["rate"]
    feed.say([5.0] * 30)
    feed.pause(8 * 86400)
    feed.say([5.0] * 30)
    assert [f.rule for f in fired(feed.say([5.3]))] == ["rate"]


def test_a_habit_is_kept_in_a_snapshot() -> None:
    """A processor that was started again tells of the river no fourth time."""
    feed = Feed("water-level", "level_m")
    for _ in range(3):
        feed.say([5.0] * 30 + [5.3])
    feed.say([5.0] * 30)
    state, feed.engine = feed.engine.snapshot(), Engine(feed.catalogue)
    feed.engine.restore(state)
    assert fired(feed.say([5.3])) == []


def test_a_habit_hides_no_other_unit() -> None:
    """A tank that jumps now and then and reports in centimetres at last."""
    feed = Feed("water-level", "level_m")
    for _ in range(4):
        feed.say([0.1] * 30 + [9.5])
    assert [f.rule for f in fired(feed.say([0.1] * 30 + [10.0]))] == ["unit"]


def test_a_gap_hides_a_change() -> None:
    """After hours unheard another temperature is no jump."""
    feed = Feed("environment", "temperature_c")
    feed.say([20.0] * 5)
    feed.pause(6 * 3600)
    assert fired(feed.say([35.0])) == []


def test_a_unit_that_switches_is_named() -> None:
    """A fridge at 5 degrees that says 41 now reports in Fahrenheit: a sensor fault, no heat."""
    feed = Feed("cold-chain", "temperature_c")
    feed.say([5.0] * 5)
    found = feed.say([41.0] * 120)
    assert [f.rule for f in fired(found)] == ["unit"]
    assert "°F" in explain(fired(found)[0]).lo
    assert not [f for f in found if f.rule.startswith("fridge-")]
    assert steps(feed.say([44.0, 39.0, 5.5, 5.0]), "unit") == ["clear"]


@pytest.mark.parametrize("interval_s", [60, 300])
def test_a_counter_that_falls(interval_s: float) -> None:
    """An energy counter only rises; a fall fires and ends once it counts on."""
    feed = Feed("power", "energy_kwh", interval_s=interval_s)
    assert fired(feed.say([100.0 + k for k in range(50)])) == []
    (alert,) = fired(feed.say([3.0]))
    assert (alert.rule, alert.expected) == ("counter", (149, 1e9))
    assert steps(feed.say([3.1, 3.2]), "counter") == ["clear"]


def test_two_zeros_fire() -> None:
    """pH of exactly 0 twice is a dead sensor, and no acid water."""
    feed = Feed("water-quality", "ph")
    feed.say([7.2] * 5)
    found = feed.say([0.0] * 60)
    assert steps(found, "zero") == ["pending", "firing"]
    assert steps(found, "water-acid") == []
    assert steps(feed.say([7.2, 7.2]), "zero") == ["clear"]


def test_no_voltage_is_a_power_cut_where_the_mains_are_off() -> None:
    """0 V with mains off is a condition; 0 V with mains on is a sensor fault."""
    feed = Talk("power")
    feed.say(5, mains_on=1, mains_v=230)
    cut = feed.say(5, mains_on=0, mains_v=0)
    assert fired(cut) == []
    assert "mains-off" in {f.rule for f in cut if f.phase == "firing"}
    feed.say(5, mains_on=1, mains_v=230)
    assert [f.rule for f in fired(feed.say(5, mains_on=1, mains_v=0))] == ["zero"]


def loads(feed: Talk, *currents: float, mains_on: int = 1) -> list[Finding]:
    """Rounds of a power meter with these currents, in A."""
    return [f for amps in currents for f in feed.say(mains_on=mains_on, current_a=amps)]


def test_a_single_zero_of_a_load_is_a_dropout() -> None:
    """12 A, 0 A once, 12 A: the reading is a lost one, which the next one shows."""
    feed = Talk("power")
    assert steps(loads(feed, 12, 12, 0), "dropout") == ["pending"]
    lost_ms = feed.at_ms
    found = loads(feed, 12)
    assert steps(found, "dropout") == ["firing"]
    (alert,) = fired(found)
    assert (alert.onset_ms, alert.value, alert.nature) == (lost_ms, 0, "data_quality")
    assert "12" in explain(alert).en
    assert steps(loads(feed, 12, 12), "dropout") == ["clear"]


@pytest.mark.parametrize(
    ("currents", "mains_on"),
    [
        ((12, 0, 0, 12), 1),  # off for two readings
        ((12, 0, 1.5, 12), 1),  # comes back slowly
        ((1.5, 0, 12), 1),  # hardly anything was on
        ((12, 0, 12), 0),  # there is no mains
    ],
)
def test_a_load_that_is_switched_off_is_no_dropout(
    currents: tuple[float, ...], mains_on: int
) -> None:
    """More than one zero, small loads and mains that are off say nothing about the sensor."""
    feed = Talk("power")
    loads(feed, 12, 12)
    assert fired(loads(feed, *currents, 12, 12, mains_on=mains_on)) == []


@pytest.mark.parametrize(("hours", "expected"), [(23, 1), (25, 2)])
def test_a_load_that_was_off_within_the_day_before_goes_off(hours: int, expected: int) -> None:
    """The second zero of a day is a habit, whatever the first one was."""
    feed = Talk("power")
    found = loads(feed, 12, 0, 12, 12, 12)
    found += loads(feed, *[12] * (hours * 60), 0, 12)
    assert len(fired(found)) == expected


def test_a_zero_beside_a_gap_is_no_dropout() -> None:
    """What was lost around it may have been zero as well."""
    feed = Talk("power")
    loads(feed, 12, 12)
    feed.pause(600)
    assert fired(loads(feed, 0, 12)) == []


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            "air-quality",
            {"pm2_5_ugm3": 40, "pm10_ugm3": 60},
            {"pm2_5_ugm3": 60, "pm10_ugm3": 40},
        ),
        (
            "connectivity-probe",
            {"nat_rtt_p50_ms": 20, "nat_rtt_p95_ms": 30},
            {"nat_rtt_p50_ms": 40, "nat_rtt_p95_ms": 30},
        ),
        (
            "connectivity-probe",
            {"agent_uptime_s": 100, "os_uptime_s": 103},
            {"agent_uptime_s": 1000, "os_uptime_s": 103},
        ),
    ],
)
def test_pairs_that_contradict_each_other(
    kind: str, good: dict[str, float], bad: dict[str, float]
) -> None:
    """What can never exceed the other of the same round fires with the third such round."""
    feed = Talk(kind)
    assert fired(feed.say(20, **good)) == []
    assert [f.rule for f in fired(feed.say(3, **bad))] == ["pair"]
    assert steps(feed.say(3, **good), "pair") == ["clear"]


def test_a_probe_that_is_taken_out() -> None:
    """A fridge that is as warm as the room within a quarter of an hour: its probe is outside."""
    feed = Talk("cold-chain")
    feed.say(30, temperature_c=4.5, ambient_c=27, **FRIDGE)
    for k in range(10):
        feed.say(temperature_c=4.5 + 2.2 * k, ambient_c=27, **FRIDGE)
    found = feed.say(180, temperature_c=26.5, ambient_c=27, **FRIDGE)
    assert [f.rule for f in fired(found)] == ["probe-outside"]
    assert "fridge-warm" not in {f.rule for f in found if f.phase == "firing"}


def test_a_fridge_that_fails_is_a_condition() -> None:
    """One that warms to the room over hours is broken, whatever its compressor says."""
    feed = Talk("cold-chain")
    feed.say(30, temperature_c=4.5, ambient_c=27, **FRIDGE)
    found = []
    for k in range(400):
        found += feed.say(temperature_c=min(26.5, 4.5 + 0.1 * k), ambient_c=27, **FRIDGE)
    assert fired(found) == []
    assert "fridge-warm" in {f.rule for f in found if f.phase == "firing"}

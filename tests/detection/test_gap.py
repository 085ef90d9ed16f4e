"""Gap: a metric that is missing is told once the device has gone on without it for two rounds."""

from __future__ import annotations

from detection.engine import Engine
from detection.findings import Finding
from tests.detection.feed import Talk, steps

ROUND = {"temperature_c": 25.0, "humidity_pct": 60.0, "co2_ppm": 600.0}
WITHOUT = {name: value for name, value in ROUND.items() if name != "co2_ppm"}


def told(talk: Talk) -> list[Finding]:
    """What the engine says of gaps by the clock of the device."""
    return [f for f in talk.engine.tick(talk.at_ms + 1000) if f.rule == "gap"]


def room() -> Talk:
    """A device that has said an hour of whole rounds."""
    talk = Talk("environment", interval_s=300)
    talk.say(12, **ROUND)
    assert told(talk) == []
    return talk


def say(talk: Talk, n: int, values: dict[str, float]) -> list[Finding]:
    """n rounds, each looked at."""
    found = []
    for _ in range(n):
        talk.say(1, **values)
        found += told(talk)
    return found


def test_a_missing_metric_is_told_with_the_second_round() -> None:
    """One round without it is chance; the onset is when it should have been said."""
    talk = room()
    last_ms = talk.at_ms
    assert say(talk, 1, WITHOUT) == []
    (fired,) = say(talk, 1, WITHOUT)
    assert (fired.metric, fired.phase, fired.onset_ms) == ("co2_ppm", "firing", last_ms + 300_000)
    assert say(talk, 20, WITHOUT) == []
    (over,) = say(talk, 1, ROUND)
    assert over.phase == "clear"


def test_a_device_that_says_nothing_in_its_rounds_has_gaps() -> None:
    """A river gauge has one metric: that its rounds come without it is all there is to see."""
    gauge = Talk("water-level", interval_s=300)
    assert say(gauge, 12, {"level_m": 2.0}) == []
    last_ms = gauge.at_ms
    assert say(gauge, 1, {}) == []
    state, gauge.engine = gauge.engine.snapshot(), Engine(gauge.catalogue)
    gauge.engine.restore(state)
    (fired,) = say(gauge, 1, {})
    assert (fired.metric, fired.phase, fired.onset_ms) == ("level_m", "firing", last_ms + 300_000)
    gauge.pause(3600)
    assert told(gauge) == []
    assert steps(say(gauge, 1, {"level_m": 2.0})) == ["clear"]


def test_a_metric_outside_the_table_shows_that_rounds_go_on() -> None:
    """A river gauge whose battery is all that it still says has a gap in its level."""
    gauge = Talk("water-level", interval_s=300)
    assert say(gauge, 12, {"level_m": 2.0, "battery_v": 3.6}) == []
    found = say(gauge, 3, {"battery_v": 3.6})
    assert [(f.metric, f.phase) for f in found] == [("level_m", "firing")]
    assert steps(say(gauge, 1, {"level_m": 2.0, "battery_v": 3.6})) == ["clear"]


def test_a_probe_that_no_longer_measures_a_tier_has_a_gap() -> None:
    """What cannot be reached is said as packets sent; who stops sending has a broken agent."""
    tiers = {f"{tier}_sent": 10.0 for tier in ("gw", "isp", "nat", "int")}
    probe = Talk("connectivity-probe", interval_s=60)
    assert say(probe, 12, tiers) == []
    found = say(probe, 3, {name: 10.0 for name in tiers if name != "nat_sent"})
    assert [(f.metric, f.phase) for f in found] == [("nat_sent", "firing")]


def test_a_silent_device_has_no_gaps() -> None:
    """After hours unheard the first round without a metric is one, not the whole silence."""
    talk = room()
    talk.pause(5 * 3600)
    assert told(talk) == []
    assert say(talk, 1, WITHOUT) == []
    assert steps(say(talk, 1, WITHOUT)) == ["firing"]


def test_an_impossible_value_is_no_gap() -> None:
    """What is refused was said: another rule tells of it."""
    talk = room()
    assert say(talk, 10, {**ROUND, "co2_ppm": -999.0}) == []


def test_a_metric_that_is_rarely_said_has_no_gap() -> None:
    """Only what comes with every round can be missing from it."""
    talk = Talk("environment", interval_s=300)
    found = []
    for _ in range(20):
        found += say(talk, 1, ROUND) + say(talk, 9, WITHOUT)
    assert len(steps(found[2:])) == 0


def test_a_gap_outlives_a_restart() -> None:
    """An engine restored while a metric is missing tells its end, and nothing twice."""
    talk = room()
    assert steps(say(talk, 3, WITHOUT)) == ["firing"]
    state, talk.engine = talk.engine.snapshot(), Engine(talk.catalogue)
    talk.engine.restore(state)
    assert say(talk, 3, WITHOUT) == []
    assert steps(say(talk, 1, ROUND)) == ["clear"]

"""The two reference detectors, on captures whose records can be counted by hand."""

from __future__ import annotations

import itertools

from simulators.scorecard.arrivals import Arrival, Round
from simulators.scorecard.references import BURN_IN, chance, records
from tests.simulators.scorecard.worlds import HOUR, MINUTE, START, world

DEVICES = world().devices


def series(values: list[float], channel: str = "telemetry") -> list[Arrival]:
    """One metric's values, a message a minute."""
    return [
        Arrival(START + n * MINUTE, "e1", channel, [Round(m={"co2_ppm": v, "x": None, "y": "z"})])
        for n, v in enumerate(values)
    ]


def test_a_record_is_an_alarm_after_the_burn_in() -> None:
    """The first 50 readings set the range; a value beyond gives one alarm, and widens the range."""
    values = [0.0, 10.0] * (BURN_IN // 2) + [5.0, 11.0, 11.0, 10.5]
    alarms, _ = records(series(values), DEVICES)
    assert [alarm.at_ms for alarm in alarms] == [START + (BURN_IN + 1) * MINUTE]
    assert records(series([*values[:40], 11.0]), DEVICES)[0] == []
    assert records(series(values, "backfill"), DEVICES) == ([], [])


def test_records_come_once_an_hour() -> None:
    """A series that climbs gives an alarm an hour, not one a reading."""
    values = [0.0] * (BURN_IN + 1) + [float(n) for n in range(121)]
    alarms, _ = records(series(values), DEVICES)
    gaps = {b.at_ms - a.at_ms for a, b in itertools.pairwise(alarms)}
    assert len(alarms) == 2
    assert gaps == {HOUR + MINUTE}


def test_chance_draws_as_many_as_it_is_told() -> None:
    """The same seed draws the same moments; more than there are, all of them."""
    _, moments = records(series([1.0] * 1000), DEVICES)
    assert len(moments) == 11
    assert chance(moments, 5, DEVICES, 1) == chance(moments, 5, DEVICES, 1)
    assert chance(moments, 5, DEVICES, 1) != chance(moments, 5, DEVICES, 2)
    assert len(chance(moments, 50, DEVICES, 1)) == 11

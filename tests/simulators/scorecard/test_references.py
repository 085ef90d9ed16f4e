"""The two reference detectors, on captures whose records can be counted by hand."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from simulators.scorecard.files import EvaluationError
from simulators.scorecard.references import BURN_IN, Reading, chance, live_readings, records
from tests.simulators.scorecard.worlds import HOUR, MINUTE, START, world

DEVICES = world().devices


def line(at: int, channel: str, payload: object, device: str = "e1") -> str:
    """A line of a capture."""
    topic = f"gov/v1/LA-LP/{device}/{channel}"
    return json.dumps({"at": START + at, "topic": topic, "payload": json.dumps(payload)}) + "\n"


def test_readings_are_those_of_live_messages(tmp_path: Path) -> None:
    """Single rounds and batches on telemetry; no backfill, no status, no null, no stranger."""
    capture = tmp_path / "C.jsonl"
    capture.write_text(
        line(0, "status", {"state": "online"})
        + line(1, "telemetry", {"v": 1, "m": {"co2_ppm": 600, "temperature_c": None}})
        + line(2, "telemetry", {"v": 1, "r": [{"m": {"co2_ppm": 1.5}}, {"m": {"door_open": True}}]})
        + line(3, "telemetry", {"v": 1, "m": {"co2_ppm": 700}}, device="stranger")
        + line(4, "backfill", {"v": 1, "m": {"co2_ppm": 800}})
        + line(5, "telemetry", ["not", "a", "round"])
    )
    found = [(r.at_ms - START, r.metric, r.value) for r in live_readings(capture, DEVICES)]
    assert found == [(1, "co2_ppm", 600), (2, "co2_ppm", 1.5), (2, "door_open", True)]


def test_a_line_that_is_no_message_is_named(tmp_path: Path) -> None:
    """The error says which line of which file it is."""
    capture = tmp_path / "C.jsonl"
    capture.write_text(line(1, "telemetry", {"m": {}}) + "{}\n")
    with pytest.raises(EvaluationError, match=r"C\.jsonl:2: "):
        list(live_readings(capture, DEVICES))


def series(values: list[float], every_ms: int = MINUTE) -> list[Reading]:
    """Readings of one series."""
    return [Reading(START + n * every_ms, "e1", "co2_ppm", v) for n, v in enumerate(values)]


def test_a_record_is_an_alarm_after_the_burn_in() -> None:
    """The first 50 readings set the range; a value beyond gives one alarm, and widens the range."""
    values = [0.0, 10.0] * (BURN_IN // 2) + [5.0, 11.0, 11.0, 10.5]
    alarms, _ = records(series(values), DEVICES)
    assert [alarm.at_ms for alarm in alarms] == [START + (BURN_IN + 1) * MINUTE]
    assert records(series([*values[:40], 11.0]), DEVICES)[0] == []


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

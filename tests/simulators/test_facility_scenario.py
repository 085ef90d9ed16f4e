"""Faults of facilities in a scenario: who gets them, what is published, what the truth says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.scenario import ScenarioError
from tests.simulators.country import START_MS, run_of

HOUR_MS = 3_600_000


def readings(device: str, metric: str, *faults: dict[str, Any], hours: float) -> dict[int, float]:
    """What a device publishes of one metric, by event time."""
    run = run_of(*faults, minutes=hours * 60, interval_s=300.0)
    found: dict[int, float] = {}
    for step in run.feeds[device].steps():
        if step.what == "telemetry":
            for said in step.rounds:
                if metric in said.values:
                    found[said.at_ms] = float(said.values[metric])
    return found


def test_a_condition_changes_the_facility() -> None:
    """A fridge that is unplugged for ten hours warms, and its truth line waits for it to cool."""
    fault = {"type": "fridge-unplugged", "device": "facility-cold-chain", "start": "2h",
             "duration": "10h"}  # fmt: skip
    warm = readings("facility-cold-chain", "temperature_c", fault, hours=20)
    assert max(v for at, v in warm.items() if at < START_MS + 2 * HOUR_MS) < 8
    assert max(v for at, v in warm.items() if at >= START_MS + 10 * HOUR_MS) > 10


def test_the_truth_file_has_the_event(tmp_path: Path) -> None:
    """Nature, cause, device and times stand in its line; what the scenario says goes before."""
    run = run_of(
        {"type": "fridge-unplugged", "device": "facility-cold-chain", "start": "1h",
         "duration": "2h", "cause": "unknown"},
        {"type": "offset", "device": "facility-environment", "metric": "co2_ppm", "start": "1h",
         "duration": "2h"},
        minutes=600,
    )  # fmt: skip
    run.write_truth(tmp_path / "T.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "T.jsonl").read_text("utf-8").splitlines()]
    assert [line["fault"] for line in lines] == ["f1", "f2"]
    assert (lines[0]["nature"], lines[0]["cause"]) == ("condition", "unknown")
    assert lines[0]["start"] == START_MS + HOUR_MS
    assert lines[0]["end"] == START_MS + 6 * HOUR_MS
    assert lines[1]["metric"] == "co2_ppm"
    assert lines[1]["end"] == START_MS + 3 * HOUR_MS
    assert lines[1]["sigmas"] >= 4
    assert run.fault_count == 2


def test_select_draws_devices_to_which_it_can_happen() -> None:
    """A leak goes to a tank, a sensor fault to a device that has the metric."""
    run = run_of(
        {"type": "leak", "select": {}, "duration": "1h"},
        {"type": "unit-switch", "select": {}, "metric": "ambient_c", "duration": "1h"},
    )
    assert [event.devices for event in run.events] == [
        ("facility-water-level",),
        ("facility-cold-chain",),
    ]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"type": "leak", "device": "facility-power"}, "leak cannot happen to facility-power"),
        ({"type": "leak", "device": "nobody"}, "'nobody' is not in the registry"),
        ({"type": "leak", "select": {"count": 2}}, "asks for 2; 1 devices"),
        ({"type": "offset", "device": "facility-power", "metric": "ph"}, "offset of ph cannot"),
        ({"type": "offset", "device": "facility-power"}, "metric is missing"),
    ],
)
def test_what_cannot_happen_is_refused(fault: dict[str, Any], says: str) -> None:
    """The error names the type and why it does not fit."""
    with pytest.raises(ScenarioError, match=says):
        run_of({**fault, "duration": "1h"})

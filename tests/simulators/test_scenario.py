"""Scenario files: what is wrong with one is said with its file, fault and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devices.registry import Registry
from devices.sample import national_sample
from simulators.faults import Fault
from simulators.feed import timing_for
from simulators.placement import place
from simulators.scenario import (
    Scenario,
    ScenarioError,
    built_in,
    parse_duration_ms,
    parse_scenario,
    read_scenario,
)
from simulators.selection import at_interval
from tests.simulators.country import START_MS, country

GOOD: dict[str, Any] = {
    "fault": "f",
    "type": "spike",
    "device": "facility-environment",
    "metric": "co2_ppm",
    "start": "10m",
    "size": 900,
}


def placed(scenario: Scenario, registry: Registry, seed: int = 1) -> list[Fault]:
    timings = {n: timing_for(seed, d, START_MS) for n, d in registry.devices.items()}
    return place(scenario, registry, seed=seed, start_ms=START_MS, timings=timings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "spikes"}, ["type is 'spikes'", "one of spike, stuck"]),
        ({"type": None}, ["type is None"]),
        ({"metric": 5}, ["metric is 5", "a text"]),
        ({"start": "10"}, ["start is '10'", '"20s"']),
        ({"start": 10}, ["start is 10"]),
        ({"size": "big"}, ["size is 'big'", '"x3"']),
        ({"size": True}, ["size is True"]),
        ({"select": {}}, ["either device or select"]),
        ({"how": "mute"}, ["unknown key 'how'"]),
        ({"colour": 1}, ["unknown key 'colour'", "known: fault, type"]),
        ({"nature": "bad"}, ["nature is 'bad'", "data_quality"]),
        ({"type": "malformed", "payload": "x"}, ["unknown key 'metric'"]),
    ],
)
def test_errors_name_file_fault_and_key(change: dict[str, Any], words: list[str]) -> None:
    """A wrong key is refused with the file, the number of the fault, what it has, what may be."""
    tree = {"faults": [{**GOOD, "fault": "first"}, GOOD | change]}
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(tree, "bad.yaml")
    for word in ["bad.yaml: fault 2", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("tree", [None, [], {"faults": 3}, {"faults": [3]}, {"faults": [], "x": 1}])
def test_other_trees_are_refused(tree: Any) -> None:
    """YAML that is no scenario is refused with the name of its file."""
    with pytest.raises(ScenarioError, match=r"bad\.yaml"):
        parse_scenario(tree, "bad.yaml")


def test_the_same_name_twice_is_refused() -> None:
    """Two faults cannot have one name: the truth could not tell them apart."""
    with pytest.raises(ScenarioError, match="'f' a second time"):
        parse_scenario({"faults": [GOOD, GOOD]}, "bad.yaml")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device": "nobody"}, "device 'nobody' is not in the registry"),
        ({"metric": "ph"}, "metric 'ph' is none of kind environment"),
        ({"device": "facility-presence", "metric": "door_open"}, "can only be stuck"),
        ({"duration": "1ms"}, "duration ends before a round of facility-environment"),
    ],
)
def test_a_scenario_that_does_not_fit_is_refused(change: dict[str, Any], words: str) -> None:
    """A device, metric or duration that the registry cannot play is an error, not a silence."""
    scenario = parse_scenario({"faults": [GOOD | change]}, "bad.yaml")
    with pytest.raises(ScenarioError, match=words):
        placed(scenario, country())


def test_selection_is_drawn_by_the_seed_from_those_that_fit() -> None:
    """A selector takes different devices of the asked kind and province, the same for a seed."""
    fault = {key: value for key, value in GOOD.items() if key not in ("device", "metric", "size")}
    fault |= {"type": "silence", "duration": "5m"}
    probes = {"kind": "connectivity-probe", "province": "LA-LP", "count": 3}
    scenario = parse_scenario(
        {"faults": [fault | {"select": probes}, fault | {"fault": "g", "select": probes}]}, "s.yaml"
    )
    chosen = {seed: [f.device for f in placed(scenario, country(), seed)] for seed in range(5)}
    assert chosen[1] == [f.device for f in placed(scenario, country(), 1)]
    assert len({tuple(devices) for devices in chosen.values()}) > 1
    for devices in chosen.values():
        assert len(set(devices)) == 6
        assert all(name.startswith("probe-") for name in devices)
    names = [f.fault for f in placed(scenario, country())]
    assert names == ["f.1", "f.2", "f.3", "g.1", "g.2", "g.3"]


def test_a_selection_that_cannot_be_filled_is_refused() -> None:
    """Asking for more devices than there are says how many there are."""
    fault = {key: value for key, value in GOOD.items() if key != "device"}
    scenario = parse_scenario({"faults": [fault | {"select": {"count": 2}}]}, "s.yaml")
    with pytest.raises(ScenarioError, match="asks for 2 of any; the registry has 1"):
        placed(scenario, country())


def test_times_in_rounds_are_those_of_the_device() -> None:
    """A fault from round 3 for 2 rounds covers exactly the device's fourth and fifth round."""
    scenario = parse_scenario(
        {"faults": [GOOD | {"start": "3 rounds", "duration": "2 rounds"}]}, "s.yaml"
    )
    (fault,) = placed(scenario, country(60.0))
    timing = timing_for(1, country().devices["facility-environment"], START_MS)
    assert fault.start_ms == timing.first_ms + 3 * 60_000
    assert fault.end_ms == timing.first_ms + 5 * 60_000


@pytest.mark.parametrize("name", built_in())
def test_built_in_scenarios_fit_the_sample(name: str) -> None:
    """Every scenario that comes with govsense can be played on the national sample."""
    sample = national_sample()
    if name == "first-minute":  # made for short intervals
        sample = at_interval(sample, 5.0)
    assert placed(read_scenario(name), sample)


def test_a_file_that_is_not_there_lists_what_is() -> None:
    """An unknown scenario name is answered with the names that exist."""
    with pytest.raises(ScenarioError, match="built in: first-minute"):
        read_scenario("nowhere")


def test_yaml_errors_name_the_file(tmp_path: Path) -> None:
    """A file that is not YAML is refused with its name."""
    file = tmp_path / "broken.yaml"
    file.write_text("faults: [")
    with pytest.raises(ScenarioError, match=r"broken\.yaml: not valid YAML"):
        read_scenario(str(file))


def test_durations() -> None:
    """A duration needs a unit, and rounds are none."""
    assert parse_duration_ms("1.5h", "--duration") == 5_400_000
    for text in ("5", "5 rounds", ""):
        with pytest.raises(ScenarioError, match="--duration"):
            parse_duration_ms(text, "--duration")

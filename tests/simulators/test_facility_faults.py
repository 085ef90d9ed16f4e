"""Faults and decoys of facilities: what sensors do, which devices, when, and the truth of it."""

from __future__ import annotations

import itertools
import json
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest

from devices.kinds import KINDS
from devices.registry import Registry
from simulators.facility import Event, effects_by_device
from simulators.facility_decoys import DECOYS, facility_decoys
from simulators.facility_faults import CONDITIONS, OWN, SENSORS, SORTS, facility_faults
from simulators.facility_sensors import WHATS, SensorFaults
from simulators.facility_sorts import Sort
from simulators.made_country import made_country
from simulators.world import model_for, rhythm
from simulators.world.climate import sky_over
from simulators.world.effects import Effect, Effects, Shape
from simulators.world.model import Value, rounded
from tests.simulators.country import START_MS, country

ROOT = Path(__file__).resolve().parents[2]
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
END_MS = START_MS + 14 * DAY_MS
SMALL = country()
COUNTRY = made_country(7, 80, 320)


def sensed(kind: str, values: list[float], metric: str, *effects: Effect) -> list[float | None]:
    """What a device says of one metric, a value a minute from the start."""
    device = SMALL.devices[f"facility-{kind}"]
    faults = SensorFaults(device, effects, Random(1))
    said: list[float | None] = []
    for minute, value in enumerate(values):
        round_of_it: dict[str, Value] = {metric: value}
        faults.apply(START_MS + minute * 60_000, round_of_it)
        said.append(round_of_it[metric])
    return said


def on(what: str, metric: str, size: float = 1.0, minutes: tuple[int, int] = (2, 5)) -> Effect:
    start_ms, end_ms = (START_MS + minute * 60_000 for minute in minutes)
    shape: Shape = "ramp" if what == "drift" else "flat"
    return Effect(what, start_ms, end_ms, size, shape, metric)


def test_a_device_says_the_metric_that_is_at_fault() -> None:
    """A gauge on a river has no pressure: a fault that nobody could see is none."""
    said: dict[str, set[str]] = {}
    for device in COUNTRY.devices.values():
        place = COUNTRY.sites[device.site]
        said[device.device] = set(model_for(1, device, place).measure(START_MS, 60.0))
    for sort in SORTS:
        for device in COUNTRY.devices.values():
            if device.kind in sort.kinds and sort.fits(device) and sort.metric:
                assert sort.metric in said[device.device], (sort.type, device)


RISING = [20.0, 21.0, 22.0, 23.0, 24.0, 25.0]


@pytest.mark.parametrize(
    ("what", "size", "said"),
    [
        ("spike", 30.0, [20, 21, 52, 53, 54, 25]),
        ("offset", -2.5, [20, 21, 19.5, 20.5, 21.5, 25]),
        ("drift", 3.0, [20, 21, 22, 24, 26, 25]),
        ("gain", 2.0, [20, 21, 44, 46, 48, 25]),
        ("stuck", 1.0, [20, 21, 22, 22, 22, 25]),
        ("sentinel", -127.0, [20, 21, -127, -127, -127, 25]),
        ("out-of-range", 99.0, [20, 21, 99, 99, 99, 25]),
        ("clip", 1.0, [20, 21, 22, 22, 22, 25]),
        ("fahrenheit", 1.0, [20, 21, 71.6, 73.4, 75.2, 25]),
        ("times", 100.0, [20, 21, 2200, 2300, 2400, 25]),
        ("gap", 1.0, [20, 21, None, None, None, 25]),
    ],
)
def test_a_sensor_fault_has_its_signature(what: str, size: float, said: list[float | None]) -> None:
    """Readings are wrong in their own way while the fault lasts, and right before and after."""
    effect = on(what, "temperature_c", size)
    assert sensed("environment", RISING, "temperature_c", effect) == said


def test_noise_and_bubbles_scatter() -> None:
    """Noise goes both ways and grows with its size; bubbles only add, and only now and then."""
    still = [25.0] * 600
    always = (0, 600)
    noise = sensed("environment", still, "temperature_c", on("noise", "temperature_c", 0.5, always))
    values = [float(value or 0) for value in noise]
    assert 0.3 < statistics.pstdev(values) < 0.8
    assert min(values) < 25 < max(values)
    clear = [0.5] * 600
    bubbles = sensed(
        "water-quality", clear, "turbidity_ntu", on("bubbles", "turbidity_ntu", 2.0, always)
    )
    raised = [value for value in bubbles if value is not None and value > 0.5]
    assert min(value for value in bubbles if value is not None) == 0.5
    assert 90 < len(raised) < 210
    assert min(raised) >= 2.5


def test_a_clipped_sensor_still_sees_what_is_lower() -> None:
    """Below its limit it reads right."""
    said = sensed("environment", [20, 22, 25, 21, 24, 26], "temperature_c",
                  on("clip", "temperature_c", 1.0, (1, 6)))  # fmt: skip
    assert said == [20, 22, 22, 21, 22, 22]


def test_a_distorted_value_stays_in_the_sensors_range() -> None:
    """An offset saturates where the hard range ends: a tank's level at its height."""
    assert sensed("water-level", [3.9] * 4, "level_m", on("offset", "level_m", 2.0)) == [
        3.9, 3.9, 4.0, 4.0,
    ]  # fmt: skip


def test_faults_leave_other_metrics_alone() -> None:
    """A metric that was not measured stays so, and others keep their values."""
    device = SMALL.devices["facility-environment"]
    faults = SensorFaults(device, [on("offset", "co2_ppm", 100.0, (0, 9))], Random(1))
    values: dict[str, Value] = {"temperature_c": 25.0, "co2_ppm": None}
    faults.apply(START_MS, values)
    assert values == {"temperature_c": 25.0, "co2_ppm": None}


def both(seed: int = 1, rates: float = 1.0) -> tuple[list[Event], list[Event]]:
    faults = facility_faults(COUNTRY, seed, START_MS, END_MS, rates)
    busy = [(device, e.start_ms, e.end_ms) for e in faults for device in e.devices]
    return faults, facility_decoys(COUNTRY, seed, START_MS, END_MS, rates, busy=busy)


FAULTS, HARMLESS = both()
MANY, MANY_HARMLESS = both(rates=12.0)


def test_the_same_seed_gives_the_same_and_another_seed_others() -> None:
    """Faults and decoys are a function of registry, seed and times."""
    assert both() == (FAULTS, HARMLESS)
    assert both(seed=2)[0] != FAULTS


def test_every_sort_happens() -> None:
    """In a country of many faults each type of the tables is played, each decoy too."""
    assert {event.type for event in MANY} == {sort.type for sort in SORTS}
    assert {event.type for event in MANY_HARMLESS} == {sort.type for sort in DECOYS}


def test_faults_are_as_frequent_as_asked() -> None:
    """Twice the rate gives about twice the faults, until there is no more room for them."""
    once, twice = (len(both(rates=rates)[0]) for rates in (0.5, 1.0))
    assert 1.5 < twice / once < 2.6


def test_events_fit_into_the_run_and_their_names_are_unique() -> None:
    """Each lies inside the run, the first day is healthy, no two share a name."""
    events = MANY + MANY_HARMLESS
    assert all(START_MS + DAY_MS <= e.start_ms < e.end_ms <= END_MS for e in events)
    for found in (MANY, MANY_HARMLESS):
        assert max(Counter(event.fault for event in found).values()) == 1


def test_a_device_has_one_fault_at_a_time() -> None:
    """Hours of health lie between two faults of a device, and no decoy falls into a fault."""
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in MANY:
        for device in event.devices:
            spans[device].append((event.start_ms, event.end_ms))
    for found in spans.values():
        found.sort()
        for (_, before), (after, _) in itertools.pairwise(found):
            assert after - before >= 8 * HOUR_MS
    for decoy in MANY_HARMLESS:
        for device in decoy.devices:
            assert not any(s < decoy.end_ms and decoy.start_ms < e for s, e in spans[device])


def test_faults_keep_clear_of_what_else_happens() -> None:
    """A device that is taken for the whole run gets no fault."""
    busy = [(device, START_MS, END_MS) for device in COUNTRY.devices]
    assert facility_faults(COUNTRY, 1, START_MS, END_MS, busy=busy) == []


def test_a_flood_muddies_every_plant_of_its_district() -> None:
    """A turbidity event is one fault with the district's scope and all its water sensors."""
    events = [event for event in MANY if event.type == "turbidity-event"]
    assert events
    for event in events:
        kind, name = event.scope
        if len(event.devices) == 1:
            assert (kind, name) == ("device", event.devices[0])
            continue
        assert kind == "district"
        sites = [COUNTRY.sites[site] for site in event.sites]
        assert {f"{site.province}/{site.district}" for site in sites} == {name}
        there = {
            device.device
            for device in COUNTRY.devices.values()
            if device.kind == "water-quality"
            and COUNTRY.sites[device.site].district == sites[0].district
            and COUNTRY.sites[device.site].province == sites[0].province
        }
        assert set(event.devices) == there == set(event.effects)


def test_neighbours_sag_together_in_the_evening() -> None:
    """A weak feeder shows in the meter of each of its sites, and begins between 17 and 20 h."""
    sags = [event for event in MANY if event.type == "voltage-sag"]
    assert any(event.scope[0] == "feeder" and len(event.sites) > 1 for event in sags)
    for event in sags:
        assert len({COUNTRY.sites[site].feeder for site in event.sites}) == 1
        assert 17 <= rhythm.local_hour(event.start_ms) <= 20


def test_floods_come_with_storms() -> None:
    """In the rains a muddy flood begins while it rains hard over its place."""
    rains_ms = START_MS + 155 * DAY_MS
    events = facility_faults(COUNTRY, 1, rains_ms, rains_ms + 14 * DAY_MS, 12.0)
    floods = [e for e in events if e.type in ("turbidity-event", "river-flood")]
    raining = [sky_over(1, COUNTRY.sites[e.sites[0]]).rain(e.start_ms) > 0.1 for e in floods]
    assert len(floods) > 5
    assert sum(raining) > 0.6 * len(raining)


def test_a_truth_line_says_what_the_contract_asks() -> None:
    """Every key of the truth file, times inside the run, nature and cause of alerts."""
    for event in MANY:
        line = json.loads(event.truth_line(END_MS))
        keys = ["fault", "type", "nature", "scope", "cause", "devices", "sites", "metric", "start",
                "end", "down"]  # fmt: skip
        assert list(line)[: len(keys)] == keys
        assert line.get("sigmas", 4) >= 4
        assert line["nature"] in ("data_quality", "condition")
        assert line["cause"] in ("sensor", "facility", "power")
        for device in line["devices"]:
            metrics = KINDS[COUNTRY.devices[device].kind].metrics
            assert line["metric"] in metrics or line["type"] == "low-battery"
    assert json.loads(MANY[0].truth_line(MANY[0].start_ms + 1))["end"] == MANY[0].start_ms + 1


def test_a_fault_of_several_metrics_names_none() -> None:
    """A failing battery makes another metric tremble, which is as true as the battery itself."""
    failing = [event for event in MANY if event.type == "low-battery"]
    assert failing
    for event in failing:
        touched = {effect.metric for effects in event.effects.values() for effect in effects}
        assert touched & {"temperature_c", "level_m"}
        assert json.loads(event.truth_line(END_MS))["metric"] is None
    assert all(event.metric for event in MANY if event.type == "noise")


def test_what_needs_people_begins_in_office_hours() -> None:
    """Meetings, stuffy rooms and deliveries begin on working mornings, cleaning on Wednesdays."""
    timed = [e for e in MANY + MANY_HARMLESS if e.type in ("meeting", "stuffy-room", "restocking")]
    assert timed
    for event in timed:
        assert rhythm.is_working_day(event.start_ms)
        assert 8 <= rhythm.local_hour(event.start_ms) <= 11
    cleaned = [event for event in MANY_HARMLESS if event.type == "tank-cleaning"]
    assert {(e.start_ms - START_MS) // DAY_MS % 7 for e in cleaned} == {2}


def changed(sort: Sort, registry: Registry, seed: int) -> set[str]:
    """Metrics of a device that a sort's parts change, whichever of its kind and season show it."""
    found: set[str] = set()
    for device in sorted(registry.devices.values(), key=lambda device: device.device):
        if device.kind not in sort.kinds or not sort.fits(device):
            continue
        effects = [
            Effect(p.what, START_MS, START_MS + 2 * DAY_MS, p.size, p.shape, p.metric)
            for p in sort.parts(Random(seed))
        ]
        with_it, without = (
            list(rounds_of(device.device, registry, chosen)) for chosen in (effects, [])
        )
        for ill, well in zip(with_it, without, strict=True):
            found |= {name for name in well if ill[name] != well[name]}
        return found
    raise AssertionError(f"no device for {sort.type}")


def rounds_of(name: str, registry: Registry, effects: list[Effect]) -> list[dict[str, Value]]:
    device = registry.devices[name]
    model = model_for(1, device, registry.sites[device.site], Effects(effects))
    sensors = SensorFaults(device, effects, Random(1))
    rounds: list[dict[str, Value]] = []
    for at_ms in range(START_MS, START_MS + 2 * DAY_MS, 900_000):
        values = rounded(device.kind, model.measure(at_ms, 900.0 if rounds else 0.0))
        sensors.apply(at_ms, values)
        rounds.append(values)
    return rounds


@pytest.mark.parametrize(
    "sort", [*CONDITIONS, *OWN, *DECOYS], ids=lambda sort: f"{sort.type}-{sort.kinds[0]}"
)
def test_a_sort_changes_the_metric_that_it_names(sort: Sort) -> None:
    """A device with the fault reports other values of its metric than the same one without."""
    assert sort.metric in changed(sort, COUNTRY, seed=3)


def test_sensor_faults_touch_nothing_but_their_metric() -> None:
    """The world goes on as it was behind a faulty sensor."""
    for sort in SENSORS:
        assert changed(sort, COUNTRY, seed=3) <= {sort.metric}, sort.type


def test_every_effect_on_a_sensor_is_known() -> None:
    """Tables name only what SensorFaults can do, and metrics that the kind has."""
    for sort in (*SORTS, *DECOYS):
        for part in sort.parts(Random(1)):
            if part.metric is not None:
                assert part.what in WHATS
                assert all(part.metric in KINDS[kind].metrics for kind in sort.kinds)


def test_effects_are_gathered_by_device() -> None:
    """A device gets what all its events do, in order."""
    gathered = effects_by_device(MANY)
    assert set(gathered) == {device for event in MANY for device in event.devices}
    assert sum(map(len, gathered.values())) == sum(
        len(felt) for event in MANY for felt in event.effects.values()
    )


def test_every_type_is_documented() -> None:
    """Faults have a row with their nature, decoys are named."""
    page = (ROOT / "docs" / "simulation.md").read_text("utf-8")
    for sort in SORTS:
        assert f"| `{sort.type}` | {sort.truth.nature} |" in page
    for decoy in DECOYS:
        assert f"`{decoy.type}`" in page

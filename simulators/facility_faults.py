"""The faults of facilities: what breaks in them, and how their sensors fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import NamedTuple

from devices.kinds import KINDS
from devices.registry import Device, Registry
from simulators.facility import Event
from simulators.facility_schedule import Busy, schedule
from simulators.facility_sorts import (
    CONDITION,
    DAY_S,
    HOUR_S,
    MINUTE_S,
    POWER,
    SENSOR,
    Part,
    Sort,
    either,
    is_tank,
    just,
    sized,
)
from simulators.world.effects import Shape

FRIDGE, METER, SOLAR = ("cold-chain",), ("power",), ("solar",)
LEVEL, QUALITY = ("water-level",), ("water-quality",)
ROOM, STREET, DOOR = ("environment",), ("air-quality",), ("presence",)

# What goes wrong in the world; the models feel it.
CONDITIONS: tuple[Sort, ...] = (
    Sort("fridge-freeze", FRIDGE, "temperature_c", CONDITION, (4 * HOUR_S, 14 * HOUR_S),
         sized("thermostat-low", 5.8, 8.0), settles_s=HOUR_S),
    Sort("fridge-door-ajar", FRIDGE, "temperature_c", CONDITION, (HOUR_S, 6 * HOUR_S),
         sized("door-ajar", 5.0, 10.0), settles_s=3 * HOUR_S),
    Sort("fridge-compressor-dead", FRIDGE, "temperature_c", CONDITION, (6 * HOUR_S, 30 * HOUR_S),
         just(Part("compressor-dead")), settles_s=3 * HOUR_S),
    Sort("fridge-gas-leak", FRIDGE, "temperature_c", CONDITION, (12 * HOUR_S, 60 * HOUR_S),
         sized("gas-leak", 0.85, 1.0), settles_s=3 * HOUR_S),
    Sort("fridge-unplugged", FRIDGE, "mains_on", POWER, (20 * MINUTE_S, 16 * HOUR_S),
         just(Part("mains-off")), settles_s=3 * HOUR_S),
    Sort("fridge-short-cycling", FRIDGE, "compressor_on", CONDITION, (8 * HOUR_S, 48 * HOUR_S),
         just(Part("short-cycling"))),
    Sort("voltage-sag", METER, "mains_v", POWER, (20 * MINUTE_S, 6 * HOUR_S),
         sized("sag", 32.0, 65.0), together="feeder", when="evening"),
    Sort("voltage-surge", METER, "mains_v", POWER, (15 * MINUTE_S, 3 * HOUR_S),
         sized("surge", 44.0, 60.0)),
    Sort("generator-unstable", METER, "frequency_hz", POWER, (HOUR_S, 8 * HOUR_S),
         sized("genset", 0.8, 1.3)),
    Sort("panel-dead", SOLAR, "pv_w", CONDITION, (1.2 * DAY_S, 4 * DAY_S),
         sized("panel-dead", 0.96, 1.0), settles_s=0.5 * DAY_S),
    Sort("bank-ageing", SOLAR, "battery_v", CONDITION, (6 * DAY_S, 14 * DAY_S),
         sized("bank-aged", 0.75, 0.92, "ramp")),
    Sort("overcharge", SOLAR, "battery_v", CONDITION, (1.2 * DAY_S, 3 * DAY_S),
         sized("overcharge", 0.8, 1.3)),
    Sort("pump-failure", LEVEL, "level_m", CONDITION, (8 * HOUR_S, 24 * HOUR_S),
         just(Part("pump-dead")), fits=is_tank, settles_s=3 * HOUR_S),
    Sort("pump-dry", LEVEL, "level_m", CONDITION, (8 * HOUR_S, 24 * HOUR_S),
         just(Part("pump-dry")), fits=is_tank, settles_s=3 * HOUR_S),
    Sort("overflow", LEVEL, "level_m", CONDITION, (4 * HOUR_S, 12 * HOUR_S),
         just(Part("float-stuck")), fits=is_tank, settles_s=3 * HOUR_S),
    Sort("leak", LEVEL, "flow_m3h", CONDITION, (1.2 * DAY_S, 5 * DAY_S),
         sized("leak", 0.3, 0.8), fits=is_tank),
    Sort("pressure-drop", LEVEL, "pressure_bar", CONDITION, (HOUR_S, 10 * HOUR_S),
         sized("burst", 2.6, 3.4), fits=is_tank),
    Sort("river-flood", LEVEL, "level_m", CONDITION, (12 * HOUR_S, 48 * HOUR_S),
         sized("flood", 2.0, 6.0), fits=lambda device: not is_tank(device),
         when="storm", settles_s=DAY_S),
    Sort("turbidity-event", QUALITY, "turbidity_ntu", CONDITION, (4 * HOUR_S, 24 * HOUR_S),
         sized("mud", 9.0, 60.0), per_day=0.006, together="district", when="storm",
         settles_s=8 * HOUR_S),
    Sort("chlorine-depleted", QUALITY, "chlorine_mgl", CONDITION, (2 * HOUR_S, 24 * HOUR_S),
         sized("chlorine-off", 0.85, 1.0), settles_s=2 * HOUR_S),
    Sort("chlorine-overdose", QUALITY, "chlorine_mgl", CONDITION, (HOUR_S, 8 * HOUR_S),
         sized("overdose", 4.8, 8.0)),
    Sort("ph-excursion", QUALITY, "ph", CONDITION, (2 * HOUR_S, 20 * HOUR_S),
         either("ph-shift", 1.5, 2.3), settles_s=2 * HOUR_S),
    Sort("stuffy-room", ROOM, "co2_ppm", CONDITION, (8 * HOUR_S, 3 * DAY_S),
         sized("stuffy", 0.7, 0.85), when="office-hours", settles_s=3 * HOUR_S),
    Sort("flood", DOOR, "water_present", CONDITION, (HOUR_S, 24 * HOUR_S), just(Part("flood"))),
)  # fmt: skip


def _low_battery(metric: str, noise: float) -> Callable[[Random], Sequence[Part]]:
    def parts(random: Random) -> Sequence[Part]:
        return (
            Part("battery-low", random.uniform(0.95, 1.25), "ramp"),
            Part("noise", noise * random.uniform(4.0, 10.0), "ramp", metric),
        )

    return parts


def _at(what: str, metric: str, low: float, high: float) -> Callable[[Random], Sequence[Part]]:
    return lambda random: (Part(what, random.uniform(low, high), "flat", metric),)


# Faults of sensors that have a shape of their own.
OWN: tuple[Sort, ...] = (
    Sort("probe-out-of-fridge", FRIDGE, "temperature_c", SENSOR, (HOUR_S, 12 * HOUR_S),
         just(Part("probe-out")), settles_s=0.5 * HOUR_S),
    Sort("fan-stall", STREET, "pm2_5_ugm3", SENSOR, (12 * HOUR_S, 72 * HOUR_S),
         just(Part("fan-stall"))),
    Sort("pm-inverted", STREET, "pm10_ugm3", SENSOR, (6 * HOUR_S, 72 * HOUR_S),
         sized("pm-inverted", 0.5, 0.85)),
    Sort("sun-on-case", ROOM + STREET, "temperature_c", SENSOR, (1.2 * DAY_S, 4 * DAY_S),
         sized("sun-on-case", 8.0, 14.0)),
    Sort("co2-baseline-drift", ROOM, "co2_ppm", SENSOR, (3 * DAY_S, 10 * DAY_S),
         sized("co2-baseline", -120.0, -70.0, "ramp")),
    Sort("co2-stuck-400", ROOM, "co2_ppm", SENSOR, (6 * HOUR_S, 48 * HOUR_S),
         just(Part("stuck-at", 400.0, "flat", "co2_ppm"))),
    Sort("humidity-saturated", ROOM + STREET, "humidity_pct", SENSOR, (6 * HOUR_S, 48 * HOUR_S),
         _at("stuck-at", "humidity_pct", 99.0, 100.0)),
    Sort("fouling", QUALITY, "turbidity_ntu", SENSOR, (3 * DAY_S, 9 * DAY_S),
         sized("fouling", 5.0, 12.0, "ramp")),
    Sort("bubbles", QUALITY, "turbidity_ntu", SENSOR, (HOUR_S, 12 * HOUR_S),
         _at("bubbles", "turbidity_ntu", 1.5, 6.0)),
    Sort("ph-drift-to-7", QUALITY, "ph", SENSOR, (2 * DAY_S, 7 * DAY_S),
         just(Part("ph-to-7", 1.0, "ramp"))),
    Sort("ph-glass-broken", QUALITY, "ph", SENSOR, (3 * HOUR_S, 48 * HOUR_S),
         just(Part("stuck-at", 7.0, "flat", "ph"))),
    Sort("probe-in-air", QUALITY, "conductivity_uscm", SENSOR, (HOUR_S, 12 * HOUR_S),
         just(Part("in-air"))),
    Sort("door-chatter", DOOR, "door_open", SENSOR, (3 * HOUR_S, 24 * HOUR_S),
         just(Part("door-chatter"))),
    Sort("pv-at-night", SOLAR, "pv_w", SENSOR, (1.2 * DAY_S, 4 * DAY_S),
         _at("offset", "pv_w", 6.0, 20.0)),
    Sort("low-battery", ROOM, "battery_v", SENSOR, (1.2 * DAY_S, 4 * DAY_S),
         _low_battery("temperature_c", 0.1)),
    Sort("low-battery", LEVEL, "battery_v", SENSOR, (1.2 * DAY_S, 4 * DAY_S),
         _low_battery("level_m", 0.004)),
)  # fmt: skip


class Sensed(NamedTuple):
    """How a healthy metric moves: spread over days about its rhythm, and from round to round.

    Both in the metric's unit; of PM and turbidity, whose size depends on the season, roughly.
    unit: the factor or law by which it is off when somebody switches its unit. fits: the devices of
    the kind that say it at all.
    """

    kind: str
    metric: str
    spread: float
    noise: float
    unit: tuple[str, float] | None = None
    sentinels: tuple[float, ...] = (-999.0, 65535.0)
    fits: Callable[[Device], bool] = lambda device: True


F = ("fahrenheit", 1.0)
KELVIN_FREE = (85.0, -127.0)
SENSED: tuple[Sensed, ...] = (
    Sensed("environment", "temperature_c", 1.6, 0.11, F, KELVIN_FREE),
    Sensed("environment", "humidity_pct", 6.0, 0.7),
    Sensed("environment", "co2_ppm", 60.0, 10.0),
    Sensed("air-quality", "pm2_5_ugm3", 15.0, 4.0),
    Sensed("air-quality", "temperature_c", 1.6, 0.15, F, KELVIN_FREE),
    Sensed("water-level", "level_m", 0.2, 0.004, ("times", 100.0)),
    Sensed("water-level", "pressure_bar", 0.18, 0.06, ("times", 100.0), fits=is_tank),
    Sensed("water-quality", "turbidity_ntu", 0.15, 0.04),
    Sensed("water-quality", "ph", 0.07, 0.02),
    Sensed("water-quality", "chlorine_mgl", 0.05, 0.017),
    Sensed("water-quality", "conductivity_uscm", 6.0, 2.3),
    Sensed("water-quality", "temperature_c", 1.0, 0.05, F, KELVIN_FREE),
    Sensed("power", "mains_v", 2.6, 1.6),
    Sensed("power", "current_a", 4.0, 1.2),
    Sensed("solar", "battery_v", 0.25, 0.04, ("times", 1000.0)),
    Sensed("cold-chain", "temperature_c", 0.4, 0.2, F, KELVIN_FREE),
    Sensed("cold-chain", "ambient_c", 1.2, 0.12, F, KELVIN_FREE),
)
CLIPPED = ("temperature_c", "humidity_pct", "level_m", "ambient_c", "co2_ppm")


def _sensor_sorts(sensed: Sensed) -> Iterable[Sort]:
    name, spread = sensed.metric, sensed.spread
    limits = KINDS[sensed.kind].metrics[name]
    beyond = limits.hard_max * 1.2 + 1.0
    below = limits.hard_min - max(1.0, spread)

    def sort(fault: str, hours: tuple[float, float], draw: Callable[[Random], Part]) -> Sort:
        lasts_s = (hours[0] * HOUR_S, hours[1] * HOUR_S)
        return Sort(
            fault, (sensed.kind,), name, SENSOR, lasts_s, lambda r: (draw(r),), fits=sensed.fits
        )

    def part(what: str, size: float = 1.0) -> Part:
        return Part(what, size, "flat", name)

    def moved(
        what: str, low: float, high: float, shape: Shape = "flat"
    ) -> Callable[[Random], Part]:
        def draw(random: Random) -> Part:
            sigmas = random.uniform(low, high)
            return Part(what, random.choice((-1, 1)) * sigmas * spread, shape, name, sigmas)

        return draw

    def noisy(random: Random) -> Part:
        times = random.uniform(4, 10)
        return Part("noise", times * sensed.noise, "flat", name, times)

    yield sort("spike", (0, 0), moved("spike", 8, 20))
    yield sort("stuck", (3, 30), lambda r: part("stuck"))
    yield sort("noise", (2, 14), noisy)
    yield sort("offset", (3, 30), moved("offset", 4, 10))
    yield sort("gain", (3, 30), lambda r: part("gain", r.choice((r.uniform(1.4, 2.2), 0.5))))
    yield sort("drift", (36, 96), moved("drift", 6, 15, "ramp"))
    yield sort("out-of-range", (0.2, 6), lambda r: part("out-of-range", r.choice((beyond, below))))
    yield sort("sentinel", (0.2, 6), lambda r: part("sentinel", r.choice(sensed.sentinels)))
    yield sort("gap", (1, 14), lambda r: part("gap"))
    if name in CLIPPED:
        yield sort("clipping", (24, 72), lambda r: part("clip"))
    if sensed.unit is not None:
        what, factor = sensed.unit
        yield sort("unit-switch", (2, 24), lambda r: part(what, factor))


SENSORS: tuple[Sort, ...] = tuple(sort for sensed in SENSED for sort in _sensor_sorts(sensed))
SORTS: tuple[Sort, ...] = (*CONDITIONS, *OWN, *SENSORS)
SENSOR_SHARE = 0.25  # how often a sort of SENSORS happens, compared with one of the others


def facility_faults(
    registry: Registry,
    seed: int,
    start_ms: int,
    end_ms: int,
    rates: float = 1.0,
    *,
    busy: Busy = (),
) -> list[Event]:
    """Faults of a registry's facilities in a run, in order of start; a function of its arguments.

    rates: how often compared with the table's. busy: devices and times to keep clear of, as
    (device, start_ms, end_ms). A device has one fault at a time, with hours of health between two,
    and none in the first day.
    """
    own = schedule((*CONDITIONS, *OWN), registry, seed, (start_ms, end_ms), rates, busy)
    taken = [*busy, *((d, e.start_ms, e.end_ms) for e in own for d in e.devices)]
    sensors = schedule(SENSORS, registry, seed, (start_ms, end_ms), rates * SENSOR_SHARE, taken)
    return sorted([*own, *sensors], key=lambda event: (event.start_ms, event.fault))

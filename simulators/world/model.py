"""The table of models, one a kind, and the rounding that each metric's resolution asks for."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Protocol

from devices.kinds import KINDS, Metric
from devices.registry import Device, Site
from simulators.world.air import AirQuality, Environment
from simulators.world.chance import stream
from simulators.world.cold_chain import ColdChain
from simulators.world.effects import Effects, Place
from simulators.world.power import Power
from simulators.world.presence import Presence
from simulators.world.probe import Probe
from simulators.world.solar import Solar
from simulators.world.water import water_level
from simulators.world.water_quality import WaterQuality

Value = float | int | bool | None


class Model(Protocol):
    """What a device measures. Called with event times that never go back."""

    def measure(self, at_ms: int, dt_s: float) -> dict[str, Value]:
        """One round: metric to unrounded value, in the metrics' units; None: not measured.

        dt_s: seconds since the round before, 0 in the first.
        """


FACILITIES: dict[str, Callable[[Random, Device, Place], Model]] = {
    "environment": Environment,
    "air-quality": AirQuality,
    "water-level": water_level,
    "water-quality": WaterQuality,
    "power": Power,
    "solar": Solar,
    "cold-chain": ColdChain,
    "presence": Presence,
}


def model_for(seed: int, device: Device, site: Site, effects: Effects | None = None) -> Model:
    """The model of a device; what it measures is a pure function of seed, device and times.

    effects: what happens to it beyond its ordinary life; nothing by default.
    """
    random = stream(seed, device.device)
    if device.kind == "connectivity-probe":
        return Probe(random, device, site, seed)
    return FACILITIES[device.kind](random, device, Place(seed, site, effects or Effects()))


def rounded(kind: str, values: dict[str, Value]) -> dict[str, Value]:
    """The values as the device would report them: in steps of each metric's resolution."""
    metrics = KINDS[kind].metrics
    return {
        name: None if value is None else rounded_value(metrics[name], float(value))
        for name, value in values.items()
    }


def rounded_value(metric: Metric, value: float) -> float | int | bool:
    """One value in steps of its metric's resolution; a count as an integer, a state as a bool."""
    if metric.is_bool:
        return value >= 0.5
    if metric.resolution == 1.0:
        return round(value)
    digits = math.log10(1.0 / metric.resolution)
    if digits == int(digits):
        return round(value, int(digits))
    return round(round(value / metric.resolution) * metric.resolution, 6)

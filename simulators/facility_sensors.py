"""Sensor faults of facilities: what each does to a device's readings, which the world ignores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from devices.kinds import KINDS, Metric
from devices.registry import Device
from simulators.world.effects import Effect
from simulators.world.model import Value, rounded_value

BUBBLE_CHANCE = 0.25  # a round


class SensorFaults:
    """What the faulty sensors of one device do to its rounds, in order of time.

    Faults and their size: `spike`, `offset` and `drift` (in the metric's unit), `gain` (factor),
    `noise` (standard deviation in the unit), `bubbles` (now and then as much more, times 1 to 3),
    `stuck` (none: the first value stays), `stuck-at`, `sentinel` and `out-of-range` (the value
    that is sent), `clip` (none: the first value is the highest that it knows), `fahrenheit`,
    `times` (a unit's factor), `gap` (no value).
    """

    def __init__(self, device: Device, effects: Sequence[Effect], random: Random) -> None:
        self._metrics = KINDS[device.kind].metrics
        self._params = device.params
        self._random = random
        self._effects = [effect for effect in effects if effect.metric is not None]
        self._first: dict[Effect, float] = {}

    def apply(self, at_ms: int, values: dict[str, Value]) -> None:
        """Change the (rounded) values of a round at an event time, in place."""
        for effect in self._effects:
            if effect.start_ms <= at_ms < effect.end_ms:
                self._distort(effect, at_ms, values)

    def _distort(self, effect: Effect, at_ms: int, values: dict[str, Value]) -> None:
        assert effect.metric is not None
        value = values.get(effect.metric)
        if value is None:
            return
        if effect.what == "gap":
            values[effect.metric] = None
            return
        metric = self._metrics[effect.metric]
        first = self._first.setdefault(effect, float(value))
        if effect.what in SENT:
            values[effect.metric] = rounded_value(metric, SENT[effect.what](first, effect.size))
            return
        distort = FELT[effect.what]
        felt = distort(float(value), first, effect.size_at(at_ms), self._random)
        if effect.what not in UNITS:
            felt = self._possible(metric, felt)
        values[effect.metric] = rounded_value(metric, felt)

    def _possible(self, metric: Metric, value: float) -> float:
        """The value, or where the sensor's own range ends: it cannot say more."""
        low, high = metric.hard_range(self._params)
        return min(high, max(low, value))


Felt = Callable[[float, float, float, Random], float]


def _offset(value: float, first: float, size: float, random: Random) -> float:
    return value + size


def _gain(value: float, first: float, size: float, random: Random) -> float:
    return value * size


def _noise(value: float, first: float, size: float, random: Random) -> float:
    # Not normal: mostly half as wide, now and then twice.
    return value + random.gauss(0.0, size * (2.0 if random.random() < 0.2 else 0.5))


def _bubbles(value: float, first: float, size: float, random: Random) -> float:
    return value + size * random.uniform(1.0, 3.0) if random.random() < BUBBLE_CHANCE else value


def _clip(value: float, first: float, size: float, random: Random) -> float:
    return min(value, first)


def _fahrenheit(value: float, first: float, size: float, random: Random) -> float:
    return value * 9.0 / 5.0 + 32.0


# What the sensor still feels, distorted: value, first value, size and chance to value.
FELT: dict[str, Felt] = {
    "spike": _offset,
    "offset": _offset,
    "drift": _offset,
    "gain": _gain,
    "noise": _noise,
    "bubbles": _bubbles,
    "clip": _clip,
    "fahrenheit": _fahrenheit,
    "times": _gain,
}
UNITS = ("fahrenheit", "times")
# What is sent whatever the sensor feels: first value and size to value.
SENT: dict[str, Callable[[float, float], float]] = {
    "stuck": lambda first, size: first,
    "stuck-at": lambda first, size: size,
    "sentinel": lambda first, size: size,
    "out-of-range": lambda first, size: size,
}
WHATS = (*FELT, *SENT, "gap")

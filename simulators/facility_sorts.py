"""Sorts of what can happen to facilities: which devices, how often, how long and how strong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from devices.registry import Device
from simulators.faults import Cause
from simulators.world.effects import Shape

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
CONDITION = Cause("condition", "facility")
SENSOR = Cause("data_quality", "sensor")
POWER = Cause("condition", "power")

Together = Literal["device", "feeder", "district"]
When = Literal["any", "office-hours", "wednesday-morning", "evening", "storm"]


class Part(NamedTuple):
    """One effect of an event, before it has a time. See simulators.world.effects.Effect.

    sigmas: its size in standard deviations of the healthy metric, where that says how hard it is
    to see.
    """

    what: str
    size: float = 1.0
    shape: Shape = "flat"
    metric: str | None = None
    sigmas: float | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """One type of fault or decoy.

    kinds: of devices that it happens to; fits: which of them, all by default. per_day: how many a
    device and day (of a group: a group and day). lasts_s: shortest and longest, drawn evenly over
    the logarithm; 0, 0 for one round. parts: its effects with a drawn strength. together: devices
    that it hits at once. when: at which local times it begins.
    """

    type: str
    kinds: tuple[str, ...]
    metric: str | None
    truth: Cause
    lasts_s: tuple[float, float]
    parts: Callable[[Random], Sequence[Part]]
    per_day: float = 0.005
    fits: Callable[[Device], bool] = lambda device: True
    together: Together = "device"
    when: When = "any"
    settles_s: float = 0.0

    def shown(self, parts: Sequence[Part]) -> str | None:
        """The metric that its truth names: None where parts move others than its own."""
        others = {part.metric for part in parts} - {None, self.metric}
        return None if others else self.metric

    def length_ms(self, device: Device, random: Random) -> int:
        """How long it lasts at a device; one round at least."""
        interval_ms = round(device.interval_s * 1000)
        shortest, longest = self.lasts_s
        if longest == 0:
            return interval_ms
        log_s = random.uniform(math.log(shortest), math.log(longest))
        return max(interval_ms, round(math.exp(log_s) * 1000))


def just(*parts: Part) -> Callable[[Random], Sequence[Part]]:
    """Parts that are always the same."""
    return lambda random: parts


def sized(
    what: str, low: float, high: float, shape: Shape = "flat"
) -> Callable[[Random], Sequence[Part]]:
    """One part with a size drawn between two."""
    return lambda random: (Part(what, random.uniform(low, high), shape),)


def either(
    what: str, low: float, high: float, shape: Shape = "flat"
) -> Callable[[Random], Sequence[Part]]:
    """One part with a size drawn between two, upwards or downwards."""
    return lambda random: (
        Part(what, random.choice((-1.0, 1.0)) * random.uniform(low, high), shape),
    )


def is_tank(device: Device) -> bool:
    """Whether a water level is that of a tank, else a river's."""
    return "height_m" in device.params

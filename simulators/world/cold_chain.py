"""Vaccine stores: `cold-chain` devices, with the compressor's cycle and the opened door."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device, Site
from simulators.world import rhythm
from simulators.world.air import ROOM_LAG_S
from simulators.world.chance import Bursts
from simulators.world.climate import Outdoors

STEP_S = 15.0
DOOR_WARMS_C = 2.3  # what an open door adds to the probe's air, which the goods hardly feel


class ColdChain:
    """A refrigerator between its two thermostat marks, opened now and then in working hours."""

    def __init__(self, random: Random, device: Device, site: Site) -> None:
        self._random = random
        self._outdoors = Outdoors(random, site)
        self._room_c: float | None = None
        self._low_c = random.uniform(3.2, 3.7)
        self._high_c = self._low_c + random.uniform(1.0, 1.5)
        self._inside_c = random.uniform(self._low_c, self._high_c)
        self._compressor = random.random() < 0.4
        self._cool_c_s = random.uniform(1.3, 2.0) / 900
        self._leak_per_s = random.uniform(0.05, 0.075) / 3600
        self._door = Bursts(random, lasts_s=70)
        self._door_c = 0.0

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        room_c = self._room(at_ms, dt_s)
        opened = self._step(at_ms, dt_s, room_c)
        return {
            "temperature_c": self._inside_c + self._door_c + self._random.gauss(0, 0.05),
            "ambient_c": room_c + self._random.gauss(0, 0.07),
            "door_open": opened,
            "compressor_on": self._compressor,
            "mains_on": True,
        }

    def _room(self, at_ms: int, dt_s: float) -> float:
        outside_c, _ = self._outdoors.step(at_ms, dt_s)
        room_c = outside_c if self._room_c is None else self._room_c
        self._room_c = room_c + (outside_c - room_c) * -math.expm1(-dt_s / ROOM_LAG_S)
        return self._room_c

    def _step(self, at_ms: int, dt_s: float, room_c: float) -> bool:
        """Let the refrigerator run for dt_s seconds; whether its door is open at the end."""
        opened, left_s = False, dt_s
        per_s = 9.0 / 86_400 * (0.1 + 3.0 * rhythm.office_load(at_ms))
        while left_s > 0:
            step_s = min(left_s, STEP_S)
            left_s -= step_s
            opened = self._door.step(step_s, per_s=per_s)
            target_c = DOOR_WARMS_C if opened else 0.0
            self._door_c += (target_c - self._door_c) * -math.expm1(-step_s / 80)
            self._inside_c += (room_c - self._inside_c) * self._leak_per_s * step_s
            if self._compressor:
                self._inside_c -= self._cool_c_s * step_s
            if self._inside_c >= self._high_c:
                self._compressor = True
            elif self._inside_c <= self._low_c:
                self._compressor = False
        return opened

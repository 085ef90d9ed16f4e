"""Vaccine stores: `cold-chain` devices, with the compressor's cycle and the opened door."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device
from simulators.world import rhythm
from simulators.world.air import ROOM_LAG_S
from simulators.world.chance import Bursts, flicker
from simulators.world.climate import Outdoors
from simulators.world.effects import Now, Place

STEP_S = 15.0
DOOR_WARMS_C = 2.3  # what an open door adds to the probe's air, which the goods hardly feel
PROBE_LAG_S = 400.0  # of a probe that is taken out, or put back
SHORT_BAND_C = 0.1


class ColdChain:
    """A refrigerator between its two thermostat marks, opened now and then in working hours.

    Nothing cools but a compressor that runs, and none runs without power. Effects: `mains-off`;
    `compressor-dead` (it does not start); `gas-leak` (share of the cooling that is lost);
    `door-ajar` (times as leaky, the door open); `thermostat-low` (degrees that it aims too low);
    `short-cycling`; `probe-out` (the probe lies in the room); `restock` (degrees that the probe's
    air warms while the door is open for goods).
    """

    def __init__(self, random: Random, device: Device, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._outdoors = Outdoors(random, place.site, place.sky)
        self._room_c: float | None = None
        self._low_c = random.uniform(3.2, 3.7)
        self._high_c = self._low_c + random.uniform(1.0, 1.5)
        self._inside_c = random.uniform(self._low_c, self._high_c)
        self._compressor = random.random() < 0.4
        self._cool_c_s = random.uniform(1.3, 2.0) / 900
        self._leak_per_s = random.uniform(0.03, 0.075) / 3600
        self._door = Bursts(random, lasts_s=70)
        self._door_c = 0.0
        self._out = 0.0

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        room_c = self._room(at_ms, dt_s)
        opened = self._step(at_ms, dt_s, room_c, now)
        aim = 1.0 if "probe-out" in now else 0.0
        self._out += (aim - self._out) * -math.expm1(-dt_s / PROBE_LAG_S)
        goods_c = self._inside_c + self._door_c
        felt_c = goods_c + (room_c - goods_c) * self._out
        return {
            "temperature_c": felt_c + flicker(self._random, 0.05),
            "ambient_c": room_c + flicker(self._random, 0.07),
            "door_open": opened,
            "compressor_on": self._compressor,
            "mains_on": "mains-off" not in now,
        }

    def _room(self, at_ms: int, dt_s: float) -> float:
        outside_c, _ = self._outdoors.step(at_ms, dt_s)
        room_c = outside_c if self._room_c is None else self._room_c
        self._room_c = room_c + (outside_c - room_c) * -math.expm1(-dt_s / ROOM_LAG_S)
        return self._room_c

    def _step(self, at_ms: int, dt_s: float, room_c: float, now: Now) -> bool:
        """Let the refrigerator run for dt_s seconds; whether its door is open at the end."""
        can_run = "mains-off" not in now and "compressor-dead" not in now
        cool_c_s = self._cool_c_s * (1.0 - now.get("gas-leak", 0.0))
        leak_per_s = self._leak_per_s * now.get("door-ajar", 1.0)
        low_c = self._low_c - now.get("thermostat-low", 0.0)
        band_c = SHORT_BAND_C if "short-cycling" in now else self._high_c - self._low_c
        held = "door-ajar" in now or "restock" in now
        warms_c = now.get("restock", DOOR_WARMS_C)
        opened, left_s = held, dt_s
        per_s = 9.0 / 86_400 * (0.1 + 3.0 * rhythm.office_load(at_ms))
        while left_s > 0:
            step_s = min(left_s, STEP_S)
            left_s -= step_s
            opened = self._door.step(step_s, per_s=per_s) or held
            self._door_c += ((warms_c if opened else 0.0) - self._door_c) * -math.expm1(
                -step_s / 80
            )
            self._inside_c += (room_c - self._inside_c) * leak_per_s * step_s
            if self._compressor:
                self._inside_c -= cool_c_s * step_s
            if self._inside_c >= low_c + band_c:
                self._compressor = can_run
            elif self._inside_c <= low_c or not can_run:
                self._compressor = False
        return opened

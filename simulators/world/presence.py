"""Doors and people: `presence` devices."""

from __future__ import annotations

from random import Random

from devices.registry import Device
from simulators.world import rhythm
from simulators.world.air import Battery
from simulators.world.chance import Bursts, Wander
from simulators.world.effects import Place


class Presence:
    """A counter over a door with a flood contact on the floor.

    Effects: `flood` (water on the floor), `door-chatter` (the contact bounces), `door-held`
    (the door stays open), `battery-low` (V that the cell is too low).
    """

    def __init__(self, random: Random, device: Device, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._seats = random.uniform(6.0, 40.0)
        self._crowd = Wander(random, spread=0.25, memory_s=1800)
        self._door = Bursts(random, lasts_s=25)
        self._battery = Battery(random)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        load = rhythm.office_load(at_ms)
        expected = self._seats * max(0.0, load - 0.03) * max(0.0, 1.0 + self._crowd.step(dt_s))
        people = sum(self._random.random() < expected / 80.0 for _ in range(80))
        opened = self._door.step(dt_s, per_s=(0.0002 + 0.02 * load) / 2)
        if "door-chatter" in now:
            opened = self._random.random() < 0.5
        return {
            "occupancy": people,
            "door_open": opened or "door-held" in now,
            "water_present": "flood" in now,
            "battery_v": self._battery.step(dt_s, now.get("battery-low", 0.0)),
        }

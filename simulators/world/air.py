"""Rooms and streets: `environment` and `air-quality` devices."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device, Site
from simulators.world import rhythm
from simulators.world.chance import Bursts, Wander
from simulators.world.climate import Outdoors, latitude

DEEP_NORTH_LAT = 18.5
ROOM_LAG_S = 2.5 * 3600
AIR_CHANGE_S = 3600.0


class Environment:
    """A room: temperature, humidity, CO2 of the people in it, and the sensor's battery."""

    def __init__(self, random: Random, device: Device, site: Site) -> None:
        self._random = random
        self._outdoors = Outdoors(random, site)
        self._cooled = random.random() < 0.45
        self._set_c = random.uniform(24.0, 26.5)
        self._inside_c: float | None = None
        self._people_ppm = random.uniform(250.0, 620.0)
        self._people = Wander(random, spread=0.12, memory_s=1500)
        self._co2_ppm = 425.0 + random.uniform(0.0, 60.0)
        self._humid = Wander(random, spread=1.6, memory_s=4000)
        self._battery = Battery(random)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        outside_c, outside_rh = self._outdoors.step(at_ms, dt_s)
        load = rhythm.office_load(at_ms)
        cooled = self._cooled and load > 0.3
        target_c = min(outside_c + 1.0, self._set_c) if cooled else outside_c + 1.0 + 0.8 * load
        inside_c = target_c if self._inside_c is None else self._inside_c
        inside_c += (target_c - inside_c) * -math.expm1(-dt_s / ROOM_LAG_S)
        self._inside_c = inside_c
        crowd = max(0.0, load * (1.0 + self._people.step(dt_s)))
        fresh_ppm = 424.0 + self._people_ppm * crowd
        self._co2_ppm += (fresh_ppm - self._co2_ppm) * -math.expm1(-dt_s / AIR_CHANGE_S)
        humidity = outside_rh - 1.4 * (inside_c - outside_c) - (9.0 if cooled else 0.0)
        return {
            "temperature_c": inside_c + self._random.gauss(0, 0.06),
            "humidity_pct": min(99.5, max(17.0, humidity + self._humid.step(dt_s))),
            "co2_ppm": max(405.0, self._co2_ppm + self._random.gauss(0, 6.0)),
            "battery_v": self._battery.step(dt_s),
        }


class AirQuality:
    """The air of a street: fine dust with traffic, cooking and burning, temperature, humidity."""

    def __init__(self, random: Random, device: Device, site: Site) -> None:
        self._random = random
        self._outdoors = Outdoors(random, site)
        self._north = min(1.0, max(0.25, (latitude(site) - 15.0) / (DEEP_NORTH_LAT - 15.0)))
        self._base = random.lognormvariate(math.log(13.0), 0.25)
        self._drift = Wander(random, spread=0.35, memory_s=9 * 3600)
        self._gusts = Wander(random, spread=0.12, memory_s=600)
        self._coarse = random.uniform(1.35, 1.8)
        self._fires = Bursts(random, lasts_s=2400)
        self._smoke = 0.0

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        temperature, humidity = self._outdoors.step(at_ms, dt_s)
        burning = rhythm.burning_season(at_ms) * self._north
        fire = self._fires.step(dt_s, per_s=(0.15 + burning) / 86_400)
        self._smoke += ((0.8 if fire else 0.0) - self._smoke) * -math.expm1(-dt_s / 1200)
        daily = 0.75 + 0.55 * rhythm.evening_load(at_ms) + 0.25 * rhythm.office_load(at_ms)
        washed = 1.0 - 0.45 * rhythm.rainy_season(at_ms)
        wander = math.exp(self._drift.step(dt_s) + self._gusts.step(dt_s) + self._smoke)
        fine = (self._base * washed + 85.0 * burning) * daily * wander
        fine = min(480.0, max(1.5, fine * self._random.gauss(1.0, 0.03)))
        return {
            "pm2_5_ugm3": fine,
            "pm10_ugm3": min(780.0, fine * self._coarse * self._random.gauss(1.0, 0.02) + 2.0),
            "temperature_c": temperature + self._random.gauss(0, 0.08),
            "humidity_pct": min(99.5, max(17.0, humidity + self._random.gauss(0, 0.5))),
        }


class Battery:
    """A lithium cell of a field sensor, V: it falls over months, its readings flicker."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._v = random.uniform(3.25, 3.62)

    def step(self, dt_s: float) -> float:
        """Its voltage `dt_s` seconds later."""
        self._v = max(3.0, self._v - 2e-9 * dt_s)
        return self._v + self._random.gauss(0, 0.008)

"""Rooms and streets: `environment` and `air-quality` devices."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device
from simulators.world import rhythm
from simulators.world.chance import Bursts, Wander, flicker
from simulators.world.climate import Outdoors, latitude
from simulators.world.effects import Place

DEEP_NORTH_LAT = 18.5
ROOM_LAG_S = 2.5 * 3600
AIR_CHANGE_S = 3600.0
# Denser dust hides itself from an optical sensor, whose noise goes on.
SATURATED_UGM3, SATURATED_COARSE_UGM3 = 440.0, 740.0
WET_PCT = 85.0  # above, water on the dust makes an optical sensor read too much


class Environment:
    """A room: temperature, humidity, CO2 of the people in it, and the sensor's battery.

    Effects: `crowded` (times as many people), `stuffy` (share of the air change that is lost),
    `co2-baseline` (ppm that the sensor reads too much), `sun-on-case` (degrees at noon),
    `battery-low` (V that the cell is too low), `mains-off` (no air conditioning).
    """

    def __init__(self, random: Random, device: Device, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._outdoors = Outdoors(random, place.site, place.sky)
        self._cooled = random.random() < 0.45
        self._set_c = random.uniform(24.0, 26.5)
        self._inside_c: float | None = None
        self._people_ppm = random.uniform(250.0, 620.0)
        self._people = Wander(random, spread=0.12, memory_s=1500)
        self._co2_ppm = 425.0 + random.uniform(0.0, 60.0)
        self._humid = Wander(random, spread=1.6, memory_s=4000)
        self._battery = Battery(random)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        outside_c, outside_rh = self._outdoors.step(at_ms, dt_s)
        load = rhythm.office_load(at_ms)
        cooled = self._cooled and load > 0.3 and "mains-off" not in now
        target_c = min(outside_c + 1.0, self._set_c) if cooled else outside_c + 1.0 + 0.8 * load
        inside_c = target_c if self._inside_c is None else self._inside_c
        inside_c += (target_c - inside_c) * -math.expm1(-dt_s / ROOM_LAG_S)
        self._inside_c = inside_c
        sun_c = now.get("sun-on-case", 0.0) * rhythm.daylight(at_ms) ** 2
        humidity = outside_rh - 1.4 * (inside_c - outside_c) - (9.0 if cooled else 0.0)
        humidity += self._humid.step(dt_s) - 2.2 * sun_c
        co2_ppm = self._breathe(load, dt_s, now.get("crowded", 1.0), now.get("stuffy", 0.0))
        co2_ppm = max(405.0, co2_ppm + flicker(self._random, 6.0))
        return {
            "temperature_c": inside_c + sun_c + flicker(self._random, 0.06),
            "humidity_pct": min(99.5, max(8.0, humidity)),
            "co2_ppm": max(300.0, co2_ppm + now.get("co2-baseline", 0.0)),
            "battery_v": self._battery.step(dt_s, now.get("battery-low", 0.0)),
        }

    def _breathe(self, load: float, dt_s: float, crowded: float, stuffy: float) -> float:
        """CO2 in the room: people add to it, and the air change takes it towards the street's."""
        crowd = max(0.0, load * crowded * (1.0 + self._people.step(dt_s)))
        kept = 1.0 - stuffy
        fresh_ppm = 424.0 + self._people_ppm * crowd / kept
        self._co2_ppm += (fresh_ppm - self._co2_ppm) * -math.expm1(-dt_s * kept / AIR_CHANGE_S)
        return self._co2_ppm


class AirQuality:
    """The air of a street: fine dust with traffic, cooking and burning, temperature, humidity.

    Effects: `smoke` (logarithm of the factor by which there is more dust), `fan-stall` (the
    sensor draws no air), `pm-inverted` (share of the fine dust that it calls coarse),
    `sun-on-case` (degrees at noon).
    """

    def __init__(self, random: Random, device: Device, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._sky = place.sky
        self._outdoors = Outdoors(random, place.site, place.sky)
        self._north = min(1.0, max(0.25, (latitude(place.site) - 15.0) / (DEEP_NORTH_LAT - 15.0)))
        self._base = random.lognormvariate(math.log(13.0), 0.25)
        self._gusts = Wander(random, spread=0.12, memory_s=600)
        self._coarse = random.uniform(1.35, 1.8)
        self._fires = Bursts(random, lasts_s=2400)
        self._smoke = 0.0
        self._washed = 0.0
        self._stalled_ugm3 = random.uniform(0.6, 2.4)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        temperature, humidity = self._outdoors.step(at_ms, dt_s)
        fine = self._dust(at_ms, dt_s, now.get("smoke", 0.0))
        if humidity > WET_PCT:
            fine *= 1.0 + 0.8 * ((humidity - WET_PCT) / (100.0 - WET_PCT)) ** 1.5
        fine = max(1.5, min(fine, SATURATED_UGM3) * self._random.gauss(1.0, 0.03))
        coarse = (
            min(SATURATED_COARSE_UGM3, fine * self._coarse) * self._random.gauss(1.0, 0.02) + 2.0
        )
        if "fan-stall" in now:
            fine = self._stalled_ugm3 + abs(flicker(self._random, 0.12))
            coarse = fine * 1.3
        if "pm-inverted" in now:
            coarse = fine * now["pm-inverted"]
        sun_c = now.get("sun-on-case", 0.0) * rhythm.daylight(at_ms) ** 2
        return {
            "pm2_5_ugm3": fine,
            "pm10_ugm3": coarse,
            "temperature_c": temperature + sun_c + flicker(self._random, 0.08),
            "humidity_pct": min(
                99.5, max(8.0, humidity - 2.2 * sun_c + flicker(self._random, 0.5))
            ),
        }

    def _dust(self, at_ms: int, dt_s: float, smoke: float) -> float:
        """Fine dust, ug/m3: what the day brings, haze that neighbours share, fires and rain."""
        burning = rhythm.burning_season(at_ms) * self._north
        fire = self._fires.step(dt_s, per_s=(0.15 + burning) / 86_400)
        aim = smoke + (0.8 if fire else 0.0)
        self._smoke += (aim - self._smoke) * -math.expm1(-dt_s / 1800)
        self._washed += (self._outdoors.rain - self._washed) * -math.expm1(-dt_s / 3600)
        daily = 0.75 + 0.55 * rhythm.evening_load(at_ms) + 0.25 * rhythm.office_load(at_ms)
        season = 1.0 - 0.45 * rhythm.rainy_season(at_ms)
        wander = self._sky.haze(at_ms) + self._gusts.step(dt_s) + self._smoke - self._washed
        return (self._base * season + 85.0 * burning) * daily * math.exp(wander)


class Battery:
    """A lithium cell of a field sensor, V: it falls over months, its readings flicker."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._v = random.uniform(3.25, 3.62)

    def step(self, dt_s: float, low_v: float = 0.0) -> float:
        """Its voltage `dt_s` seconds later; low_v: how much the cell has lost beyond its age."""
        self._v = max(3.0, self._v - 2e-9 * dt_s)
        return max(0.0, self._v - low_v) + flicker(self._random, 0.008 * (1.0 + 3.0 * low_v))

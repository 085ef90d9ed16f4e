"""Tanks, rivers and treated water: `water-level` and `water-quality` devices."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device, Site
from simulators.world import rhythm
from simulators.world.air import Battery
from simulators.world.chance import Bursts, Wander
from simulators.world.climate import Outdoors

STEP_S = 60.0  # the pump is looked at once a minute, however rarely the device reports
BAR_PER_M = 0.0981


def water_level(random: Random, device: Device, site: Site) -> Tank | River:
    """A tank where the device knows its height, else a river."""
    if "height_m" in device.params:
        return Tank(random, float(device.params["height_m"]))
    return River(random)


class River:
    """A gauge on a river: slow in the dry season, higher and quicker in the rains."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._low_m = random.uniform(1.2, 3.0)
        self._rise_m = random.uniform(3.0, 7.0)
        self._flood = Wander(random, spread=0.25, memory_s=3 * 86_400)
        self._battery = Battery(random)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        rain = rhythm.rainy_season(at_ms)
        stage = self._low_m + self._rise_m * rain * math.exp(self._flood.step(dt_s))
        waves = self._random.gauss(0, 0.004 + 0.01 * rain)
        return {"level_m": min(24.0, stage) + waves, "battery_v": self._battery.step(dt_s)}


class Tank:
    """A tank that a town empties and a pump fills: a saw-tooth with the town's rhythm."""

    def __init__(self, random: Random, height_m: float) -> None:
        self._random = random
        self._low_m = height_m * random.uniform(0.38, 0.46)
        self._high_m = height_m * random.uniform(0.8, 0.88)
        self._level_m = random.uniform(self._low_m, self._high_m)
        self._pumping = random.random() < 0.3
        span_m = self._high_m - self._low_m
        self._draw_m_s = span_m / (random.uniform(5.0, 8.0) * 3600)
        self._fill_m_s = span_m / (random.uniform(1.4, 2.2) * 3600) + self._draw_m_s
        self._area_m2 = random.uniform(18.0, 90.0)
        self._demand = Wander(random, spread=0.12, memory_s=1800)
        self._base_bar = random.uniform(2.6, 3.6)
        self._battery = Battery(random)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        draw_m_s = self._step(at_ms, dt_s)
        ripple = 0.0025 if self._pumping else 0.0012
        pump_bar = 0.45 if self._pumping else 0.0
        pressure = self._base_bar + self._level_m * BAR_PER_M + pump_bar
        return {
            "level_m": self._level_m + self._random.gauss(0, ripple),
            "flow_m3h": draw_m_s * self._area_m2 * 3600 * self._random.gauss(1.0, 0.015),
            "pressure_bar": pressure + self._random.gauss(0, 0.02),
            "pump_on": self._pumping,
            "battery_v": self._battery.step(dt_s),
        }

    def _step(self, at_ms: int, dt_s: float) -> float:
        """Let the tank run for dt_s seconds; the draw at the end, m/s."""
        left_s = dt_s
        demand = max(0.05, 1.0 + self._demand.step(dt_s))
        while left_s > 0:
            step_s = min(left_s, STEP_S)
            left_s -= step_s
            draw = self._draw_m_s * 1.7 * demand * rhythm.water_demand(at_ms - int(left_s * 1000))
            self._level_m += step_s * ((self._fill_m_s if self._pumping else 0.0) - draw)
            if self._level_m <= self._low_m:
                self._pumping = True
            elif self._level_m >= self._high_m:
                self._pumping = False
        return self._draw_m_s * 1.7 * demand * rhythm.water_demand(at_ms)


class WaterQuality:
    """Water that leaves a plant: turbidity, pH, free chlorine, conductivity, temperature."""

    def __init__(self, random: Random, device: Device, site: Site) -> None:
        self._random = random
        self._outdoors = Outdoors(random, site)
        self._turbid = Wander(random, spread=0.22, memory_s=5 * 3600)
        self._base_ntu = random.uniform(0.3, 0.9)
        self._rain = Bursts(random, lasts_s=3 * 3600)
        self._mud = 0.0
        self._ph = random.uniform(7.0, 7.5)
        self._ph_wander = Wander(random, spread=0.06, memory_s=6 * 3600)
        self._chlorine = random.uniform(0.48, 0.7)
        self._dose = Wander(random, spread=0.04, memory_s=2 * 3600)
        self._salts = random.uniform(160.0, 380.0)
        self._salts_wander = Wander(random, spread=6.0, memory_s=12 * 3600)
        self._water_c: float | None = None

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        air_c, _ = self._outdoors.step(at_ms, dt_s)
        water_c = air_c - 0.8 if self._water_c is None else self._water_c
        water_c += (air_c - 0.8 - water_c) * -math.expm1(-dt_s / (9 * 3600))
        self._water_c = water_c
        raining = self._rain.step(dt_s, per_s=rhythm.rainy_season(at_ms) * 1.2 / 86_400)
        self._mud += ((0.7 if raining else 0.0) - self._mud) * -math.expm1(-dt_s / 3600)
        ntu = self._base_ntu * math.exp(self._turbid.step(dt_s) + self._mud)
        salts = self._salts + self._salts_wander.step(dt_s) - 25.0 * self._mud
        chlorine = self._chlorine + self._dose.step(dt_s) - 0.06 * rhythm.water_demand(at_ms)
        return {
            "turbidity_ntu": min(4.5, ntu * self._random.gauss(1.0, 0.03)),
            "ph": self._ph + self._ph_wander.step(dt_s) + self._random.gauss(0, 0.012),
            "chlorine_mgl": max(0.26, chlorine + self._random.gauss(0, 0.008)),
            "conductivity_uscm": salts + self._random.gauss(0, 1.5),
            "temperature_c": min(34.0, max(16.0, water_c)) + self._random.gauss(0, 0.03),
        }

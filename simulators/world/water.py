"""Tanks and rivers: `water-level` devices."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device
from simulators.world import rhythm
from simulators.world.air import Battery
from simulators.world.chance import Wander, flicker
from simulators.world.effects import Now, Place

STEP_S = 60.0  # the pump is looked at once a minute, however rarely the device reports
BAR_PER_M = 0.0981
DAY_USERS = ("office", "school")  # nobody draws water there at night
EMPTY_M = 0.03
RISES_S = 4 * 3600.0
RUNS_OFF_S = 20 * 3600.0


def water_level(random: Random, device: Device, place: Place) -> Tank | River:
    """A tank where the device knows its height, else a river."""
    if "height_m" in device.params:
        return Tank(random, device, place)
    return River(random, place)


class River:
    """A gauge on a river: slow in the dry season, higher and quicker in the rains.

    Effects: `flood` (m that the river rises), `battery-low` (V that the cell is too low).
    """

    def __init__(self, random: Random, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._sky = place.sky
        self._low_m = random.uniform(1.2, 3.0)
        self._rise_m = random.uniform(3.0, 7.0)
        self._wander = Wander(random, spread=0.25, memory_s=3 * 86_400)
        self._rained_m = 0.0
        self._flood_m = 0.0
        self._battery = Battery(random)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        rain = rhythm.rainy_season(at_ms)
        self._rained_m += 0.25 * self._sky.rain(at_ms) * dt_s / 3600
        self._rained_m *= math.exp(-dt_s / RUNS_OFF_S)
        aim_m = now.get("flood", 0.0)
        lag_s = RISES_S if aim_m > self._flood_m else RUNS_OFF_S
        self._flood_m += (aim_m - self._flood_m) * -math.expm1(-dt_s / lag_s)
        stage = self._low_m + self._rise_m * rain * math.exp(self._wander.step(dt_s))
        stage = min(28.0, stage + self._rained_m + self._flood_m)
        waves = flicker(self._random, 0.004 + 0.01 * rain)
        battery_v = self._battery.step(dt_s, now.get("battery-low", 0.0))
        return {"level_m": stage + waves, "battery_v": battery_v}


class Tank:
    """A tank that people empty and a pump fills: a saw-tooth with the people's rhythm.

    Effects: `mains-off` and `pump-dead` (the pump does not run), `pump-dry` (it runs and moves
    nothing), `float-stuck` (it does not stop), `leak` (that a broken pipe takes, as a
    share of the usual draw), `burst`
    (bar that are lost behind the outlet), `cleaning` (the tank is drained to a quarter and kept
    there), `battery-low` (V that the cell is too low).
    """

    def __init__(self, random: Random, device: Device, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._height_m = height_m = float(device.params["height_m"])
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
        self._by_day = place.site.site_class in DAY_USERS

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        draw_m_s = self._step(at_ms, dt_s, now)
        ripple = 0.0025 if self._pumping else 0.0012
        level_m = self._level_m + flicker(self._random, ripple)
        flow_m3h = draw_m_s * self._area_m2 * 3600 * self._random.gauss(1.0, 0.015)
        return {
            "level_m": min(self._height_m, max(0.0, level_m)),
            "flow_m3h": max(0.0, flow_m3h),
            "pressure_bar": max(0.0, self._pressure(now) + flicker(self._random, 0.02)),
            "pump_on": self._pumping,
            "battery_v": self._battery.step(dt_s, now.get("battery-low", 0.0)),
        }

    def _pressure(self, now: Now) -> float:
        """What the booster and the water column give; nothing from an empty tank."""
        if self._level_m <= EMPTY_M:
            return 0.1
        pump_bar = 0.45 if self._pumping and "pump-dry" not in now else 0.0
        return self._base_bar + self._level_m * BAR_PER_M + pump_bar - now.get("burst", 0.0)

    def _wanted(self, at_ms: int) -> float:
        """How much the users ask for, 0 to 1."""
        if self._by_day:
            return max(0.0, rhythm.office_load(at_ms) - 0.08) * 0.6
        return rhythm.water_demand(at_ms)

    def _step(self, at_ms: int, dt_s: float, now: Now) -> float:
        """Let the tank run for dt_s seconds; the draw at the end, m/s."""
        left_s, draw = dt_s, 0.0
        demand = max(0.05, 1.0 + self._demand.step(dt_s))
        leak_m_s = now.get("leak", 0.0) * self._draw_m_s
        draw_m_s = self._draw_m_s * 1.7 * demand * (1.0 + 0.3 * now.get("burst", 0.0))
        fill_m_s = 0.0 if "pump-dry" in now else self._fill_m_s
        while True:
            step_s = min(left_s, STEP_S)
            left_s -= step_s
            draw = draw_m_s * self._wanted(at_ms - int(left_s * 1000)) + leak_m_s
            if self._level_m <= EMPTY_M:
                draw = min(draw, fill_m_s if self._pumping else 0.0)
            rise = (fill_m_s if self._pumping else 0.0) - self._taken(draw, now)
            self._level_m = min(self._height_m, max(0.0, self._level_m + step_s * rise))
            self._switch(now)
            if left_s <= 0:
                return draw

    def _taken(self, draw: float, now: Now) -> float:
        """How fast the tank empties, m/s; while it is cleaned its users are fed past it."""
        if "cleaning" not in now:
            return draw
        return draw + 2.0 * self._draw_m_s if self._level_m > 0.25 * self._height_m else 0.0

    def _switch(self, now: Now) -> None:
        if "pump-dead" in now or "mains-off" in now or "cleaning" in now:
            self._pumping = False
        elif self._level_m <= self._low_m:
            self._pumping = True
        elif self._level_m >= self._high_m and "float-stuck" not in now:
            self._pumping = False

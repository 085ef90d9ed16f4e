"""Water that leaves a plant: `water-quality` devices."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device
from simulators.world import rhythm
from simulators.world.chance import Wander, flicker
from simulators.world.climate import Outdoors
from simulators.world.effects import Now, Place

MUD_RISES_S = 3600.0
MUD_SETTLES_S = 4 * 3600.0
DOSE_LAG_S = 2400.0


class WaterQuality:
    """Turbidity, pH, free chlorine, conductivity and temperature of the water.

    Storms bring a little mud by themselves. Effects: `mud` (NTU that come with a flood; less salt,
    more chlorine used up), `chlorine-off` (share of the dose that is lost), `overdose` (mg/L too
    much), `ph-shift` (pH that the treatment is off), `fouling` (share by which a dirty window
    reads too much turbidity), `ph-to-7` (share of the way to pH 7 that the electrode has gone),
    `in-air` (the probes hang dry).
    """

    def __init__(self, random: Random, device: Device, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._outdoors = Outdoors(random, place.site, place.sky)
        self._turbid = Wander(random, spread=0.22, memory_s=5 * 3600)
        self._base_ntu = random.uniform(0.3, 0.9)
        self._mud = 0.0
        self._flood_ntu = 0.0
        self._ph = random.uniform(7.0, 7.5)
        self._ph_wander = Wander(random, spread=0.06, memory_s=6 * 3600)
        self._ph_off = 0.0
        self._chlorine = random.uniform(0.48, 0.7)
        self._dose = Wander(random, spread=0.04, memory_s=2 * 3600)
        self._dose_off = 0.0
        self._salts = random.uniform(160.0, 380.0)
        self._salts_wander = Wander(random, spread=6.0, memory_s=12 * 3600)
        self._water_c: float | None = None

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        water_c = self._warm(at_ms, dt_s)
        self._muddy(dt_s, now)
        ntu = self._base_ntu * math.exp(self._turbid.step(dt_s) + 2.0 * self._mud)
        ntu = (min(4.5, ntu) + self._flood_ntu) * (1.0 + now.get("fouling", 0.0))
        salts = self._salts + self._salts_wander.step(dt_s) - 25.0 * self._mud
        salts *= 1.0 - 0.3 * math.tanh(self._flood_ntu / 20.0)
        values: dict[str, float | int | bool | None] = {
            "turbidity_ntu": max(0.02, ntu * self._random.gauss(1.0, 0.03)),
            "ph": self._acidity(dt_s, now),
            "chlorine_mgl": self._chlorinate(at_ms, dt_s, now),
            "conductivity_uscm": salts + flicker(self._random, 1.5),
            "temperature_c": min(34.0, max(16.0, water_c)) + flicker(self._random, 0.03),
        }
        if "in-air" in now:
            values["conductivity_uscm"] = abs(flicker(self._random, 1.0))
            values["turbidity_ntu"] = abs(flicker(self._random, 0.02))
        return values

    def _warm(self, at_ms: int, dt_s: float) -> float:
        air_c, _ = self._outdoors.step(at_ms, dt_s)
        water_c = air_c - 0.8 if self._water_c is None else self._water_c
        self._water_c = water_c + (air_c - 0.8 - water_c) * -math.expm1(-dt_s / (9 * 3600))
        return self._water_c

    def _muddy(self, dt_s: float, now: Now) -> None:
        rain, flood_ntu = self._outdoors.rain, now.get("mud", 0.0)
        lag_s = MUD_RISES_S if rain > self._mud else MUD_SETTLES_S
        self._mud += (rain - self._mud) * -math.expm1(-dt_s / lag_s)
        lag_s = MUD_RISES_S if flood_ntu > self._flood_ntu else MUD_SETTLES_S
        self._flood_ntu += (flood_ntu - self._flood_ntu) * -math.expm1(-dt_s / lag_s)

    def _acidity(self, dt_s: float, now: Now) -> float:
        self._ph_off += (now.get("ph-shift", 0.0) - self._ph_off) * -math.expm1(-dt_s / DOSE_LAG_S)
        ph = self._ph + self._ph_wander.step(dt_s) + self._ph_off + flicker(self._random, 0.012)
        return ph + (7.0 - ph) * now.get("ph-to-7", 0.0)

    def _chlorinate(self, at_ms: int, dt_s: float, now: Now) -> float:
        aim = now.get("chlorine-off", 0.0)
        self._dose_off += (aim - self._dose_off) * -math.expm1(-dt_s / DOSE_LAG_S)
        used = 0.06 * rhythm.water_demand(at_ms) + 0.012 * min(20.0, self._flood_ntu)
        dose = max(0.28 + used, self._chlorine + self._dose.step(dt_s))
        left = dose * (1.0 - self._dose_off) - used + now.get("overdose", 0.0)
        return max(0.0, left + flicker(self._random, 0.008))

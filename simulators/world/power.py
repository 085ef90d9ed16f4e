"""Electricity: the mains at a site, `power` meters and `solar` banks."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device, Site
from simulators.world import rhythm
from simulators.world.chance import Bursts, Wander

LOWEST_V = 208.0  # the dips of a healthy feeder stay inside the statutory 230 V - 10 %
FULL_AH_V = (11.95, 12.85)  # resting voltage of an empty and a full 12 V lead-acid bank


class Mains:
    """The voltage of a feeder: evening sag, slow wander, short dips. V."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._base_v = random.gauss(230.0, 2.2)
        self._sag_v = random.uniform(4.0, 11.0)
        self._wander = Wander(random, spread=1.3, memory_s=900)
        self._dips = Bursts(random, lasts_s=20)

    def step(self, at_ms: int, dt_s: float) -> float:
        """The voltage `dt_s` seconds later."""
        sag = self._sag_v * rhythm.evening_load(at_ms)
        dip = self._random.uniform(3, 9) if self._dips.step(dt_s, per_s=1 / 9000) else 0.0
        volts = self._base_v - sag - dip + self._wander.step(dt_s) + self._random.gauss(0, 0.35)
        return min(249.0, max(LOWEST_V + self._random.random(), volts))


class Power:
    """A meter on a facility's supply: voltage, frequency, current and the energy counter."""

    def __init__(self, random: Random, device: Device, site: Site) -> None:
        self._random = random
        self._mains = Mains(random)
        self._hz = Wander(random, spread=0.022, memory_s=240)
        self._idle_a = random.uniform(1.5, 6.0)
        self._busy_a = random.uniform(8.0, 45.0)
        self._usage = Wander(random, spread=0.11, memory_s=1200)
        self._day_and_night = 0.55 if site.site_class in ("hospital", "water-plant") else 0.0
        self._kwh = random.uniform(4_000.0, 90_000.0)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        volts = self._mains.step(at_ms, dt_s)
        load = max(self._day_and_night, rhythm.office_load(at_ms))
        usage = max(0.2, 1.0 + self._usage.step(dt_s))
        amps = (self._idle_a + self._busy_a * load * usage) * self._random.gauss(1.0, 0.02)
        self._kwh += volts * amps * 0.93 * dt_s / 3.6e6
        return {
            "mains_v": volts,
            "frequency_hz": 50.0 + self._hz.step(dt_s) + self._random.gauss(0, 0.006),
            "current_a": max(0.05, amps),
            "energy_kwh": self._kwh,
            "mains_on": True,
        }


class Solar:
    """A panel, a lead-acid bank and the load of a remote site, through day and night."""

    def __init__(self, random: Random, device: Device, site: Site) -> None:
        self._random = random
        self._scale = float(device.params.get("bank_v", 12)) / 12.0
        self._panel_w = random.uniform(260.0, 420.0) * self._scale
        self._load_w = random.uniform(18.0, 34.0) * self._scale
        self._bank_wh = random.uniform(1500.0, 2200.0) * self._scale
        self._charge = random.uniform(0.75, 0.95)
        self._clouds = Wander(random, spread=0.7, memory_s=1500)
        self._usage = Wander(random, spread=0.1, memory_s=700)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        sun = rhythm.daylight(at_ms)
        cloudy = 0.5 * rhythm.rainy_season(at_ms)
        clear = 1.0 / (1.0 + math.exp(-2.2 + 2.0 * cloudy - self._clouds.step(dt_s)))
        offered_w = self._panel_w * sun * clear
        load_w = self._load_w * (1.0 + 0.35 * rhythm.evening_load(at_ms) + self._usage.step(dt_s))
        load_w = max(3.0, load_w + self._random.gauss(0, 0.3))
        # A regulator takes what the bank still accepts: little once it is full.
        pv_w = min(offered_w, load_w + self._bank_wh * 0.25 * (1.02 - self._charge))
        self._charge += (pv_w - load_w) * dt_s / 3600 / self._bank_wh
        self._charge = min(1.0, max(0.25, self._charge))
        empty_v, full_v = FULL_AH_V
        rest_v = empty_v + (full_v - empty_v) * self._charge
        lift_v = 1.25 * min(1.0, max(0.0, pv_w - load_w) / (0.12 * self._bank_wh))
        drop_v = 0.18 if pv_w < load_w else 0.0
        bank_v = rest_v + lift_v - drop_v + self._random.gauss(0, 0.012)
        panel_v = (17.2 + 1.6 * sun + self._random.gauss(0, 0.12)) if sun > 0.02 else 0.0
        return {
            "battery_v": min(14.5, bank_v) * self._scale,
            "pv_v": panel_v * self._scale,
            "pv_w": pv_w * max(0.0, self._random.gauss(1.0, 0.01)),
            "load_w": load_w,
        }

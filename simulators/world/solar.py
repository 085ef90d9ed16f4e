"""Remote power: `solar` devices, a panel, a lead-acid bank and a load through day and night."""

from __future__ import annotations

import math
from random import Random

from devices.registry import Device
from simulators.world import rhythm
from simulators.world.chance import Wander, flicker
from simulators.world.effects import Place

REST_V = (11.3, 12.85)  # resting voltage of an empty and a full 12 V lead-acid bank
CUT_V, AGAIN_V = 11.45, 12.3  # a regulator disconnects the load below, connects it again above
ABSORB_V, FLOAT_V = 14.4, 13.6
ACCEPTS_PER_H = 0.25  # share of its capacity that an empty bank takes in an hour


class Solar:
    """A panel, a bank and the load of a remote site.

    Effects: `panel-dead` (share of the panel's power that is lost), `bank-aged` (share of the
    bank's capacity that is lost), `overcharge` (V that the regulator lets the bank rise too far),
    `mains-off` (share by which the load grows when the bank carries the site alone).
    """

    def __init__(self, random: Random, device: Device, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._sky = place.sky
        self._scale = float(device.params.get("bank_v", 12)) / 12.0
        self._panel_w = random.uniform(320.0, 460.0) * self._scale
        self._load_w = random.uniform(16.0, 28.0) * self._scale
        self._bank_wh = random.uniform(1600.0, 2400.0) * self._scale
        self._charge = random.uniform(0.75, 0.95)
        self._clouds = Wander(random, spread=0.4, memory_s=900)
        self._usage = Wander(random, spread=0.1, memory_s=700)
        self._connected = True

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        sun = rhythm.daylight(at_ms)
        alive = 1.0 - now.get("panel-dead", 0.0)
        bank_wh = self._bank_wh * (1.0 - now.get("bank-aged", 0.0))
        offered_w = self._panel_w * sun * self._clear(at_ms, dt_s) * alive
        load_w = self._load(at_ms, dt_s, now.get("mains-off", 0.0))
        # A regulator takes what the bank still accepts: little once it is full.
        pv_w = min(offered_w, load_w + bank_wh * ACCEPTS_PER_H * (1.02 - self._charge))
        self._charge += (pv_w - load_w) * dt_s / 3600 / bank_wh
        self._charge = min(1.0, max(0.0, self._charge))
        bank_v = self._bank_volts(pv_w, load_w, bank_wh) + now.get("overcharge", 0.0) * sun
        self._switch(bank_v)
        panel_v = (17.2 + 1.6 * sun + flicker(self._random, 0.12)) if sun > 0.02 else 0.0
        return {
            "battery_v": bank_v * self._scale,
            "pv_v": panel_v * self._scale * (1.0 if alive > 0.05 else 0.04),
            "pv_w": pv_w * max(0.0, self._random.gauss(1.0, 0.01)),
            "load_w": load_w,
        }

    def _clear(self, at_ms: int, dt_s: float) -> float:
        """Share of the sun that clouds and rain let through."""
        overcast = 0.8 * rhythm.rainy_season(at_ms) + self._sky.cloud(at_ms)
        clear = 1.0 / (1.0 + math.exp(-2.4 + overcast - self._clouds.step(dt_s)))
        return clear * (1.0 - 0.75 * self._sky.rain(at_ms))

    def _load(self, at_ms: int, dt_s: float, more: float) -> float:
        usage = 1.0 + 0.35 * rhythm.evening_load(at_ms) + self._usage.step(dt_s) + more
        load_w = max(3.0, self._load_w * usage + flicker(self._random, 0.3))
        return load_w if self._connected else 0.0

    def _bank_volts(self, pv_w: float, load_w: float, bank_wh: float) -> float:
        empty_v, full_v = REST_V
        rest_v = empty_v + (full_v - empty_v) * math.pow(self._charge, 0.7)
        noise = flicker(self._random, 0.012)
        if pv_w < load_w:  # an aged bank gives way under its load
            return rest_v - 0.18 * self._bank_wh / bank_wh * (1.0 - pv_w / load_w) + noise
        # Charging lifts it towards the regulator's mark: absorption, then float once it is full.
        mark_v = ABSORB_V - (ABSORB_V - FLOAT_V) * min(1.0, max(0.0, self._charge - 0.95) / 0.04)
        share = (pv_w - load_w) / (bank_wh * ACCEPTS_PER_H * (1.02 - self._charge))
        return rest_v + (mark_v - rest_v) * min(1.0, share) + noise

    def _switch(self, bank_v: float) -> None:
        if bank_v < CUT_V:
            self._connected = False
        elif bank_v > AGAIN_V:
            self._connected = True

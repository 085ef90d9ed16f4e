"""The weather outside a site: air temperature and humidity by place, season and hour."""

from __future__ import annotations

from random import Random

from devices.geography import DISTRICTS
from devices.registry import Site
from simulators.world import rhythm
from simulators.world.chance import Wander

SOUTH_LAT = 14.0  # degrees; the north of the country is cooler by about 0.55 degrees per degree


def latitude(site: Site) -> float:
    """Latitude of a site in degrees, that of its district where its own is not known."""
    return DISTRICTS[site.province, site.district].lat if site.lat is None else site.lat


class Outdoors:
    """Air outside one site: Cel and %RH, stepped in event time."""

    def __init__(self, random: Random, site: Site) -> None:
        self._mean_c = 27.6 - 0.55 * (latitude(site) - SOUTH_LAT) + random.gauss(0, 0.5)
        self._weather_c = Wander(random, spread=1.4, memory_s=40 * 3600)
        self._swing_c = 4.6 + random.uniform(-0.8, 0.8)

    def step(self, at_ms: int, dt_s: float) -> tuple[float, float]:
        """Temperature and humidity `dt_s` seconds later."""
        sun = _afternoon(at_ms)
        swing = self._swing_c * (1.0 - 0.4 * rhythm.rainy_season(at_ms))
        warmth = 3.4 * rhythm.season(at_ms, 110.0)  # the hot season ends in late April
        temperature = self._mean_c + warmth + swing * sun + self._weather_c.step(dt_s)
        dryness = 9.0 * rhythm.season(at_ms, 75.0)
        humidity = 76.0 - dryness - 17.0 * sun - 2.0 * self._weather_c.value
        return temperature, min(99.0, max(18.0, humidity))


def _afternoon(at_ms: int) -> float:
    """The day's warmth, -1 shortly before sunrise to 1 in the early afternoon."""
    hour = rhythm.local_hour(at_ms)
    if 6.0 <= hour < 14.5:
        return -1.0 + 2.0 * _ease((hour - 6.0) / 8.5)
    since = (hour - 14.5) % 24.0
    return 1.0 - 2.0 * _ease(since / 15.5)


def _ease(share: float) -> float:
    return share * share * (3.0 - 2.0 * share)

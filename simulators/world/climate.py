"""The weather: warm and cool spells, smoke and storms that neighbours share; air at a site."""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random
from typing import NamedTuple

from devices.geography import DISTRICTS, PROVINCES
from devices.registry import Site
from simulators.world import rhythm
from simulators.world.chance import SharedWander, Wander, stream

SOUTH_LAT = 14.0  # degrees; the north of the country is cooler by about 0.55 degrees per degree
KM_PER_DEGREE = 111.0
STORM_REACH_KM = 150.0  # a storm of a province dies before it is this far from its birthplace
COOLING_S = 1500.0  # how fast rain cools the air, and sun warms it again
RAIN_COOLS_C = 4.5


def latitude(site: Site) -> float:
    """Latitude of a site in degrees, that of its district where its own is not known."""
    return DISTRICTS[site.province, site.district].lat if site.lat is None else site.lat


def longitude(site: Site) -> float:
    """Longitude of a site in degrees, that of its district where its own is not known."""
    return DISTRICTS[site.province, site.district].lon if site.lon is None else site.lon


class Storm(NamedTuple):
    """A rain cell that is born, drifts and dies. Degrees, degrees an hour, km; strength 0 to 1."""

    start_ms: int
    end_ms: int
    lat: float
    lon: float
    north_h: float
    east_h: float
    radius_km: float
    strength: float

    def rain(self, lat: float, lon: float, at_ms: int) -> float:
        """How hard it rains at a place, 0 to 1."""
        if not self.start_ms <= at_ms < self.end_ms:
            return 0.0
        hours = (at_ms - self.start_ms) / 3_600_000
        north = lat - self.lat - self.north_h * hours
        east = (lon - self.lon - self.east_h * hours) * math.cos(math.radians(lat))
        off = KM_PER_DEGREE * math.hypot(north, east) / self.radius_km
        if off >= 1.0:
            return 0.0
        age = (at_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return self.strength * (1.0 - off * off) * math.sin(math.pi * age)


@lru_cache(maxsize=400)
def storms_of(seed: int, province: str, day: int) -> tuple[Storm, ...]:
    """The storms that are born over a province on a local day (counted from 1970)."""
    draw = stream(seed, "storms", province, str(day))
    midnight_ms = day * rhythm.DAY_MS - rhythm.LOCAL_OFFSET_MS
    rate = 0.06 + 3.0 * rhythm.rainy_season(midnight_ms)
    storms: list[Storm] = []
    left = draw.expovariate(1.0)
    while left < rate:
        storms.append(_storm(draw, province, midnight_ms))
        left += draw.expovariate(1.0)
    return tuple(storms)


def _storm(draw: Random, province: str, midnight_ms: int) -> Storm:
    hour = draw.triangular(11.0, 22.0, 16.0) if draw.random() < 0.7 else draw.uniform(0.0, 24.0)
    start_ms = midnight_ms + round(hour * 3_600_000)
    home = PROVINCES[province]
    bearing = draw.gauss(math.radians(45.0), 0.6)  # the monsoon comes from the south-west
    speed = draw.uniform(8.0, 32.0) / KM_PER_DEGREE
    return Storm(
        start_ms=start_ms,
        end_ms=start_ms + round(min(4.0, draw.lognormvariate(0.25, 0.5)) * 3_600_000),
        lat=home.lat + draw.gauss(0.0, 0.35),
        lon=home.lon + draw.gauss(0.0, 0.35),
        north_h=speed * math.cos(bearing),
        east_h=speed * math.sin(bearing),
        radius_km=draw.uniform(15.0, 45.0),
        strength=draw.uniform(0.3, 1.0),
    )


class Sky:
    """The weather over one place, a pure function of seed, place and time."""

    def __init__(self, seed: int, province: str, district: str, lat: float, lon: float) -> None:
        self._seed = seed
        self._lat, self._lon = lat, lon
        self._near = [
            code
            for code, home in PROVINCES.items()
            if KM_PER_DEGREE * math.hypot(lat - home.lat, lon - home.lon) < 2 * STORM_REACH_KM
        ]
        self._storms: dict[int, list[Storm]] = {}
        area = (province, district)
        self._spell_c = SharedWander(seed, "spell", province, spread=1.3, memory_s=40 * 3600)
        self._local_c = SharedWander(seed, "local", *area, spread=0.4, memory_s=5 * 3600)
        self._haze = SharedWander(seed, "haze", province, spread=0.32, memory_s=20 * 3600)
        self._street = SharedWander(seed, "street", *area, spread=0.2, memory_s=3 * 3600)
        self._cloud = SharedWander(seed, "cloud", *area, spread=0.8, memory_s=3600)

    def rain(self, at_ms: int) -> float:
        """How hard it rains, 0 (dry) to 1 (a cloudburst)."""
        day = (at_ms + rhythm.LOCAL_OFFSET_MS) // rhythm.DAY_MS
        storms = self._storms.get(day)
        if storms is None:
            if len(self._storms) > 3:
                self._storms.clear()
            storms = self._storms[day] = self._storms_in_reach(day)
        if not storms:
            return 0.0
        return max(storm.rain(self._lat, self._lon, at_ms) for storm in storms)

    def _storms_in_reach(self, day: int) -> list[Storm]:
        born = [s for d in (day - 1, day) for p in self._near for s in storms_of(self._seed, p, d)]
        return [storm for storm in born if self._in_reach(storm)]

    def _in_reach(self, storm: Storm) -> bool:
        off_km = KM_PER_DEGREE * math.hypot(self._lat - storm.lat, self._lon - storm.lon)
        return off_km < STORM_REACH_KM + storm.radius_km

    def spell_c(self, at_ms: int) -> float:
        """How much warmer than usual the days are, in degrees."""
        return self._spell_c.at(at_ms) + self._local_c.at(at_ms)

    def haze(self, at_ms: int) -> float:
        """How much more dust than usual hangs in the air, as the logarithm of a factor."""
        return self._haze.at(at_ms) + self._street.at(at_ms)

    def cloud(self, at_ms: int) -> float:
        """How overcast it is: 0 usual, above more cloud, in standard deviations."""
        return self._cloud.at(at_ms)


@lru_cache(maxsize=4096)
def _sky(seed: int, province: str, district: str, lat: float, lon: float) -> Sky:
    return Sky(seed, province, district, lat, lon)


def sky_over(seed: int, site: Site) -> Sky:
    """The weather over a site; sites of one place share it."""
    return _sky(seed, site.province, site.district, latitude(site), longitude(site))


class Outdoors:
    """Air outside one device: Cel, %RH and rain, stepped in event time."""

    def __init__(self, random: Random, site: Site, sky: Sky) -> None:
        self._sky = sky
        self._mean_c = 27.6 - 0.55 * (latitude(site) - SOUTH_LAT) + random.gauss(0, 0.3)
        self._own_c = Wander(random, spread=0.25, memory_s=2 * 3600)
        self._swing_c = 4.6 + random.uniform(-0.6, 0.6)
        self._wet = 0.0
        self.rain = 0.0

    def step(self, at_ms: int, dt_s: float) -> tuple[float, float]:
        """Temperature and humidity `dt_s` seconds later; `rain` is then that of this moment."""
        self.rain = self._sky.rain(at_ms)
        self._wet += (self.rain - self._wet) * -math.expm1(-dt_s / COOLING_S)
        sun = _afternoon(at_ms)
        swing = self._swing_c * (1.0 - 0.4 * rhythm.rainy_season(at_ms))
        warmth = 3.4 * rhythm.season(at_ms, 110.0)  # the hot season ends in late April
        spell = self._sky.spell_c(at_ms) + self._own_c.step(dt_s)
        day_c = self._mean_c + warmth + swing * sun + spell
        dryness = 9.0 * rhythm.season(at_ms, 75.0)
        humidity = 76.0 - dryness - 17.0 * sun - 2.0 * spell + 26.0 * self._wet
        return day_c - RAIN_COOLS_C * self._wet, min(99.0, max(18.0, humidity))


def _afternoon(at_ms: int) -> float:
    """The day's warmth, -1 shortly before sunrise to 1 in the early afternoon."""
    hour = rhythm.local_hour(at_ms)
    if 6.0 <= hour < 14.5:
        return -1.0 + 2.0 * _ease((hour - 6.0) / 8.5)
    since = (hour - 14.5) % 24.0
    return 1.0 - 2.0 * _ease(since / 15.5)


def _ease(share: float) -> float:
    return share * share * (3.0 - 2.0 * share)

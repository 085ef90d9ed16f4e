"""Electricity: the feeder that neighbours share, the mains at a site, `power` meters."""

from __future__ import annotations

from random import Random

from devices.registry import Device, Site
from simulators.world import rhythm
from simulators.world.chance import Bursts, SharedWander, Wander, flicker, stream
from simulators.world.effects import NOTHING_NOW, Now, Place

LOWEST_V = 208.0  # the dips of a healthy feeder stay inside the statutory 230 V - 10 %
HIGHEST_V = 249.0
GENSET_V = 229.0


class Feeder:
    """What the sites of one feeder have in common: its voltage, a pure function of time. V."""

    def __init__(self, seed: int, name: str) -> None:
        draw = stream(seed, "feeder", name)
        self._base_v = draw.gauss(230.0, 2.0)
        self._sag_v = draw.uniform(4.0, 11.0)
        self._wander = SharedWander(seed, "feeder", name, spread=1.3, memory_s=1800)

    @staticmethod
    def of(seed: int, site: Site) -> Feeder:
        """The feeder of a site; a site whose feeder is not known has one of its own."""
        return Feeder(seed, site.feeder or f"site {site.site}")

    def volts(self, at_ms: int) -> float:
        """Its voltage: lower in the evening, when the households draw."""
        sag = self._sag_v * rhythm.evening_load(at_ms)
        return self._base_v - sag + self._wander.at(at_ms)


class Mains:
    """The voltage at one socket of a site: its feeder's, a drop in the house, short dips. V.

    Effects: `mains-off` (no voltage), `sag` (V less), `surge` (V more, by a lost neutral),
    `genset` (share of a bad governor: a generator feeds the house).
    """

    def __init__(self, random: Random, feeder: Feeder | None = None) -> None:
        self._random = random
        self._feeder = Feeder(random.getrandbits(32), "alone") if feeder is None else feeder
        self._house_v = random.gauss(0.0, 1.0)
        self._uneven = Wander(random, spread=0.12, memory_s=300)
        self._dips = Bursts(random, lasts_s=20)

    def step(self, at_ms: int, dt_s: float, now: Now = NOTHING_NOW) -> float:
        """The voltage `dt_s` seconds later."""
        dip = self._random.uniform(3, 9) if self._dips.step(dt_s, per_s=1 / 9000) else 0.0
        uneven = min(1.4, max(0.6, 1.0 + self._uneven.step(dt_s)))
        noise = flicker(self._random, 0.35)
        if "mains-off" in now:
            return 0.0
        if "genset" in now:
            return GENSET_V + self._house_v + 14.0 * now["genset"] * (uneven - 1.0) + noise
        volts = self._feeder.volts(at_ms) + self._house_v - dip + noise
        volts = min(HIGHEST_V, max(LOWEST_V + self._random.random(), volts))
        if not now:
            return volts
        return min(299.0, max(0.0, volts + uneven * (now.get("surge", 0.0) - now.get("sag", 0.0))))


class Power:
    """A meter on a facility's supply: voltage, frequency, current and the energy counter.

    It runs on a battery of its own: in a power cut it reports 0 V, and no frequency. Effects: the
    mains'.
    """

    def __init__(self, random: Random, device: Device, place: Place) -> None:
        self._random = random
        self._effects = place.effects
        self._mains = Mains(random, Feeder.of(place.seed, place.site))
        self._grid_hz = SharedWander(place.seed, "grid", spread=0.022, memory_s=600)
        self._governor_hz = Wander(random, spread=1.0, memory_s=25)
        self._idle_a = random.uniform(1.5, 6.0)
        self._busy_a = random.uniform(8.0, 45.0)
        self._usage = Wander(random, spread=0.11, memory_s=1200)
        around_the_clock = place.site.site_class in ("hospital", "water-plant")
        self._day_and_night = 0.55 if around_the_clock else 0.0
        self._kwh = random.uniform(4_000.0, 90_000.0)

    def measure(self, at_ms: int, dt_s: float) -> dict[str, float | int | bool | None]:
        now = self._effects.at(at_ms)
        volts = self._mains.step(at_ms, dt_s, now)
        load = max(self._day_and_night, rhythm.office_load(at_ms))
        usage = max(0.2, 1.0 + self._usage.step(dt_s))
        amps = (self._idle_a + self._busy_a * load * usage) * self._random.gauss(1.0, 0.02)
        amps = 0.0 if volts == 0.0 else max(0.05, amps)
        self._kwh += volts * amps * 0.93 * dt_s / 3.6e6
        return {
            "mains_v": volts,
            "frequency_hz": None if volts == 0.0 else self._frequency(at_ms, dt_s, now),
            "current_a": amps,
            "energy_kwh": self._kwh,
            "mains_on": "mains-off" not in now,
        }

    def _frequency(self, at_ms: int, dt_s: float, now: Now) -> float:
        """The grid's, which the whole country shares, or that of a generator's governor."""
        governor = min(3.5, max(-3.5, self._governor_hz.step(dt_s)))
        if "genset" in now:
            return 50.1 + (0.1 + now["genset"]) * governor
        return 50.0 + self._grid_hz.at(at_ms) + flicker(self._random, 0.006)

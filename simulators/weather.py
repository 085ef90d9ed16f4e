"""Storms over sites: when it rains hard enough to be felt by dishes and power lines."""

from __future__ import annotations

from typing import NamedTuple

from devices.registry import Site
from simulators.world.climate import sky_over

STEP_MS = 4 * 60_000


class WetSpell(NamedTuple):
    """A time of rain over one site. peak: how hard it rains at most, 0 to 1; peak_ms: when."""

    start_ms: int
    end_ms: int
    peak: float
    peak_ms: int


def wet_spells(seed: int, site: Site, start_ms: int, end_ms: int, least: float) -> list[WetSpell]:
    """The times between start and end at which it rains at least so hard over a site."""
    sky = sky_over(seed, site)
    found: list[WetSpell] = []
    begun: WetSpell | None = None
    for at_ms in range(start_ms, end_ms, STEP_MS):
        rain = sky.rain(at_ms)
        if rain < least:
            if begun is not None:
                found.append(begun._replace(end_ms=at_ms))
            begun = None
        elif begun is None:
            begun = WetSpell(at_ms, end_ms, rain, at_ms)
        elif rain > begun.peak:
            begun = begun._replace(peak=rain, peak_ms=at_ms)
    return found

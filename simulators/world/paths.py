"""The ways from a site to the four targets of its probe, packet by packet."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np

from devices.geography import PROVINCES
from devices.registry import Site
from simulators.mishaps import TIERS, Conditions
from simulators.world.chance import Spells, Walk
from simulators.world.links import (
    GEO_FLOOR_MS,
    LINKS,
    PACKETS,
    TIMEOUT_MS,
    Floats,
    LinkType,
)

LAN = LinkType(0.5, 0, 0, 0.12, 1.5, 0.004, 1.5, 0.0, 0.01, 0.05, 0, "")
CAPITAL = "LA-VT"
KM_PER_DEGREE = 111.0
KM_PER_MS = 100.0  # light in fibre, both ways
ROAD_DETOUR = 1.5  # a cable follows the road
TAIL_SHAPE, TAIL_MOST = 1.4, 25.0
RESOLUTION_MS = 0.01
HABITS = [field.name for field in fields(LinkType) if field.name != "radio"]


class Ways:
    """Floors and queues of one uplink: `gw` is the site's own network."""

    def __init__(self, draw: np.random.Generator, link_type: str, site: Site) -> None:
        self.link = LINKS[link_type]
        self.habits = np.array([[getattr(LAN, h), *([getattr(self.link, h)] * 3)] for h in HABITS])
        self.floors_ms = np.array(_floors(draw, link_type, site))


class Traffic:
    """What the packets of each round met, for a site with one or two uplinks."""

    def __init__(self, draw: np.random.Generator, ways: list[Ways]) -> None:
        self._draw = draw
        self._ways = ways
        self._moods = [Walk(draw, spread=0.3, memory_s=1500) for _ in TIERS]
        self._day = Walk(draw, spread=0.18, memory_s=2 * 86_400)
        self._bad = [Spells(draw, lasts_s=420) for _ in TIERS]

    def packets(self, at_s: Floats, dt_s: float, load: Floats, on: Conditions) -> Floats:
        """float64[n, 4, packets]: round trips in ms, nan where lost."""
        draw, count = self._draw, len(at_s)
        uplink = np.where(on.backup, len(self._ways) - 1, 0)
        habits = np.stack([way.habits for way in self._ways])[uplink]  # [n, habit, tier]
        habit = {name: habits[:, place, :] for place, name in enumerate(HABITS)}
        floor_ms = np.stack([way.floors_ms for way in self._ways])[uplink] + on.floor_ms
        busy = load[:, None]
        moods = np.stack([mood.steps(count, dt_s) for mood in self._moods], axis=1)
        moods += self._day.steps(count, dt_s)[:, None]
        queue_ms = habit["queue_ms"] * (1 + habit["busy"] * busy**1.6) * np.exp(moods) * on.queue
        bad_per_s = habit["bad_a_day"] * (0.5 + busy) / 86_400
        bad = np.stack(
            [spell.steps(at_s, dt_s, bad_per_s[:, t]) for t, spell in enumerate(self._bad)], axis=1
        )
        loss = np.where(bad, habit["bad_loss"], habit["loss"] * (1 + 2 * busy)) + on.loss
        shape = (count, len(TIERS), PACKETS)
        wait_ms = queue_ms[..., None] * draw.standard_gamma(0.9, shape) * 1.1
        tailed = draw.random(shape) < (habit["tail"] * (1 + 2 * busy))[..., None]
        scale_ms = np.broadcast_to(habit["tail_ms"][..., None], shape)[tailed]
        tail = np.minimum(1.0 + draw.pareto(TAIL_SHAPE, int(tailed.sum())), TAIL_MOST)
        wait_ms[tailed] += scale_ms * tail
        rtt_ms = np.round((floor_ms[..., None] + wait_ms) / RESOLUTION_MS) * RESOLUTION_MS
        lost = (draw.random(shape) < loss[..., None]) | on.dead[..., None] | (rtt_ms > TIMEOUT_MS)
        return np.where(lost, np.nan, rtt_ms)


def _floors(draw: np.random.Generator, link_type: str, site: Site) -> list[float]:
    """The smallest round trip to each tier, ms."""
    link = LINKS[link_type]
    near = float(draw.lognormal(0.0, 0.12))
    cable_ms = _km_to_capital(site) * ROAD_DETOUR / KM_PER_MS if link.radio != "vsat" else 0.0
    floors = [link.isp_ms * near, link.nat_ms * near + cable_ms, link.int_ms * near + cable_ms]
    if link_type == "vsat-geo":
        floors = [max(ms, GEO_FLOOR_MS + 20.0) for ms in floors]
    return [LAN.isp_ms * float(draw.uniform(0.6, 2.4)), *floors]


def _km_to_capital(site: Site) -> float:
    home, capital = PROVINCES[site.province], PROVINCES[CAPITAL]
    lat = home.lat if site.lat is None else site.lat
    lon = home.lon if site.lon is None else site.lon
    east = (lon - capital.lon) * math.cos(math.radians(lat))
    return KM_PER_DEGREE * math.hypot(lat - capital.lat, east)

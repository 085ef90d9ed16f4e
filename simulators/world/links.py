"""What round trips, losses and speeds look like on each type of link."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from simulators.world.chance import Bursts, Wander, heavy_tail

PACKETS = 10
TIMEOUT_MS = 3000.0
GEO_FLOOR_MS = 477.0  # light to a geostationary satellite and back, twice


@dataclass(frozen=True, slots=True)
class LinkType:
    """The habits of one type of link.

    isp_ms, nat_ms, int_ms: usual smallest round trip to the provider, within the country and
    abroad. queue_ms: mean wait in queues when idle. busy: how many times longer the queues are
    in the busiest hour. tail, tail_ms: chance and scale of a packet's heavy-tailed delay.
    loss, bad_loss: chance that a packet is lost usually, and in a bad spell. bad_a_day: bad
    spells a day. down_mbps: speed where no contract says one. radio: lte, vsat or "".
    """

    isp_ms: float
    nat_ms: float
    int_ms: float
    queue_ms: float
    busy: float
    tail: float
    tail_ms: float
    loss: float
    bad_loss: float
    bad_a_day: float
    down_mbps: float
    radio: str


LINKS: dict[str, LinkType] = {
    "fibre": LinkType(2.4, 9.0, 46.0, 0.5, 5.0, 0.004, 6.0, 0.0002, 0.02, 0.2, 50.0, ""),
    "dsl": LinkType(13.0, 21.0, 60.0, 1.4, 6.0, 0.006, 12.0, 0.0006, 0.03, 0.4, 12.0, ""),
    "fixed-wireless": LinkType(7.0, 15.0, 54.0, 1.8, 6.0, 0.012, 14.0, 0.0012, 0.05, 0.6, 20.0, ""),
    "3g": LinkType(72.0, 84.0, 128.0, 14.0, 4.0, 0.03, 60.0, 0.003, 0.07, 1.0, 4.0, "lte"),
    "4g": LinkType(29.0, 38.0, 82.0, 6.0, 5.0, 0.02, 30.0, 0.0015, 0.05, 0.7, 22.0, "lte"),
    "5g": LinkType(13.0, 21.0, 62.0, 2.5, 4.0, 0.012, 14.0, 0.0008, 0.04, 0.4, 120.0, "lte"),
    "vsat-geo": LinkType(566.0, 578.0, 622.0, 14.0, 4.0, 0.02, 80.0, 0.003, 0.08, 1.2, 6.0, "vsat"),
    "vsat-leo": LinkType(33.0, 42.0, 68.0, 5.0, 3.0, 0.03, 25.0, 0.004, 0.06, 0.8, 80.0, "vsat"),
}


@dataclass(frozen=True, slots=True)
class Echoes:
    """One round to one target: round trips in ms of the packets that came back, None lost."""

    rtt_ms: Sequence[float | None]

    def values(self, tier: str) -> dict[str, float | int | bool | None]:
        """The tier's metrics of this round, as a probe defines them."""
        came = sorted(rtt for rtt in self.rtt_ms if rtt is not None)
        sent, rcvd = len(self.rtt_ms), len(came)
        return {
            f"{tier}_sent": sent,
            f"{tier}_rcvd": rcvd,
            f"{tier}_rtt_min_ms": came[0] if came else None,
            f"{tier}_rtt_p50_ms": _nearest_rank(came, 0.5),
            f"{tier}_rtt_p95_ms": _nearest_rank(came, 0.95),
            f"{tier}_rtt_max_ms": came[-1] if came else None,
            f"{tier}_jitter_ms": self._jitter(),
            f"{tier}_loss_pct": 100.0 * (sent - rcvd) / sent,
        }

    def _jitter(self) -> float | None:
        steps = [
            abs(after - before)
            for before, after in zip(self.rtt_ms, self.rtt_ms[1:], strict=False)
            if before is not None and after is not None
        ]
        return sum(steps) / len(steps) if steps else None


def _nearest_rank(ordered: Sequence[float], share: float) -> float | None:
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


class Path:
    """The way to one target: a floor, queues that fill with the load, tails, spells of loss."""

    def __init__(self, random: Random, link: LinkType, *, floor_ms: float, busy: float) -> None:
        self.floor_ms = floor_ms
        self._random = random
        self._link = link
        self._busy = busy
        self._mood = Wander(random, spread=0.35, memory_s=1500)
        self._bad = Bursts(random, lasts_s=420)

    def round(self, dt_s: float, load: float) -> Echoes:
        """Ten packets, `dt_s` seconds after the round before, under a load of 0 to 1."""
        link, draw = self._link, self._random
        queue_ms = link.queue_ms * (1.0 + self._busy * load**1.6) * math.exp(self._mood.step(dt_s))
        bad = self._bad.step(dt_s, per_s=link.bad_a_day * (0.5 + load) / 86_400)
        loss = link.bad_loss if bad else link.loss * (1.0 + 2.0 * load)
        rtt_ms: list[float | None] = []
        for _ in range(PACKETS):
            wait_ms = queue_ms * draw.gammavariate(0.9, 1.1)
            if draw.random() < link.tail * (1.0 + 2.0 * load):
                wait_ms += link.tail_ms * heavy_tail(draw, shape=1.4, most=25.0)
            late = self.floor_ms + wait_ms > TIMEOUT_MS
            lost = late or draw.random() < loss
            rtt_ms.append(None if lost else self.floor_ms + wait_ms)
        return Echoes(rtt_ms)

"""Decoys: what happens every day, and must not wake anybody."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from simulators.hits import Hit, link_cut, on_device, on_probes
from simulators.mishaps import ISP, NAT, Mishap
from simulators.premises import Premises
from simulators.world.links import LINKS

SECOND_MS = 1_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Decoy:
    """One harmless thing. a_day: how many a site has in a day."""

    type: str
    a_day: float
    metric: str | None = None


DECOYS = (
    Decoy("route-change", 0.02, "nat_rtt_min_ms"),
    Decoy("lost-round", 0.15),
    Decoy("short-disconnect", 0.12),
    Decoy("update-reboot", 0.02),
    Decoy("agent-restart", 0.02),
    Decoy("repeated-backlog", 0.01),
    Decoy("lost-packets", 0.05, "nat_loss_pct"),
)


def decoy_hit(decoy: Decoy, at: Premises, start_ms: int, draw: Random) -> tuple[Hit, int]:
    """What a decoy does from a time on, and when it ends."""
    device = draw.choice(at.devices)
    interval_ms = round(device.interval_s * 1000)
    if decoy.type == "route-change":
        end_ms = start_ms + round(draw.uniform(0.3, 4) * DAY_MS)
        more = LINKS[at.link_type()].nat_ms * draw.uniform(0.05, 0.2)
        return on_probes(at, Mishap("delay", start_ms, end_ms, more, first=NAT)), end_ms
    if decoy.type == "lost-round":
        end_ms = start_ms + interval_ms
        return on_device(device.device, Mishap("lost", start_ms, end_ms)), end_ms
    if decoy.type == "short-disconnect":
        end_ms = start_ms + round(draw.uniform(5, 100) * SECOND_MS)
        return link_cut(at, (1,), start_ms, end_ms, draw), end_ms
    if decoy.type == "update-reboot":
        end_ms = start_ms + round(draw.uniform(8, 40) * SECOND_MS)
        return on_device(device.device, Mishap("off", start_ms, end_ms)), end_ms
    if decoy.type == "repeated-backlog":
        end_ms = start_ms + round(draw.uniform(1, 8) * HOUR_MS)
        return on_device(device.device, Mishap("repeat", start_ms, end_ms)), end_ms
    if decoy.type == "agent-restart":
        end_ms = start_ms + 5 * SECOND_MS
        return on_device(device.device, Mishap("restart", start_ms, end_ms)), end_ms
    end_ms = start_ms + interval_ms
    loss = Mishap("loss", start_ms, end_ms, draw.uniform(0.1, 0.3), first=ISP)
    return on_probes(at, loss), end_ms

"""Mishaps: what a fault does to one device between two times, and to a probe's rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Shape = Literal["flat", "ramp", "hump"]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TIERS = ("gw", "isp", "nat", "int")
GW, ISP, NAT, INT = range(4)


@dataclass(frozen=True, slots=True)
class Mishap:
    """One thing that is different at one device at start_ms <= true time < end_ms.

    what: a name in MEASURED, which a probe's rounds show, or one of these: off (no power: a
    new boot after it), restart (of the agent at its start), hang (connected, measures nothing),
    lost (one round that never was), offline (no session; link down), refused (the broker
    closes and refuses), platform (the broker itself is away), repeat (at its end it sends
    again what it measured meanwhile), twin (another device uses the name), mains-off (of the
    whole site). size: see MEASURED. first, last: tiers that it reaches. shape: at full size
    all the time, growing up to it, or growing and falling.
    """

    what: str
    start_ms: int
    end_ms: int
    size: float = 0.0
    first: int = ISP
    last: int = INT
    shape: Shape = "flat"

    def share(self, at_ms: NDArray[np.int64]) -> Floats:
        """float64[n]: how much of its size is on at each time, all inside it."""
        if self.shape == "flat":
            return np.ones(len(at_ms))
        done = (at_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return done if self.shape == "ramp" else np.sin(np.pi * done) ** 0.6


class Conditions:
    """What is out of the ordinary in n rounds of a probe, as columns; by tier where it says so.

    dead: bool[n,4]. loss: float64[n,4], added chance. floor_ms: float64[n,4], added. queue:
    float64[n,4], factor. load: float64[n], added. stalled: bool[n], pages stop at the first full
    segment. up, down: float64[n], factors of speed. battery: bool[n], no mains; ups_pct:
    float64[n]. pmtu: float64[n], bytes off. clock_ms: float64[n], device minus true time.
    booted_ms, agent_ms: float64[n], when system and agent started; nan where as ever. boots:
    float64[n], boots since the run began. cert_days: float64[n], nan where as ever.
    """

    def __init__(self, count: int) -> None:
        self.dead = np.zeros((count, 4), np.bool_)
        self.loss = np.zeros((count, 4))
        self.floor_ms = np.zeros((count, 4))
        self.queue = np.ones((count, 4))
        self.load = np.zeros(count)
        self.dns_fails = np.zeros(count, np.bool_)
        self.blocked = np.zeros(count, np.bool_)
        self.stalled = np.zeros(count, np.bool_)
        self.esno_db = np.zeros(count)
        self.rsrp_db = np.zeros(count)
        self.rsrq_db = np.zeros(count)
        self.sinr_db = np.zeros(count)
        self.up = np.ones(count)
        self.down = np.ones(count)
        self.battery = np.zeros(count, np.bool_)
        self.ups_pct = np.zeros(count)
        self.backup = np.zeros(count, np.bool_)
        self.pmtu = np.zeros(count)
        self.clock_ms = np.zeros(count)
        self.booted_ms = np.full(count, np.nan)
        self.agent_ms = np.full(count, np.nan)
        self.boots = np.zeros(count)
        self.cert_days = np.full(count, np.nan)

    def apply(self, mishaps: Iterable[Mishap], at_ms: NDArray[np.int64]) -> None:
        """Add what the mishaps do to the rounds at these times, int64[n]."""
        for mishap in mishaps:
            change = MEASURED.get(mishap.what)
            if change is None:
                continue
            inside = np.flatnonzero((at_ms >= mishap.start_ms) & (at_ms < mishap.end_ms))
            if len(inside):
                change(self, mishap, inside, mishap.size * mishap.share(at_ms[inside]))


Rows = NDArray[np.intp]
Change = Callable[[Conditions, Mishap, Rows, Floats], None]


def _tiers(mishap: Mishap) -> slice:
    return slice(mishap.first, mishap.last + 1)


def _dead(on: Conditions, mishap: Mishap, rows: Rows, size: Floats) -> None:
    on.dead[rows, _tiers(mishap)] = True


def _loss(on: Conditions, mishap: Mishap, rows: Rows, size: Floats) -> None:
    on.loss[rows, _tiers(mishap)] += size[:, None]


def _delay(on: Conditions, mishap: Mishap, rows: Rows, size: Floats) -> None:
    on.floor_ms[rows, _tiers(mishap)] += size[:, None]


def _queue(on: Conditions, mishap: Mishap, rows: Rows, size: Floats) -> None:
    on.queue[rows, _tiers(mishap)] *= 1.0 + size[:, None]


def _battery(on: Conditions, mishap: Mishap, rows: Rows, size: Floats) -> None:
    on.battery[rows] = True
    on.ups_pct[rows] = np.maximum(1.0, 100.0 - size)


def _flag(name: str) -> Change:
    def change(on: Conditions, mishap: Mishap, rows: Rows, size: Floats) -> None:
        getattr(on, name)[rows] = True

    return change


def _added(name: str) -> Change:
    def change(on: Conditions, mishap: Mishap, rows: Rows, size: Floats) -> None:
        getattr(on, name)[rows] += size

    return change


def _times(name: str) -> Change:
    def change(on: Conditions, mishap: Mishap, rows: Rows, size: Floats) -> None:
        getattr(on, name)[rows] *= np.maximum(0.02, 1.0 - size)

    return change


# name: what it does with its size (in the unit that is said here)
MEASURED: dict[str, Change] = {
    "dead": _dead,  # no reply from these tiers
    "loss": _loss,  # chance that a packet is lost, 0 to 1
    "delay": _delay,  # ms on the smallest round trip
    "queue": _queue,  # longer queues, by this share
    "load": _added("load"),  # users, as a share of the busiest hour
    "dns": _flag("dns_fails"),
    "blocked": _flag("blocked"),
    "stalled": _flag("stalled"),
    "pmtu": _added("pmtu"),  # bytes less
    "esno": _added("esno_db"),  # dB
    "rsrp": _added("rsrp_db"),  # dB
    "rsrq": _added("rsrq_db"),  # dB
    "sinr": _added("sinr_db"),  # dB
    "slow-up": _times("up"),  # share of the speed that is gone
    "slow-down": _times("down"),  # share of the speed that is gone
    "battery": _battery,  # percent that the UPS has lost
    "backup": _flag("backup"),
    "clock": _added("clock_ms"),  # ms
}

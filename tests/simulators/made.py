"""A made-up country with one trouble, played to what arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from devices.registry import Registry
from simulators.everything import World
from simulators.failure_modes import MODES
from simulators.group_modes import GROUP_MODES
from simulators.made_country import made_country
from simulators.premises import Premises, premises
from simulators.scenario import parse_scenario
from simulators.troubles import Trouble
from simulators.troubles_placement import place_troubles
from tests.simulators.country import START_MS

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
SEED = 5


@dataclass(frozen=True)
class Heard:
    """One message. at_ms: when it arrived; said: its payload."""

    at_ms: int
    device: str
    channel: str
    said: dict[str, Any]

    def rounds(self) -> list[dict[str, Any]]:
        """The rounds that it holds."""
        return self.said.get("r", [self.said]) if self.channel != "status" else []


@dataclass
class Played:
    """What arrived while one trouble was on."""

    trouble: Trouble
    registry: Registry
    heard: list[Heard] = field(default_factory=list)

    def of(self, device: str, channel: str = "") -> list[Heard]:
        """Messages of a device, on one channel."""
        return [h for h in self.heard if h.device == device and channel in ("", h.channel)]

    def during(self, device: str, *, margin_ms: int = 0) -> list[dict[str, Any]]:
        """Metrics of the rounds that a device measured while the trouble was on, in order."""
        first, last = self.trouble.start_ms + margin_ms, self.trouble.end_ms - margin_ms
        rounds = [r for h in self.of(device) for r in h.rounds() if first <= r["ts"] < last]
        return [r["m"] for r in sorted(rounds, key=lambda r: int(r["ts"]))]

    def before(self, device: str) -> list[dict[str, Any]]:
        """Metrics of the rounds before it."""
        start_ms = self.trouble.start_ms
        return [r["m"] for h in self.of(device) for r in h.rounds() if r["ts"] < start_ms]

    @property
    def probe(self) -> str:
        """The first probe that it befell."""
        kinds = self.registry.devices
        return next(d for d in self.trouble.devices if kinds[d].kind == "connectivity-probe")


@cache
def country(sites: int = 60) -> Registry:
    """A country in which every failure mode has a place."""
    return made_country(SEED, sites, 3 * sites)


def at_home(registry: Registry, trouble: Trouble) -> Registry:
    """The registry without the sites that a trouble spares, so that it plays fast."""
    sites = {name: registry.sites[name] for name in trouble.sites}
    devices = {n: d for n, d in registry.devices.items() if d.site in sites}
    return Registry(sites, devices)


def play(trouble: Trouble, *, hours: float, registry: Registry | None = None) -> Played:
    """Play the sites of a trouble from START_MS on."""
    whole = country() if registry is None else registry
    played = Played(trouble, whole)
    world = World(
        at_home(whole, trouble), SEED, START_MS, START_MS + round(hours * HOUR_MS),
        [trouble], [], [], [],
    )  # fmt: skip
    played.heard = list(messages(world))
    return played


def messages(world: World) -> Iterator[Heard]:
    """Everything that arrives in a world."""
    for _, block in world.blocks():
        for arrival in block:
            *_, device, channel = arrival.topic.split("/")
            yield Heard(arrival.at_ms, device, channel, json.loads(arrival.payload))


def troubled(kind: str, *, start: str = "2h", duration: str = "2h", **more: Any) -> Trouble:
    """One trouble of a type, at a site or group of the country that can have it."""
    return all_troubled(kind, start=start, duration=duration, **more)[0]


def all_troubled(
    kind: str, *, start: str = "2h", duration: str = "2h", **more: Any
) -> list[Trouble]:
    """The troubles that one fault of a scenario is."""
    if kind in GROUP_MODES and "group" not in more:
        more["group"] = biggest_group(kind)
    elif kind in MODES and "device" not in more:
        more["device"] = next(p for p in places() if MODES[kind].fits(p)).probes[0].device
    fault = {"fault": kind, "type": kind, "start": start, "duration": duration, **more}
    scenario = parse_scenario({"faults": [fault]}, "test.yaml")
    return place_troubles(scenario, country(), seed=SEED, start_ms=START_MS)


def places() -> list[Premises]:
    """The sites of the country as faults see them."""
    return list(premises(country(), SEED).values())


def biggest_group(kind: str) -> str:
    """The group of the country with the most members that can have a failure."""
    members = GROUP_MODES[kind].members(premises(country(), SEED))
    return max(members, key=lambda name: (len(members[name]), name))

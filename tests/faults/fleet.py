"""A platform on a fast clock, and a simulated fleet with outboxes that plays against it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from devices.probe.client import Broker
from devices.registry import Registry
from runtime.clock import Clock
from simulators.fleet import Access, Fleet, Timebase
from simulators.run import Run, prepare
from simulators.scenario import Scenario
from tests.path.platform import Platform, one_office, running
from tests.project.broker import wait_for

START = "2026-10-05T00:00:00Z"
START_MS = 1_791_158_400_000


class World:
    """A platform and the clock that it shares with its devices."""

    def __init__(self, platform: Platform, clock: Clock) -> None:
        self.platform = platform
        self.clock = clock

    def received(self) -> int:
        """Rounds that are stored, of all devices, each counted once."""
        return int(self._sum()["received"])

    def numbered(self) -> dict[str, int]:
        """Rounds that are missing by the devices' own numbering."""
        return dict(self._sum()["numbered"])

    def sessions(self) -> int:
        """How often ingest has connected to the broker and subscribed."""
        return self.platform.log("ingest").count("connected to the broker")

    def wait_for_session(self, number: int) -> None:
        """Until ingest has connected so often."""
        wait_for(lambda: self.sessions() >= number, "ingest is back", 60)

    def kill_broker(self) -> None:
        """kill -9 of Mosquitto while ingest is away: what it has acknowledged is lost. Then on."""
        self.platform.kill("broker")
        self.platform.start("broker", "ingest")

    def _sum(self) -> dict[str, Any]:
        to = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now_ms() / 1000 + 3600))
        return dict(self.platform.get("/accounting", **{"from": START, "to": to}))


@contextmanager
def world(directory: Path, registry: Registry, *, speed: float) -> Iterator[World]:
    """A running platform whose clock starts at START, now."""
    origin_ms = time.time_ns() // 1_000_000
    environment = {
        "GOVSENSE_CLOCK__START": START,
        "GOVSENSE_CLOCK__SPEED": str(speed),
        "GOVSENSE_CLOCK__ORIGIN_MS": str(origin_ms),
    }
    with running(directory, registry, **environment) as platform:
        yield World(platform, Clock(start_ms=START_MS, speed=speed, origin_ms=origin_ms))


def probes(count: int, *, interval_s: float) -> Registry:
    """Probes p0, p1, ... of one office, and nothing else."""
    office = one_office(count, interval_s=interval_s)
    return replace(office, devices={n: d for n, d in office.devices.items() if n != "c0"})


def run_of(registry: Registry, start_ms: int, minutes: float) -> Run:
    """The fleet's rounds from start_ms on."""
    end_ms = start_ms + round(minutes * 60_000)
    return prepare(registry, Scenario("none"), seed=1, start_ms=start_ms, end_ms=end_ms)


@contextmanager
def playing(world: World, run: Run) -> Iterator[Fleet]:
    """The fleet in a thread of its own; told to stop at the end, if it has not come to its own."""
    clock = world.clock
    fleet = Fleet(
        Broker("127.0.0.1", world.platform.port),
        run.identities,
        Access(),
        timebase=Timebase(clock.now_ms, clock.speed),
    )
    stop = threading.Event()
    thread = threading.Thread(target=fleet.play, args=(run.steps(), stop.is_set))
    thread.start()
    try:
        yield fleet
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()

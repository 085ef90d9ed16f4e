"""Small worlds for the detectors' tests: a catalogue, an engine, and series fed to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from detection.engine import Engine
from detection.findings import Finding
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from devices.registry import Device

START_MS = 1_790_000_000_000


def device(name: str = "d1", kind: str = "environment", interval_s: float = 60) -> Device:
    """A device without params."""
    return Device(name, f"site-of-{name}", kind, interval_s, 1, {})


class Feed:
    """One series of one device, fed a value at a time at its interval."""

    def __init__(
        self,
        kind: str,
        metric: str,
        *,
        interval_s: float = 60,
        params: dict[str, float] | None = None,
    ) -> None:
        self.catalogue = Catalogue()
        self.device = Device("d1", "s1", kind, interval_s, 1, dict(params or {}))
        self.number = self.catalogue.add(self.device, KINDS[kind].metrics[metric])
        self.engine = Engine(self.catalogue)
        self.at_ms = START_MS

    def say(self, values: Iterable[float]) -> list[Finding]:
        """Findings on the next readings, one call each."""
        found = []
        for value in values:
            self.at_ms += round(self.device.interval_s * 1000)
            batch = Readings.of([self.number], [self.at_ms], [self.at_ms], [float(value)])
            found += self.engine.score(batch)
        return found

    def pause(self, seconds: float) -> None:
        """Let time pass without a reading."""
        self.at_ms += round(seconds * 1000)


def steps(found: Sequence[Finding], rule: str | None = None) -> list[str]:
    """The phases of the findings, of one rule where given, in order."""
    return [f.phase for f in found if rule in (None, f.rule)]


def noisy(level: float, spread: float, n: int, seed: int = 1) -> list[float]:
    """n values around a level."""
    values: list[float] = np.random.default_rng(seed).normal(level, spread, n).tolist()
    return values


class Talk:
    """One device that says whole rounds; impossible values are refused, as intake does."""

    def __init__(
        self, kind: str, *, interval_s: float = 60, params: dict[str, float] | None = None
    ) -> None:
        self.catalogue = Catalogue()
        self.device = Device("d1", "s1", kind, interval_s, 1, dict(params or {}))
        self.engine = Engine(self.catalogue)
        self.at_ms = START_MS

    def say(self, n: int = 1, /, **values: float) -> list[Finding]:
        """Findings on the next n rounds, each with these values."""
        found = []
        for _ in range(n):
            self.at_ms += round(self.device.interval_s * 1000)
            bare = [] if values else [(0, self.at_ms)]
            said = split(self.catalogue, self.device, self.at_ms, values)
            found += self.engine.score(*said, bare)
        return found

    def pause(self, seconds: float) -> None:
        """Let time pass without a round."""
        self.at_ms += round(seconds * 1000)


def split(
    catalogue: Catalogue, said_by: Device, at_ms: int, values: dict[str, float]
) -> tuple[Readings, Readings]:
    """A round as readings: those that are possible, and those that intake would refuse."""
    taken: list[tuple[int, float]] = []
    refused: list[tuple[int, float]] = []
    for name, value in values.items():
        number = catalogue.add(said_by, KINDS[said_by.kind].metrics[name])
        possible = catalogue.hard_min[number] <= value <= catalogue.hard_max[number]
        (taken if possible else refused).append((number, float(value)))
    return _readings(taken, at_ms), _readings(refused, at_ms)


def _readings(values: list[tuple[int, float]], at_ms: int) -> Readings:
    times = [at_ms] * len(values)
    return Readings.of([n for n, _ in values], times, times, [v for _, v in values])

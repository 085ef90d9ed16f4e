"""Clock skew: a device whose time is off by the same amount in every round, or stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.episodes import FIRING, PENDING
from detection.findings import Finding, Phase
from detection.quality_devices import DeviceEpisodes
from devices.catalogue import Catalogue

OFF_MS = 120_000  # what delivery may take
SAME_MS = 30_000  # between one round and the next
STILL_MS = 1_000  # between the event times of one round and the next
ROUNDS = 5
GOOD = 3
AHEAD_MS = -5_000  # nothing is delivered before it was measured
ZONE_MS = 1_800_000  # time zones differ by whole multiples of this


@dataclass(slots=True)
class Skew:
    """A device's rounds as long as they are off by the same. lag_ms: received minus measured."""

    phase: int
    onset_ms: int
    lag_ms: int
    received_ms: int
    rounds: int = 1
    good: int = 0
    still: bool = False

    def is_same(self, lag_ms: int, received_ms: int) -> bool:
        """Whether a later round is off by the same, or was measured at the same time."""
        return abs(lag_ms - self.lag_ms) <= SAME_MS or self.stood(lag_ms, received_ms)

    def stood(self, lag_ms: int, received_ms: int) -> bool:
        """Whether a later round was measured at the same time."""
        return abs(received_ms - lag_ms - self.received_ms + self.lag_ms) <= STILL_MS


class Clocks:
    """Tells a wrong clock from late data: what was buffered arrives together, this does not."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.episodes = DeviceEpisodes(catalogue, "clock-skew", Skew)

    def dated(
        self,
        device: NDArray[np.int32],
        event_ms: NDArray[np.int64],
        received_ms: NDArray[np.int64],
    ) -> list[Finding]:
        """Findings on rounds in order of arrival, whether or not their time was accepted."""
        lag = received_ms - event_ms
        odd = (lag > OFF_MS) | (lag < AHEAD_MS) | self.episodes.of(device)
        found: list[Finding] = []
        for n in odd.nonzero()[0].tolist():
            found.extend(self._read(int(device[n]), int(lag[n]), int(received_ms[n])))
        return found

    def _read(self, device: int, lag_ms: int, received_ms: int) -> Iterator[Finding]:
        opened = self.episodes.open
        skew = opened.get(device)
        off = lag_ms > OFF_MS or lag_ms < AHEAD_MS
        if skew is None:
            if off:
                opened[device] = Skew(PENDING, received_ms, lag_ms, received_ms)
            return
        apart = received_ms - skew.received_ms
        if off and skew.is_same(lag_ms, received_ms):
            if apart < self._catalogue.devices[device].interval_s * 500:
                return
            skew.still = skew.stood(lag_ms, received_ms)
            skew.rounds, skew.good = skew.rounds + 1, 0
            skew.lag_ms, skew.received_ms = lag_ms, received_ms
            if skew.phase == PENDING and skew.rounds >= ROUNDS:
                skew.phase = FIRING
                yield self._finding(device, skew, received_ms, "firing")
        elif skew.phase == PENDING:
            del opened[device]
            if off:
                opened[device] = Skew(PENDING, received_ms, lag_ms, received_ms)
        elif not off:
            skew.good += 1
            if skew.good >= GOOD:
                del opened[device]
                yield self._finding(device, skew, received_ms, "clear")

    def _finding(self, device: int, skew: Skew, at_ms: int, phase: Phase) -> Finding:
        lag_s = skew.lag_ms / 1000
        why = "ahead" if lag_s < 0 else "behind"
        off = abs(skew.lag_ms) % ZONE_MS
        if abs(skew.lag_ms) >= ZONE_MS and min(off, ZONE_MS - off) <= SAME_MS:
            why = "zone"
        if skew.still:
            why = "still"
        return self.episodes.finding(
            device, phase, skew.onset_ms, at_ms, readings=skew.rounds, lag_s=abs(lag_s), why=why
        )

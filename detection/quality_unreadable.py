"""Unreadable: a device in touch whose messages say nothing that anybody can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.episodes import FIRING, PENDING
from detection.findings import Finding, Phase
from detection.quality_devices import DeviceEpisodes
from devices.catalogue import Catalogue

MESSAGES = 3  # in a row; one that was cut short says nothing of the device
GOOD = 3


@dataclass(slots=True)
class Garbled:
    """A device whose last messages could not be read."""

    phase: int
    onset_ms: int
    messages: int = 0
    good: int = 0


class Unreadable:
    """Fires with the third unreadable message in a row and is over after three good rounds."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.episodes = DeviceEpisodes(catalogue, "unreadable", Garbled)

    def garbled(self, device: int, received_ms: int) -> Iterator[Finding]:
        """Findings on a message that could not be read."""
        held = self.episodes.open.setdefault(device, Garbled(PENDING, received_ms))
        held.messages, held.good = held.messages + 1, 0
        if held.phase == PENDING and held.messages >= MESSAGES:
            held.phase = FIRING
            yield self._finding(device, held, received_ms, "firing")

    def read(self, device: NDArray[np.int32], received_ms: NDArray[np.int64]) -> Iterator[Finding]:
        """Findings on rounds that could be read, in order of arrival."""
        opened = self.episodes.open
        for n in self.episodes.of(device).nonzero()[0].tolist():
            number = int(device[n])
            held = opened.get(number)
            if held is None:
                continue
            held.good += 1
            if held.phase == PENDING or held.good >= GOOD:
                del opened[number]
            if held.phase == FIRING and held.good >= GOOD:
                yield self._finding(number, held, int(received_ms[n]), "clear")

    def _finding(self, device: int, held: Garbled, at_ms: int, phase: Phase) -> Finding:
        return self.episodes.finding(device, phase, held.onset_ms, at_ms, readings=held.messages)

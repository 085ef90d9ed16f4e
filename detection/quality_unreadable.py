"""Unreadable: a device in touch whose messages say nothing that anybody can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.episodes import FIRING, PENDING
from detection.findings import Finding, Phase
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
        self._catalogue = catalogue
        self.open: dict[int, Garbled] = {}  # by device number

    def garbled(self, device: int, received_ms: int) -> Iterator[Finding]:
        """Findings on a message that could not be read."""
        held = self.open.get(device)
        if held is None:
            held = self.open[device] = Garbled(PENDING, received_ms)
        held.messages, held.good = held.messages + 1, 0
        if held.phase == PENDING and held.messages >= MESSAGES:
            held.phase = FIRING
            yield self._finding(device, held, received_ms, "firing")

    def read(self, device: NDArray[np.int32], received_ms: NDArray[np.int64]) -> Iterator[Finding]:
        """Findings on rounds that could be read, in order of arrival."""
        if not self.open:
            return
        known = np.isin(device, np.fromiter(self.open, np.int32, len(self.open)))
        for n in known.nonzero()[0].tolist():
            number = int(device[n])
            held = self.open.get(number)
            if held is None:
                continue
            held.good += 1
            if held.phase == PENDING or held.good >= GOOD:
                del self.open[number]
            if held.phase == FIRING and held.good >= GOOD:
                yield self._finding(number, held, int(received_ms[n]), "clear")

    def state(self) -> list[tuple[str, list[Any]]]:
        """(device, fields) of every device that could not be read last."""
        return sorted(
            (self._catalogue.devices[d].device, [getattr(g, f) for f in g.__slots__])
            for d, g in self.open.items()
        )

    def restore(self, state: list[tuple[str, list[Any]]]) -> None:
        """Hold exactly these."""
        numbered = ((self._catalogue.device_number_of(name), fields) for name, fields in state)
        self.open = {d: Garbled(*fields) for d, fields in numbered if d is not None}

    def _finding(self, device: int, held: Garbled, at_ms: int, phase: Phase) -> Finding:
        return Finding(
            device=self._catalogue.devices[device].device,
            metric="",
            rule="unreadable",
            phase=phase,
            nature="data_quality",
            severity="warning",
            onset_ms=held.onset_ms,
            at_ms=at_ms,
            value=None,
            expected=None,
            facts={"kind": self._catalogue.devices[device].kind, "readings": held.messages},
        )

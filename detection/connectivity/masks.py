"""Masks: what was seen of each uplink in every five minutes, in a form that forgets no order.

A bin has sixteen slots. A round sets the bits of its slot, so that the same round twice, or rounds
in any order, leave the same masks: bins follow from them whenever and however data come.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.connectivity.fleet import UPLINKS
from detection.outages import BIN_MS

RING = 1200  # bins that are kept: four days and four hours, more than an SLA's settling window
SLOT_MS = BIN_MS // 16
REACH = 1.1  # a round speaks for this many intervals before it: phases drift
MASKS = ("good", "bad", "poor", "alive", "backup")
COVER_GOOD, COVER_BAD, COVER_ALIVE = 1, 2, 4

Numbers = NDArray[np.int64]


class Masks:
    """Per uplink and bin: slots with good, bad and poor rounds, with arrivals, over a backup.

    Also which bins rounds speak for without lying in them. Uplinks by row: site * 2 + uplink.
    """

    def __init__(self) -> None:
        self.slots = {name: np.zeros(0, np.uint16) for name in MASKS}
        self.cover = np.zeros(0, np.uint8)
        self.newest = 0  # bin that is the last in the ring; 0: nothing yet

    def grow(self, sites: int) -> None:
        """Have a row for every uplink of that many sites."""
        missing = sites * UPLINKS * RING - len(self.cover)
        if missing > 0:
            for name, mask in self.slots.items():
                self.slots[name] = np.concatenate([mask, np.zeros(missing, np.uint16)])
            self.cover = np.concatenate([self.cover, np.zeros(missing, np.uint8)])

    def advance(self, newest: int) -> None:
        """Make room for bins up to this one; the oldest are forgotten."""
        if newest <= self.newest:
            return
        new = newest - self.newest
        if self.newest == 0 or new >= RING:
            columns = np.arange(RING)
        else:
            columns = np.arange(self.newest + 1, newest + 1) % RING
        for mask in self.slots.values():
            mask.reshape(-1, RING)[:, columns] = 0
        self.cover.reshape(-1, RING)[:, columns] = 0
        self.newest = newest

    @property
    def oldest(self) -> int:
        """The first bin that is kept."""
        return self.newest - RING + 1

    def set(self, name: str, rows: Numbers, at_ms: Numbers) -> None:
        """Set the slots of these times; times that are not kept any more are left out."""
        bins = at_ms // BIN_MS
        kept = (bins >= self.oldest) & (bins <= self.newest)
        if not kept.all():
            rows, at_ms, bins = rows[kept], at_ms[kept], bins[kept]
        bits = np.left_shift(1, at_ms % BIN_MS // SLOT_MS).astype(np.uint16)
        np.bitwise_or.at(self.slots[name], rows * RING + bins % RING, bits)

    def speak_for(self, mark: int, rows: Numbers, at_ms: Numbers, interval_ms: Numbers) -> None:
        """Mark the bins that lie within reach before these times, their own bins aside."""
        bins = at_ms // BIN_MS
        first = (at_ms - (REACH * interval_ms).astype(np.int64)) // BIN_MS
        reach = bins - first
        for back in range(1, int(reach.max(initial=0)) + 1):
            covered = bins - back
            which = (reach >= back) & (covered >= self.oldest) & (bins <= self.newest)
            flat = rows[which] * RING + covered[which] % RING
            np.bitwise_or.at(self.cover, flat, np.uint8(mark))

    def of(self, name: str, rows: Numbers, bins: Numbers) -> NDArray[np.uint16]:
        """Slots of these uplinks in these bins, all of which are kept."""
        mask: NDArray[np.uint16] = self.slots[name][rows * RING + bins % RING]
        return mask

    def covers(self, rows: Numbers, bins: Numbers) -> NDArray[np.uint8]:
        """What speaks for these bins from outside."""
        cover: NDArray[np.uint8] = self.cover[rows * RING + bins % RING]
        return cover

"""Sessions: when a device is connected to the broker, what the broker says of it, and when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from simulators.mishaps import Mishap

KEEPALIVE_MS = 60_000
WILL_MS = 90_000  # a broker waits one and a half keepalives
SURVIVES_MS = 40_000  # TCP repeats what a shorter break has lost
NO_SESSION = ("offline", "off", "refused", "platform")


class Gap(NamedTuple):
    """A time without a session. back_ms: connected again. will_ms: the Will; None without one.

    delay: the session lives, what is said meanwhile arrives at back_ms.
    """

    start_ms: int
    back_ms: int
    will_ms: int | None
    delay: bool = False


@dataclass(frozen=True, slots=True)
class Sessions:
    """The gaps of one device, in order and apart from each other."""

    gaps: Sequence[Gap]

    def gap_at(self, at_ms: int) -> Gap | None:
        """The gap that a time lies in."""
        place = bisect_right(self.gaps, at_ms, key=lambda gap: gap.start_ms) - 1
        if place < 0 or at_ms >= self.gaps[place].back_ms:
            return None
        return self.gaps[place]


def sessions(mishaps: Sequence[Mishap], boots_ms: Sequence[int], draw: Random) -> Sessions:
    """The sessions of a device that lives through these mishaps. boots_ms: when it booted."""
    gaps: list[Gap] = []
    cuts = sorted((e for e in mishaps if e.what in NO_SESSION), key=lambda e: e.start_ms)
    place = 0
    while place < len(cuts):
        start_ms, end_ms, what = cuts[place].start_ms, cuts[place].end_ms, cuts[place].what
        place += 1
        while True:
            back_ms = _back(what, end_ms, boots_ms, draw)
            joined = False
            while place < len(cuts) and cuts[place].start_ms <= back_ms:
                if cuts[place].end_ms > end_ms:
                    end_ms, what = cuts[place].end_ms, cuts[place].what
                    joined = True
                place += 1
            if not joined:
                break
        gaps.append(_gap(start_ms, end_ms, back_ms, what, draw))
    return Sessions(gaps)


def _back(what: str, end_ms: int, boots_ms: Sequence[int], draw: Random) -> int:
    if what == "off":
        boot_ms = next((at_ms for at_ms in boots_ms if at_ms >= end_ms), end_ms)
        return boot_ms + round(draw.uniform(6, 25) * 1000)
    most_s = 60.0 if what == "platform" else 25.0
    return end_ms + round(draw.uniform(1.5, most_s) * 1000)


def _gap(start_ms: int, end_ms: int, back_ms: int, what: str, draw: Random) -> Gap:
    if what == "offline" and end_ms - start_ms < SURVIVES_MS:
        return Gap(start_ms, end_ms + round(draw.uniform(0.5, 6) * 1000), None, True)
    if what == "platform":
        return Gap(start_ms, back_ms, None)
    if what == "refused":
        return Gap(start_ms, back_ms, start_ms + round(draw.uniform(50, 900)))
    heard_ms = start_ms - draw.randrange(KEEPALIVE_MS)
    return Gap(start_ms, back_ms, min(heard_ms + WILL_MS, back_ms - 1))

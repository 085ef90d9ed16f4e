"""Whether the platform's loops move, as their heartbeats tell."""

from __future__ import annotations

from typing import NamedTuple

from storage.ledger import stats
from storage.ledger.migrations import Ledger

STILL_S = 4.0  # a loop beats every second or more often: seen within 5 s after it stopped
PROCESSES = {"processor": "ingest", "drainer": "drainer"}  # loop: name of its heartbeat


class Loop(NamedTuple):
    """One loop. since_ms: platform time at which it last moved; silent_s: machine time since."""

    name: str
    since_ms: int
    silent_s: float

    @property
    def stands_still(self) -> bool:
        """Whether it has not moved for longer than it ever should."""
        return self.silent_s > STILL_S


def beating(ledger: Ledger, *names: str, now_ms: int, speed: float) -> list[Loop]:
    """These loops, of PROCESSES, as of their heartbeats in the ledger; none that never ran.

    now_ms: platform time, of which `speed` seconds pass in a second of the machine.
    """
    beats = stats.read(ledger)
    found = {name: beats.get(PROCESSES[name]) for name in names}
    return [
        Loop(name, beat.at_ms, max(0.0, (now_ms - beat.at_ms) / 1000 / speed))
        for name, beat in found.items()
        if beat is not None
    ]

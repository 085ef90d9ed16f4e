"""Totals and gauges of the platform, taken so that they add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storage.ledger import stats, totals
from storage.ledger.migrations import Ledger

OUTCOMES = ("stored", "duplicate", "quarantined")


@dataclass(frozen=True)
class Counts:
    """totals: exact, as of one committed state of the ledger. beats: gauges by process.

    received, pending: messages that reached our disk, and those of them not processed as of that
    state. received = stored + duplicate + quarantined + pending holds unless a message was lost
    or counted twice: the outcomes in the ledger are held against positions in the journal.
    """

    totals: dict[str, int]
    beats: dict[str, stats.Beat]
    received: int
    pending: int

    def gauge(self, process: str, name: str) -> Any:
        """A gauge from a process's last heartbeat, None where there is none."""
        beat = self.beats.get(process)
        return None if beat is None else beat.data.get(name)


def read_counts(ledger: Ledger) -> Counts:
    """All counts now."""
    beats = stats.read(ledger)
    counted = totals.read(ledger)
    beat = beats.get("ingest")
    reported = beat.data.get("messages_received", 0) if beat else 0
    received = max(reported, counted.position)  # a heartbeat may be older than the totals
    return Counts(counted.counts, beats, received, received - counted.position)

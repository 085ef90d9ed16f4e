"""The loops of this deployment, and whether each moves: one judgement for all who ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ingest.journal.head import silences_s
from runtime.settings import Settings
from runtime.stores import open_ledger, uses_influxdb
from storage.ledger.loops import Loop, beating
from storage.ledger.migrations import Ledger


class Loops:
    """Receiver, processor and drainer. Without a ledger of the caller's, close it when done."""

    def __init__(
        self, settings: Settings, now_ms: Callable[[], int], ledger: Ledger | None = None
    ) -> None:
        """now_ms: platform time. Raises LedgerError."""
        self._journal: Path = settings.data_dir / "journal"
        self._names = ["processor", "drainer"] if uses_influxdb(settings) else ["processor"]
        self._speed = settings.clock.speed
        self._now_ms = now_ms
        self._own = open_ledger(settings) if ledger is None else None
        self._ledger = ledger or self._own

    def look(self) -> list[Loop]:
        """Every loop that ever ran here. Raises SQLAlchemyError where the ledger does not answer.

        The receiver is seen only where its journal is: on the machine that it runs on. There the
        processor is too, also while the ledger takes no heartbeat.
        """
        now_ms = self._now_ms()
        silences = silences_s(self._journal, time.monotonic_ns())
        found = [
            Loop(name, round(now_ms - silent_s * 1000 * self._speed), silent_s)
            for name, silent_s in silences.items()
        ]
        names = [name for name in self._names if name not in silences]
        if self._ledger is not None and names:
            found += beating(self._ledger, *names, now_ms=now_ms, speed=self._speed)
        return found

    def close(self) -> None:
        """Close the ledger that we have opened."""
        if self._own is not None:
            self._own.close()

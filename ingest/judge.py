"""The judge: everything that detects, fed with batches and with time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from detection.alerts import AlertBook, AlertChange
from detection.engine import Engine, SnapshotError
from detection.findings import Finding
from detection.heard import Heard
from detection.incidents.changes import IncidentChange
from detection.outages import Bin
from devices.catalogue import Catalogue

log = logging.getLogger(__name__)

TICK_MS = 10_000  # what time alone brings about is looked for at whole multiples of this


class Known(msgspec.Struct):
    """What detectors and alert book know at one time."""

    engine: bytes
    book: bytes


class Verdict(NamedTuple):
    """What changed: alerts and incidents in order, bins as they are now."""

    alerts: list[AlertChange]
    incidents: list[IncidentChange]
    bins: list[Bin]


class Judge:
    """Findings, alerts, incidents and bins of one processor.

    Takes time as an argument, reads no clock. One that is fed the same batches and times says the
    same.
    """

    def __init__(self, catalogue: Catalogue, site_of: Callable[[str], str]) -> None:
        self._catalogue = catalogue
        self._site_of = site_of
        self._engine = Engine(catalogue)
        self._book = AlertBook()
        self._next_tick_ms = 0

    def hear(self, heard: Heard) -> list[Finding]:
        """Findings on the live readings of a batch; each of its rounds is a sign of life."""
        rounds = heard.rounds
        self._engine.heard(rounds.device, rounds.at_ms, rounds.received_ms)
        return self._engine.score(heard.readings.take(heard.live))

    def tick(self, now_ms: int) -> list[Finding]:
        """What time alone brings, at most once per TICK_MS. Everything up to now_ms was heard."""
        if now_ms < self._next_tick_ms:
            return []
        tick_ms = now_ms // TICK_MS * TICK_MS
        self._next_tick_ms = tick_ms + TICK_MS
        return self._engine.tick(tick_ms)

    def resume(self, now_ms: int) -> None:
        """We were away, or the clock was set back: silence is counted from now on."""
        self._next_tick_ms = min(self._next_tick_ms, now_ms)
        self._engine.resumed(now_ms)

    def conclude(self, findings: list[Finding], now_ms: int) -> Verdict:
        """What the findings, and what was heard since, change."""
        alerts = self._book.apply(findings, now_ms, self._site_of)
        return Verdict(alerts, [], [])

    def open_alerts(self) -> set[str]:
        """Ids of the alerts that are pending or firing."""
        return {change.alert for change in self._book.open_alerts()}

    def state(self) -> Known:
        """Everything that is needed to go on from here."""
        return Known(self._engine.snapshot(), self._book.snapshot())

    def restore(self, known: Known) -> bool:
        """Go on from a state; False, and start afresh, where it is of another version."""
        try:
            self._engine.restore(known.engine)
        except SnapshotError as exc:
            log.warning("the detectors start afresh: %s", exc)
            return False
        self._book.restore(known.book)
        return True

"""The judge: detectors and alert book, fed with batches and with time."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec
import numpy as np

from detection.alerts import AlertBook, AlertChange
from detection.engine import Engine, SnapshotError
from detection.findings import Finding
from devices.catalogue import Catalogue
from ingest.intake import Batch

log = logging.getLogger(__name__)

TICK_MS = 10_000  # silence is looked for at whole multiples of this


class Known(msgspec.Struct):
    """What detectors and alert book know at one time."""

    engine: bytes
    book: bytes


class Judge:
    """Findings and alerts of one processor. Takes time as an argument, reads no clock."""

    def __init__(self, catalogue: Catalogue, site_of: Callable[[str], str]) -> None:
        self._catalogue = catalogue
        self._site_of = site_of
        self._engine = Engine(catalogue)
        self._book = AlertBook()
        self._next_tick_ms = 0

    def hear(self, batch: Batch) -> list[Finding]:
        """Findings on the live readings of a batch; each of its rounds is a sign of life."""
        numbers, received = [], []
        for record in batch.round_record.tolist():
            source = batch.sources[record]
            number = source and self._catalogue.device_number_of(source.device.device)
            numbers.append(-1 if number is None else number)
            received.append(batch.records[record].received_ms)
        device_numbers = np.array(numbers, np.int32)
        known = device_numbers >= 0
        received_ms = np.array(received, np.int64)
        self._engine.heard(device_numbers[known], batch.round_at_ms[known], received_ms[known])
        self._hear_misdated(batch)
        return self._engine.score(batch.readings.take(batch.live), batch.impossible)

    def _hear_misdated(self, batch: Batch) -> None:
        """Rounds of another time than ours are no signs of life, but tell of a wrong clock."""
        for record, at_ms in batch.misdated:
            source = batch.sources[record]
            if source is None:
                continue
            number = self._catalogue.device_number_of(source.device.device)
            if number is not None:
                received_ms = batch.records[record].received_ms
                self._engine.misdated(number, at_ms, received_ms)

    def tick(self, now_ms: int) -> list[Finding]:
        """Findings on silence, at most once per TICK_MS. Everything up to now_ms was heard."""
        if now_ms < self._next_tick_ms:
            return []
        tick_ms = now_ms // TICK_MS * TICK_MS
        self._next_tick_ms = tick_ms + TICK_MS
        return self._engine.tick(tick_ms)

    def resume(self, now_ms: int) -> None:
        """We were away, or the clock was set back: silence is counted from now on."""
        self._next_tick_ms = min(self._next_tick_ms, now_ms)
        self._engine.resumed(now_ms)

    def conclude(self, findings: list[Finding], now_ms: int) -> list[AlertChange]:
        """What the findings change in the alert book."""
        return self._book.apply(findings, now_ms, self._site_of)

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

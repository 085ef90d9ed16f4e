"""The processor's loop: batches as they come, and between them what is due by time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from ingest.journal import Shortage
from ingest.latency import Latency
from ingest.messenger import Messenger
from ingest.processor import Processor
from ingest.receiver import RECEIVE_TO_ACK
from ingest.watch import Watch
from storage.influx.spool import SpoolFullError
from storage.ledger import bins, events, stats
from storage.ledger.migrations import Ledger
from storage.ledger.speed_tests import trim_speed_tests
from storage.series.retention import Retention
from storage.series.store import SeriesStore

log = logging.getLogger(__name__)

SMALL_BATCH = 500
IDLE_S = 0.005
FULL_S = 0.5  # between two tries where the series store has no room
CHORES_S = 1.0
ROLL_UP_S, ROLL_UP_BUDGET_S, RETAIN_BUDGET_S = 5.0, 0.05, 0.05
EVENTS_KEPT = 1_000_000  # a client of the live feed may be this far behind


class Processing:
    """One processor with its stores and its word to devices, until it is told to stop."""

    def __init__(
        self,
        processor: Processor,
        *,
        ledger: Ledger,
        series: SeriesStore,
        messenger: Messenger,
        watch: Watch,
        retention: Retention,
        bin_days: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._processor = processor
        self._receive_to_ack = Latency.shared(processor.reader.directory / RECEIVE_TO_ACK)
        self._ledger = ledger
        self._series = series
        self._messenger = messenger
        self._watch = watch
        self._retention = retention
        self._bin_days = bin_days
        self._now_ms = now_ms
        self._chores_at = self._roll_up_at = 0.0
        self._full = False

    def run(self, should_stop: Callable[[], bool], *, batch_s: float) -> None:
        """Process until `should_stop`; then keep the detectors' state.

        batch_s: shortest time between two commits of small batches. Raises STORE_ERRORS where a
        store does not take what is written: the processor must then be recovered.
        """
        while not should_stop():
            began = time.monotonic()
            self._processor.reader.head.pulse(time.monotonic_ns())
            count = self._step()
            self._do_chores(began)
            if count < SMALL_BATCH:
                least_s = batch_s if count else IDLE_S
                time.sleep(max(0.0, least_s - (time.monotonic() - began)))
        self._processor.snapshot()
        self._beat()

    def _step(self) -> int:
        try:
            count = self._processor.step()
        except SpoolFullError as exc:
            if not self._full:
                log.error("processing waits, the journal holds what comes: %s", exc)
                self._full = True
            time.sleep(FULL_S)
            return 0
        self._full = False
        return count

    def _do_chores(self, now: float) -> None:
        if now >= self._chores_at:
            self._chores_at = now + CHORES_S
            self._processor.reload_registry()
            self._processor.reload_windows()
            with suppress(SpoolFullError):  # it stays requested
                self._processor.replay_requested()
            if self._messenger.is_connected:
                self._messenger.tell(self._processor.downlinks())
            self._beat()
            self._look()
        if now >= self._roll_up_at:
            self._roll_up_at = now + ROLL_UP_S
            self._series.roll_up(self._now_ms(), budget_s=ROLL_UP_BUDGET_S)
            self._series.retain(self._now_ms(), self._retention, budget_s=RETAIN_BUDGET_S)
            events.trim(self._ledger, keep=EVENTS_KEPT)
            bins.trim_bins(self._ledger, self._now_ms(), keep_days=self._bin_days)
            trim_speed_tests(self._ledger, self._now_ms(), keep_days=self._bin_days)

    def _look(self) -> None:
        """Look for troubles of the platform: both stores have just taken what was written."""
        drainer = stats.read(self._ledger).get("drainer")
        self._watch.stores_answer()
        self._watch.look_at_stores()
        self._watch.look_at_receiver(self._processor.reader.head)
        self._watch.look_at_sink(
            (drainer.at_ms, drainer.data) if drainer else None, spool_full=self._full
        )
        self._watch.tell()
        if self._processor.reader.head.shortage(time.monotonic_ns()) is Shortage.BOUND:
            self._processor.snapshot()  # gives back what the journal need not keep any more

    def _beat(self) -> None:
        processor = self._processor
        gauges = {
            "messages_received": processor.received,
            "messages_pending": processor.pending,
            "broker_connected": processor.connected,
            "intake_full": bool(processor.reader.head.shortage(time.monotonic_ns())),
            "series": len(processor.catalogue),
            "resident_bytes": psutil.Process().memory_info().rss,
            "receive_to_ack_ms": self._receive_to_ack.summary(),
            "event_to_stored_ms": processor.event_to_stored.summary(),
            "event_to_alert_ms": processor.event_to_alert.summary(),
        }
        stats.beat(self._ledger, "ingest", self._now_ms(), gauges)

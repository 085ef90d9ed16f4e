"""The drainer's process: the spool into InfluxDB, and roll-ups between.

The loop waits for InfluxDB, for longer than a heartbeat may be away. So the heartbeat comes from a
thread of its own, which leaves it as long as the loop moves or waits no longer than requests take.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event

from storage.faults import STORE_ERRORS, StoreError, trouble_of, words_of
from storage.influx.drainer import Drainer
from storage.influx.roll_ups import Roller
from storage.influx.server import CONNECT_S, READ_S, Server
from storage.influx.spool import Spool, SpoolFullError
from storage.ledger import stats
from storage.ledger.migrations import Ledger

log = logging.getLogger(__name__)

CHORES_S = 1.0
ROLL_UP_BUDGET_S = 0.1
LONGEST_ROUND_S = 3 * (CONNECT_S + READ_S)  # a write and a roll-up, the version asked before


class Draining:
    """One drainer and one roller over one spool, until told to stop."""

    def __init__(
        self,
        spool: Spool,
        *,
        writer: Server,
        roller: Roller,
        ledger: Ledger,
        now_ms: Callable[[], int],
    ) -> None:
        self._spool = spool
        self._drainer = Drainer(spool, writer, chance=random.Random())
        self._roller = roller
        self._ledger = ledger
        self._now_ms = now_ms
        self._chores_at = 0.0
        self._moved_at = time.monotonic()
        self._beats: Future[None] = Future()
        self._problem = ""
        self._refusal = ""

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Drain until `should_stop`, also while the spool or the ledger takes nothing."""
        ended = Event()
        with ThreadPoolExecutor(1, "heartbeat") as heart:
            self._beats = heart.submit(self._keep_beating, ended)
            try:
                while not should_stop():
                    self._drain(should_stop)
            finally:
                ended.set()
        self._beats.result()

    def _drain(self, should_stop: Callable[[], bool]) -> None:
        try:
            self._drainer.run(should_stop, now_s=time.time, sleep=time.sleep, chore=self._do_chores)
        except STORE_ERRORS as exc:
            self._say_refused(exc)
            time.sleep(CHORES_S)

    def _keep_beating(self, ended: Event) -> None:
        while not ended.wait(CHORES_S):
            if time.monotonic() - self._moved_at < LONGEST_ROUND_S:
                try:
                    self._beat()
                except STORE_ERRORS as exc:
                    self._say_refused(exc)
                else:
                    self._refusal = ""

    def _do_chores(self) -> None:
        now = self._moved_at = time.monotonic()
        if self._beats.done():
            self._beats.result()  # raises what ended it
        if now < self._chores_at:
            return
        self._chores_at = now + CHORES_S
        with suppress(SpoolFullError):  # roll-ups stay due
            self._roller.step(self._now_ms(), budget_s=ROLL_UP_BUDGET_S)

    def _say_refused(self, exc: StoreError) -> None:
        """Say once that a store takes nothing; an error of ours ends the process."""
        if trouble_of(exc) is None:
            raise exc
        if not self._refusal:
            log.error("a store takes nothing, draining waits for it: %s", words_of(exc))
        self._refusal = words_of(exc)

    def _beat(self) -> None:
        """Leave a heartbeat; say a change of state once in the log."""
        condition, counts = self._drainer.condition, self._spool.counts()
        gauges = {
            "state": condition.state,
            "problem": condition.problem,
            "lines_waiting": counts.lines,
            "bytes_waiting": counts.bytes,
            "lines_stored": condition.stored,
            "lines_refused": counts.refused,
            "lines_damaged": counts.damaged,
        }
        stats.beat(self._ledger, "drainer", self._now_ms(), gauges)
        if condition.problem and condition.problem != self._problem:
            log.warning("InfluxDB, %s: %s", condition.state, condition.problem)
        if self._problem and not condition.problem:
            log.info("InfluxDB takes telemetry again")
        self._problem = condition.problem

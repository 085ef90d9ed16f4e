"""The watch: troubles of the platform itself become alerts, each once, and end once.

What is seen is told as soon as the ledger takes it: a trouble of the ledger's own disk is written
when it is over, with the time at which it began.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from detection.alerts import AlertBook
from detection.findings import PLATFORM, Finding
from detection.rules import read_platform
from detection.texts import explain
from ingest.journal import Head, Shortage
from storage.faults import Trouble
from storage.ledger.alerts import change_of, open_of_device, put_changes
from storage.ledger.migrations import Ledger

log = logging.getLogger(__name__)

WELL_S = 5.0  # a trouble is over when it was not seen for this long
LONGEST_PROBLEM = 200  # characters of a server's words in a text
DISK_FULL, STORE_AWAY = "disk-full", "store-away"


class Places(NamedTuple):
    """What the texts name: files as paths, servers as addresses."""

    broker: str
    journal: str
    spool: str
    series: str
    ledger: str


class Moment(NamedTuple):
    """One instant: monotonic seconds, and platform time in ms."""

    s: float
    ms: int


class Since(NamedTuple):
    """A trouble is there or not, from a moment on."""

    ill: bool
    began: Moment


class Fault(NamedTuple):
    """What a store has answered to a write."""

    rule: str
    place: str
    problem: str


class Watch:
    """The alerts on the device PLATFORM, of one processor process. Not thread-safe."""

    def __init__(self, ledger: Ledger, places: Places, *, now: Callable[[], Moment]) -> None:
        """Goes on with the alerts that are open in the ledger."""
        self._ledger = ledger
        self._places = places
        self._now = now
        self._rules = read_platform()
        rows = open_of_device(ledger, PLATFORM)
        self._onsets = {row.rule: row.event_ms for row in rows}  # of alerts open, or to be told
        book = AlertBook()
        book.hold(change_of(row) for row in rows)
        self._told = book.snapshot()
        self._untold: list[Finding] = []
        self._since: dict[str, Since] = {}
        self._fault: Fault | None = None
        self._old_beat: Any = ...  # the drainer's last word to an earlier process

    def refused(self, trouble: Trouble, problem: str, *, by_ledger: bool) -> None:
        """A store has refused a write: so it stays until `stores_answer`."""
        rule = DISK_FULL if trouble == "full" else STORE_AWAY
        place = self._places.ledger if by_ledger else self._places.series
        self._fault = Fault(rule, place, problem[:LONGEST_PROBLEM])

    def stores_answer(self) -> None:
        """Both stores have taken writes."""
        self._fault = None

    def look_at_stores(self) -> None:
        """See whether a store refuses writes."""
        fault = self._fault
        if fault is None or fault.rule == STORE_AWAY:
            about = {"place": fault.place, "problem": fault.problem} if fault else {}
            self._see(STORE_AWAY, fault is not None, **about)

    def look_at_receiver(self, head: Head) -> None:
        """See whether the receiver is connected and has room."""
        now_ns = round(self._now().s * 1e9)
        shortage = head.shortage(now_ns)
        fault = self._fault if self._fault and self._fault.rule == DISK_FULL else None
        if shortage is not None or fault:
            place = fault.place if fault else self._places.journal
            self._see(DISK_FULL, shortage is Shortage.DISK or fault is not None, place=place)
        if shortage is not None:
            self._see(
                "journal-full", shortage is Shortage.BOUND, place=self._places.journal,
                setting="ingest.journal_max_mib",
            )  # fmt: skip
        if not shortage:  # one that has no room stays away from the broker by itself
            self._see("broker-away", not head.connection(now_ns), place=self._places.broker)

    def look_at_sink(
        self, drainer: tuple[int, Mapping[str, Any]] | None, *, spool_full: bool
    ) -> None:
        """See how the drainer is. drainer: time and content of its heartbeat, None for none."""
        self._see(
            "spool-full", spool_full, place=self._places.spool, setting="influx.spool_max_mib"
        )
        beat_ms, said = drainer or (None, {})
        if self._old_beat is ...:
            self._old_beat = beat_ms
        if beat_ms == self._old_beat:
            return
        state = said.get("state")
        about: dict[str, Any] = {
            "problem": str(said.get("problem", ""))[:LONGEST_PROBLEM],
            "waiting": int(said.get("lines_waiting", 0)),
        }
        self._see(
            "sink-misconfigured", state == "misconfigured", **about,
            setting="influx.write_token_file", command="govsense influx init",
        )  # fmt: skip
        self._see("sink-away", state == "waiting", **about)

    def tell(self) -> None:
        """Commit what was seen. After an error of the ledger it stays to be told."""
        if not self._untold:
            return
        book = AlertBook()
        book.restore(self._told)
        put_changes(self._ledger, book.apply(self._untold, self._now().ms, lambda device: ""))
        self._told = book.snapshot()
        self._untold.clear()

    def _see(self, rule: str, ill: bool, **about: str | int) -> None:
        now = self._now()
        since = self._since.get(rule)
        if since is None or since.ill != ill:
            since = self._since[rule] = Since(ill, now)
        lasted_s = now.s - since.began.s
        stands = rule in self._onsets
        if ill and not stands and lasted_s >= self._rules[rule].dwell_s:
            self._onsets[rule] = since.began.ms
            finding = self._finding(rule, now.ms, about)
            log.error("%s: %s", rule, explain(finding).en)
        elif not ill and stands and lasted_s >= WELL_S:
            finding = self._finding(rule, since.began.ms, about)._replace(phase="clear")
            log.info("%s: %s", rule, explain(finding).en)
            del self._onsets[rule]
        else:
            return
        self._untold.append(finding)

    def _finding(self, rule: str, at_ms: int, about: Mapping[str, str | int]) -> Finding:
        onset_ms = self._onsets[rule]
        return Finding(
            device=PLATFORM,
            metric="",
            rule=rule,
            phase="firing",
            nature=self._rules[rule].nature,
            severity=self._rules[rule].severity,
            onset_ms=onset_ms,
            at_ms=at_ms,
            value=None,
            expected=None,
            facts={"kind": "platform", "held_s": max(0, at_ms - onset_ms) / 1000, **about},
        )

"""The judge: everything that detects, fed with batches and with time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from detection.alerts import AlertBook, AlertChange, Episode
from detection.cadence import Cadence
from detection.connectivity import Connectivity
from detection.engine import Engine, SnapshotError
from detection.findings import Finding
from detection.heard import Heard, Rounds, StatusHeard
from detection.incidents.book import Incidents
from detection.incidents.changes import IncidentChange
from detection.muting import COUNTRY, Reason, Window, may_notify, planned_work, scopes_of
from detection.outages import Bin, Outage
from detection.past import Past
from devices.catalogue import Catalogue
from devices.registry import Registry
from ingest.ordering import Ordering

log = logging.getLogger(__name__)

TICK_MS = 10_000  # what time alone brings about is looked for at whole multiples of this
STATES = ("pending", "firing", "resolved", "dropped")
Muted = dict[tuple[str, str], Reason]
CORRECTED_MS = 7 * 86_400_000  # late readings may tell of alerts that were over for so long


class Known(msgspec.Struct):
    """What the judge knows at one time."""

    time_ms: int
    next_tick_ms: int
    ordering: bytes
    engine: bytes
    book: bytes
    past: bytes
    connectivity: bytes
    incidents: bytes
    unplaced: list[AlertChange]
    said: list[tuple[str, list[float]]] = []


class Verdict(NamedTuple):
    """What changed: alerts and incidents in order, bins as they are now.

    parts: incident of alerts that have become a part of one, or of another one, or are over.
    """

    alerts: list[AlertChange]
    incidents: list[IncidentChange]
    bins: list[Bin]
    parts: dict[str, str]


class Judge:
    """Findings, alerts, incidents and bins of one processor.

    Takes time as an argument and reads no clock: it goes by the newest time it was told of, of a
    message or a tick. How messages are cut into batches between two ticks changes nothing of what
    it says, and neither does the order of a device's numbered rounds that are not late: see
    `Ordering`. Alerts are told with the batch that makes them, incidents with the next tick.
    """

    def __init__(self, registry: Registry, catalogue: Catalogue) -> None:
        """Every device of the registry must be in the catalogue."""
        self._catalogue = catalogue
        self._ordering = Ordering(catalogue)
        self._engine = Engine(catalogue)
        self._book = AlertBook()
        self._past = Past(catalogue)
        self._connectivity = Connectivity(catalogue, registry)
        self._incidents = Incidents(registry)
        self._cadence = Cadence(catalogue)
        self._given = registry
        self._registry = registry  # with the intervals that devices are waited for
        self._said_more = False
        self._windows: list[Window] = []
        self._time_ms = 0
        self._next_tick_ms = 0
        self._episodes: list[Episode] = []
        self._outages: list[Outage] = []
        self._bins: list[Bin] = []
        self._unplaced: list[AlertChange] = []  # that incidents have not been told of
        self._ticked = False
        self._released = False  # by time, rounds that had waited for others

    def use(self, registry: Registry) -> None:
        """Go by this registry from now on."""
        self._given = registry
        self._apply_said()

    def plan(self, windows: list[Window]) -> None:
        """Go by exactly these silences and maintenance windows from now on.

        None of them touches an alert. Bins within maintenance do not count, past ones neither.
        """
        self._windows = windows
        self._connectivity.plan(planned_work(windows, self._registry.sites))

    def muted(self, changes: Iterable[AlertChange], now_ms: int) -> Muted:
        """Why nobody is told of changes of alerts, by alert and state; of the rest they are.

        What govsense says of itself is never muted.
        """
        found: Muted = {}
        for change in changes:
            device = self._registry.devices.get(change.device)
            site = self._registry.sites.get(change.site)
            scopes = scopes_of(device, site) if device and site else {COUNTRY}
            why = may_notify(change, self._windows, now_ms, scopes=scopes)
            if why is not None:
                found[change.alert, change.state] = why
        return found

    def hear(self, heard: Heard) -> list[Finding]:
        """Findings on the live readings of a batch; each of its rounds is a sign of life.

        A round that overtook another one of its device is judged when that one has come.
        """
        rounds = heard.rounds
        for received_ms in (*rounds.received_ms[-1:].tolist(), *_last(heard)):
            self._time_ms = max(self._time_ms, received_ms)
        self._connectivity.hear(heard)
        self._hear_times(heard)
        findings = [finding for status in heard.statuses for finding in self._hear_status(status)]
        if not heard.live.all():
            self._past.hear(heard.readings.take(~heard.live))
        return findings + self._engine.score(*self._ordering.take(heard))

    def _hear_status(self, status: StatusHeard) -> Iterator[Finding]:
        if not status.online:
            self._engine.broke(status.device, status.received_ms)
        device = self._given.devices.get(self._catalogue.devices[status.device].device)
        if device is not None and status.interval_s is not None:
            said_s, at_ms = status.interval_s, status.received_ms
            yield from self._cadence.hear(status.device, said_s, device.interval_s, at_ms)
            waited_s = self._cadence.waited_s(status.device, device.interval_s)
            self._said_more |= waited_s != self._registry.devices[device.device].interval_s

    def _apply_said(self) -> None:
        """Go by the registry that was given, and by what devices say of their intervals."""
        self._registry = self._cadence.applied(self._given)
        for known in list(self._catalogue.devices):
            device = self._registry.devices.get(known.device, known)
            if device != known:
                self._catalogue.replace_device(device)
        self._connectivity.use(self._registry)
        self._incidents.use(self._registry)
        self.plan(self._windows)

    def _hear_times(self, heard: Heard) -> None:
        """Tell the engine of rounds, and of what was refused of them whole, as they came."""
        rounds, told = heard.rounds, 0
        for one in heard.refused_rounds:
            before = int(np.searchsorted(rounds.received_ms, one.received_ms, "right"))
            self._tell_times(rounds, told, before)
            self._engine.refused_round(*one)
            told = max(told, before)
        self._tell_times(rounds, told, len(rounds))

    def _tell_times(self, rounds: Rounds, first: int, last: int) -> None:
        if first < last:
            part = slice(first, last)
            self._engine.heard(rounds.device[part], rounds.at_ms[part], rounds.received_ms[part])

    def tick(self, now_ms: int) -> list[Finding]:
        """What time alone brings, at most once per TICK_MS. Everything up to now_ms was heard."""
        if now_ms < self._next_tick_ms:
            return []
        tick_ms = now_ms // TICK_MS * TICK_MS
        self._time_ms = max(self._time_ms, tick_ms)
        self._next_tick_ms = tick_ms + TICK_MS
        findings = list(self._cadence.follow(self._given, tick_ms))
        if findings or self._said_more:
            self._apply_said()
            self._said_more = False
        self._connectivity.tick(tick_ms)
        self._outages += self._connectivity.take_outages()
        self._bins += self._connectivity.take_bins()
        self._episodes += self._past.tick(tick_ms)
        self._ticked = True
        due = self._ordering.tick(tick_ms)
        self._released = due is not None
        findings += self._engine.score(*due) if due else []
        return findings + self._engine.tick(tick_ms)

    def resume(self, now_ms: int) -> None:
        """We were away, or the clock was set back: silence is counted from now on."""
        self._next_tick_ms = min(self._next_tick_ms, now_ms)
        self._time_ms = min(self._time_ms, now_ms)
        self._ordering.resume(now_ms)
        self._connectivity.resume(now_ms)
        self._engine.resumed(now_ms)

    @property
    def was_moved_by_time(self) -> bool:
        """Whether ticks brought something that is not concluded yet, findings aside."""
        return bool(self._episodes or self._outages or self._bins or self._released)

    def conclude(self, findings: list[Finding], now_ms: int, *, place: bool = False) -> Verdict:
        """What the findings, and what was heard since, change. now_ms: when the platform knew.

        place: find incidents for alerts now, not only after a tick.
        """
        judged_ms = self._time_ms or now_ms
        alerts = self._book.apply(findings, judged_ms, self._site_of)
        self._unplaced += alerts
        incidents: list[IncidentChange] = []
        parts: dict[str, str] = {}
        if place or self._ticked:
            step = self._incidents.step(judged_ms, self._outages, sorted(self._unplaced, key=_when))
            incidents, parent_of = step.changes, step.parent_of
            parts = self._book.attach(parent_of)
            alerts = [c._replace(incident=parent_of.get(c.alert)) for c in alerts]
            over = {c.alert for c in self._unplaced if c.state == "resolved"}
            parts |= {alert: parent_of[alert] for alert in sorted(over & parent_of.keys())}
            self._unplaced, self._outages = [], []
        if self._episodes:
            alerts += self._book.correct(self._episodes, judged_ms, self._site_of)
            self._book.forget_before(judged_ms - CORRECTED_MS)
        verdict = Verdict(
            [change._replace(at_ms=now_ms) for change in alerts],
            [change._replace(at_ms=now_ms) for change in incidents],
            self._bins,
            parts,
        )
        self._episodes, self._bins = [], []
        self._ticked = self._released = False
        return verdict

    def open_alerts(self) -> set[str]:
        """Ids of the alerts that are pending or firing."""
        return {change.alert for change in self._book.open_alerts()}

    def open_incidents(self) -> set[str]:
        """Ids of the incidents that are not resolved."""
        return {change.incident for change in self._incidents.open_incidents()}

    def state(self) -> Known:
        """Everything that is needed to go on from here; all that was heard is concluded."""
        return Known(
            time_ms=self._time_ms,
            next_tick_ms=self._next_tick_ms,
            ordering=self._ordering.snapshot(),
            engine=self._engine.snapshot(),
            book=self._book.snapshot(),
            past=self._past.snapshot(),
            connectivity=self._connectivity.snapshot(),
            incidents=self._incidents.snapshot(),
            unplaced=self._unplaced,
            said=self._cadence.episodes.state(),
        )

    def restore(self, known: Known) -> bool:
        """Go on from a state; False, and start afresh, where it is of another version."""
        try:
            self._connectivity.restore(known.connectivity)
            self._engine.restore(known.engine)
        except SnapshotError as exc:
            log.warning("the detectors start afresh: %s", exc)
            self._connectivity = Connectivity(self._catalogue, self._registry)
            return False
        self._ordering.restore(known.ordering)
        self._book.restore(known.book)
        self._past.restore(known.past)
        self._incidents.restore(known.incidents)
        self._time_ms, self._next_tick_ms = known.time_ms, known.next_tick_ms
        self._unplaced = known.unplaced
        self._cadence.episodes.restore(known.said)
        if self._cadence.episodes.open:
            self._apply_said()
        return True

    def _site_of(self, device: str) -> str:
        known = self._registry.devices.get(device)
        return known.site if known else ""


def _when(change: AlertChange) -> tuple[int, str, int]:
    """An order of changes that does not depend on how they were found."""
    return change.event_ms, change.alert, STATES.index(change.state)


def _last(heard: Heard) -> list[int]:
    return [status.received_ms for status in heard.statuses[-1:]]

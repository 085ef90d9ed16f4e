"""The processor: journal records to committed facts, in batches, each batch exactly once.

A batch is decoded and validated, its readings are stored, judged, and then one ledger transaction
holds all that follows from it, the cursor included. A crash anywhere is a replay from the cursor:
the series store remembers what of its last batch was new, and everything else is in that one
transaction. The detectors' state is in it only now and then: after a crash the records between
the last snapshot and the cursor are judged again, without effect but on the detectors.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from detection.alerts import AlertBook, AlertChange
from detection.engine import Engine, SnapshotError
from detection.findings import Finding
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.registry import Registry
from devices.wire import reasons
from ingest import tally
from ingest.intake import Batch, Intake
from ingest.journal import JournalReader, Record
from ingest.latency import Latency
from ingest.latest import Latest
from storage.ledger import alerts as ledger_alerts
from storage.ledger import device_states, progress, quarantine
from storage.ledger import registry as ledger_registry
from storage.ledger import series as ledger_series
from storage.ledger.facts import DeviceSeen, Facts, Quarantined, commit
from storage.ledger.migrations import Ledger, LedgerError
from storage.series.sqlite import SqliteSeries

log = logging.getLogger(__name__)

TICK_MS = 10_000  # silence is looked for at whole multiples of this
REBUILD_RECORDS = 4000


class Snapshot(msgspec.Struct):
    """What the detectors know at one journal position."""

    engine: bytes
    book: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is committed together, and how often the detectors' state is kept."""

    batch_messages: int
    snapshot_s: float


class Processor:
    """One reader of one journal. Not thread-safe; `step` is called in a loop."""

    def __init__(
        self,
        *,
        reader: JournalReader,
        ledger: Ledger,
        series: SqliteSeries,
        now_ms: Callable[[], int],
        limits: Limits,
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._series = series
        self._now_ms = now_ms
        self._limits = limits
        self._registry_version = ledger_registry.registry_version(ledger)
        self._registry = ledger_registry.load_registry(ledger)
        self._catalogue = load_catalogue(ledger, self._registry)
        self._known_series = len(self._catalogue)
        self._intake = Intake(self._registry, self._catalogue)
        self._engine = Engine(self._catalogue)
        self._book = AlertBook()
        self._latest = Latest(self._catalogue)
        self._first_seen: set[str] = set()
        self._connection = 0
        self._next_tick_ms = 0
        self._snapshot_at = 0.0
        self._counted_damage = reader.damaged
        self.event_to_stored = Latency()
        self.event_to_alert = Latency()

    def recover(self) -> None:
        """Bring detectors and alerts to where the last commit left them. Call once, first."""
        for device, heard in device_states.load_heard(self._ledger).items():
            self._latest.put(device, heard.latest)
        cursor = progress.position(self._ledger)
        kept = progress.load_snapshot(self._ledger)
        start = cursor
        if kept is not None and self._restore(kept.state):
            start = kept.position
        self._rebuild(start, cursor)
        self._reconcile()
        self._finish_interrupted_batch(cursor)
        self._snapshot_at = time.monotonic()

    def step(self) -> int:
        """Process what the journal holds next, and time; returns how many records that was."""
        records = self._reader.read(max_records=self._limits.batch_messages)
        return self._process(records)

    @property
    def received(self) -> int:
        """Messages that the receiver has taken over since the journal began."""
        return self._reader.head.position

    @property
    def connected(self) -> bool:
        """Whether the receiver is connected to the broker."""
        return self._reader.head.connection(time.monotonic_ns()) > 0

    @property
    def series_count(self) -> int:
        """Series that have ever reported."""
        return len(self._catalogue)

    @property
    def pending(self) -> int:
        """Messages in the journal that are not processed yet."""
        return self._reader.head.position - self._reader.position

    def snapshot(self) -> None:
        """Keep the detectors' state now, before a graceful stop."""
        self._commit(Facts(position=self._reader.position, snapshot=self._state()))

    def reload_registry(self) -> None:
        """Use the registry of the ledger if it was changed since it was read last."""
        version = ledger_registry.registry_version(self._ledger)
        if version != self._registry_version:
            self._registry = ledger_registry.load_registry(self._ledger)
            self._registry_version = version
            self._intake.use(self._registry)
            log.info("registry reloaded: %d devices", len(self._registry.devices))

    def replay_requested(self) -> int:
        """Judge again what an operator asked to replay from quarantine; returns how many."""
        held = quarantine.requested(self._ledger, limit=self._limits.batch_messages)
        if not held:
            return 0
        records = [Record(-row.id, row.received_ms, row.topic, row.payload) for row in held]
        batch = self._intake.take(records)
        self._number_new_series()
        new = self._series.write(batch.readings, first=-held[0].id, last=-held[-1].id)
        became = tally.outcomes(batch, new)
        counts = tally.totals(batch, new, became)
        for row, outcome in zip(held, became.tolist(), strict=True):
            counts[f"messages_{outcome}"] -= 1
            if row.whole and outcome != "quarantined":
                counts["messages_quarantined"] -= 1
                counts[f"messages_{outcome}"] += 1
            for refusal in row.refusals:
                counts[f"refused_{refusal['reason']}"] -= 1
        counts["readings_duplicate"] = 0  # these were stored when the message first came
        self._latest.take(batch.readings)
        facts = Facts(
            position=self._reader.position,
            replayed=[(row.id, batch.refusals.get(n, [])) for n, row in enumerate(held)],
            device_seen=self._seen(batch),
            accounting=tally.accounting(batch, new),
            totals=dict(counts),
        )
        self._commit(facts)
        return len(held)

    def _process(self, records: Sequence[Record]) -> int:
        facts = Facts(position=self._reader.position)
        findings: list[Finding] = []
        batch = None
        if records:
            batch = self._intake.take(records)
            self._number_new_series()
            facts = self._store(batch, first=records[0].position)
            findings = self._judge(batch)
        findings += self._tick(records)
        now_ms = self._now_ms()
        facts.alert_changes = self._book.apply(findings, now_ms, self._site_of)
        silence = any(finding.metric == "" for finding in findings)
        if silence or time.monotonic() - self._snapshot_at > self._limits.snapshot_s:
            facts.snapshot = self._state()
        if batch is not None or facts.alert_changes or facts.snapshot:
            self._commit(facts)
        if batch is not None:
            self._observe(batch, facts.alert_changes, findings)
        return len(records)

    def _store(self, batch: Batch, *, first: int) -> Facts:
        new = self._series.write(batch.readings, first=first, last=self._reader.position)
        self._latest.take(batch.readings)
        counts = tally.totals(batch, new, tally.outcomes(batch, new))
        damaged = self._reader.damaged - self._counted_damage
        if damaged:
            counts["messages_quarantined"] += damaged
            counts[f"refused_{reasons.JOURNAL_DAMAGED}"] += damaged
            self._counted_damage = self._reader.damaged
            log.error("%d records of the journal were damaged and are lost", damaged)
        usable = set(batch.reading_record.tolist())
        return Facts(
            position=self._reader.position,
            quarantined=[
                Quarantined(
                    received_ms=batch.records[n].received_ms,
                    topic=batch.records[n].topic,
                    device=_device_in(batch.records[n].topic),
                    payload=batch.records[n].payload,
                    refusals=refusals,
                    whole=n not in usable,
                )
                for n, refusals in sorted(batch.refusals.items())
            ],
            device_seen=self._seen(batch),
            accounting=tally.accounting(batch, new),
            totals=dict(counts),
        )

    def _judge(self, batch: Batch) -> list[Finding]:
        """Findings on the live readings of a batch; every message is a sign of life."""
        rounds = batch.round_record
        numbers = [self._device_number(batch, n) for n in rounds.tolist()]
        device_numbers = np.array(numbers, np.int32)
        known = device_numbers >= 0
        received = np.array([batch.records[n].received_ms for n in rounds.tolist()], np.int64)
        self._engine.heard(device_numbers[known], batch.round_at_ms[known], received[known])
        return self._engine.score(batch.readings.take(batch.live))

    def _device_number(self, batch: Batch, record: int) -> int:
        source = batch.sources[record]
        if source is None:
            return -1
        number = self._catalogue.device_number_of(source.device.device)
        return -1 if number is None else number

    def _tick(self, records: Sequence[Record]) -> list[Finding]:
        """Look for silence, as of the time up to which everything that arrived is processed."""
        connection = self._reader.head.connection(time.monotonic_ns())
        now_ms = self._now_ms()
        if connection != self._connection:
            self._connection = connection
            if connection:
                self._engine.resumed(now_ms)
                self._snapshot_at = 0.0
        if self.pending:
            now_ms = records[-1].received_ms if records else 0
        if not connection or now_ms < self._next_tick_ms:
            return []
        tick_ms = now_ms // TICK_MS * TICK_MS
        self._next_tick_ms = tick_ms + TICK_MS
        return self._engine.tick(now_ms)

    def _seen(self, batch: Batch) -> list[DeviceSeen]:
        seen_ms: dict[str, int] = {}
        for source, record in zip(batch.sources, batch.records, strict=True):
            if source is not None:
                seen_ms[source.device.device] = record.received_ms
        status = {}
        for index, said in batch.statuses:
            source = batch.sources[index]
            if source is not None:
                status[source.device.device] = msgspec.to_builtins(said)
        return [
            DeviceSeen(device, at_ms, self._latest.of(device), status.get(device))
            for device, at_ms in seen_ms.items()
        ]

    def _observe(
        self, batch: Batch, changes: Sequence[AlertChange], findings: Sequence[Finding]
    ) -> None:
        now_ms = self._now_ms()
        live = ~batch.round_late
        self.event_to_stored.observe(now_ms - batch.round_at_ms[live])
        fired = {(c.device, c.metric, c.rule) for c in changes if c.state == "firing"}
        self.event_to_alert.observe(
            [
                now_ms - finding.at_ms
                for finding in findings
                if finding.metric and (finding.device, finding.metric, finding.rule) in fired
            ]
        )

    def _number_new_series(self) -> None:
        """Commit the numbers of new series before a reading is stored under them."""
        added = self._catalogue.added(self._known_series)
        if added:
            ledger_series.add_series(self._ledger, added)
            self._known_series = len(self._catalogue)

    def _commit(self, facts: Facts) -> None:
        commit(self._ledger, facts, now_ms=self._now_ms())
        if facts.snapshot:
            self._snapshot_at = time.monotonic()
            self._reader.release(facts.position)

    def _state(self) -> tuple[int, bytes]:
        state = Snapshot(self._engine.snapshot(), self._book.snapshot())
        return self._reader.position, msgspec.msgpack.encode(state)

    def _restore(self, state: bytes) -> bool:
        snapshot = msgspec.msgpack.decode(state, type=Snapshot)
        try:
            self._engine.restore(snapshot.engine)
        except SnapshotError as exc:
            log.warning("the detectors start afresh: %s", exc)
            return False
        self._book.restore(snapshot.book)
        return True

    def _rebuild(self, start: int, cursor: int) -> None:
        """Judge the records from `start` to `cursor` again: their effects are committed."""
        self._reader.position = start
        while self._reader.position < cursor:
            left = cursor - self._reader.position
            records = self._reader.read(max_records=min(REBUILD_RECORDS, left))
            if not records:
                break
            findings = self._judge(self._intake.take(records))
            self._book.apply(findings, self._now_ms(), self._site_of)
        self._reader.position = max(cursor, self._reader.position)

    def _reconcile(self) -> None:
        """Resolve alerts that the ledger holds open but the detectors know nothing of.

        That is so only when the snapshot could not be used: what still holds fires anew.
        """
        known = {change.alert for change in self._book.open_alerts()}
        orphans = [a for a in ledger_alerts.open_alerts(self._ledger) if a.alert not in known]
        now_ms = self._now_ms()
        changes = [_resolved(orphan, now_ms) for orphan in orphans]
        if changes:
            log.warning("%d open alerts of an unknown past were resolved", len(changes))
            self._commit(Facts(position=self._reader.position, alert_changes=changes))

    def _finish_interrupted_batch(self, cursor: int) -> None:
        """Process the batch whose readings were stored but whose facts were not, as it was."""
        applied = self._series.applied()
        if applied is None or applied.first < 0 or not applied.first == cursor < applied.last:
            return
        records: list[Record] = []
        while self._reader.position < applied.last:
            found = self._reader.read(max_records=applied.last - self._reader.position)
            if not found:
                break
            records += found
        self._process(records)

    def _site_of(self, device: str) -> str:
        known = self._registry.devices.get(device)
        return known.site if known else ""


def load_catalogue(ledger: Ledger, registry: Registry) -> Catalogue:
    """The catalogue with the numbers that the ledger keeps."""
    catalogue = Catalogue()
    for number, device, metric in ledger_series.load_series(ledger):
        registered = registry.devices[device]
        if catalogue.add(registered, KINDS[registered.kind].metrics[metric]) != number:
            raise LedgerError(
                f"series {number} ({device} {metric}) is out of order: restore a backup"
            )
    return catalogue


def _resolved(alert: ledger_alerts.AlertRow, now_ms: int) -> AlertChange:
    shared = {name: getattr(alert, name) for name in AlertChange._fields if hasattr(alert, name)}
    ended = {"state": "resolved", "event_ms": now_ms, "at_ms": now_ms, "expected": None}
    return AlertChange(**{**shared, **ended})


def _device_in(topic: str) -> str:
    parts = topic.split("/")
    return parts[3] if len(parts) > 3 else ""

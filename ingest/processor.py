"""The processor: journal records to committed facts, in batches, each batch exactly once.

A batch is decoded and validated, its readings are stored, judged, and then one ledger transaction
holds all that follows from it, the cursor included. A crash anywhere is a replay from the cursor:
the series store remembers what of its last batch was new, and everything else is in that one
transaction. How it comes back after a crash is in ingest/recovery.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from detection.alerts import AlertChange
from detection.findings import Finding
from detection.muting import Reach, Window
from devices.catalogue import Catalogue
from devices.registry import Registry
from devices.wire import reasons
from ingest import tally
from ingest.hearing import heard_of
from ingest.intake import Batch, Intake
from ingest.journal import JournalReader, Record
from ingest.judge import Judge, Known
from ingest.latency import Latency
from ingest.latest import Latest
from ingest.replaying import records_of, replayed_facts
from ingest.sequences import Downlink, Sequences
from ingest.speed import speed_tests_of
from storage.influx.spool import SpoolFullError
from storage.ledger import enrolment, quarantine
from storage.ledger import registry as ledger_registry
from storage.ledger import series as ledger_series
from storage.ledger import windows as ledger_windows
from storage.ledger.facts import DeviceSeen, Facts, Quarantined, commit
from storage.ledger.migrations import Ledger
from storage.ledger.sequences import find_sequence
from storage.series.store import SeriesStore

log = logging.getLogger(__name__)

REPLAY_BYTES = 4 * 2**20  # of payloads replayed together
SET_BACK_MS = 60_000  # smaller steps of the machine's clock do no harm


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is committed together, and how often the detectors' state is kept."""

    batch_messages: int
    snapshot_s: float


class Snapshot(msgspec.Struct):
    """What is kept in memory between batches, as of one journal position."""

    judge: Known
    sequences: bytes


class Processor:
    """One reader of one journal. Not thread-safe; `step` is called in a loop.

    Made by ingest.recovery.recover, which brings it to where the last commit left it.
    """

    def __init__(
        self,
        *,
        reader: JournalReader,
        ledger: Ledger,
        series: SeriesStore,
        registry: Registry,
        registry_version: int,
        catalogue: Catalogue,
        now_ms: Callable[[], int],
        limits: Limits,
    ) -> None:
        self.reader = reader
        self.catalogue = catalogue
        self.intake = Intake(registry, catalogue)
        self.judge = Judge(registry, catalogue)
        self.latest = Latest(catalogue)
        self.sequences = Sequences(partial(find_sequence, ledger))
        self.event_to_stored = Latency()
        self.event_to_alert = Latency()
        self._ledger = ledger
        self._series = series
        self._registry = registry
        self._registry_version = registry_version
        self._may_know_more = True  # than when accepted devices were last looked for
        self._windows_version = 0
        self._known_series = len(catalogue)
        self._now_ms = now_ms
        self._limits = limits
        self._connection = 0
        self._looked_ms = 0
        self._snapshot_at = time.monotonic()
        self._snapshot_due = False
        self._counted = reader.position  # every record below is in the totals

    def start(self, position: int) -> None:
        """Go on behind what is committed: everything below `position`."""
        self.reader.seek(position)
        self._counted = position

    @property
    def received(self) -> int:
        """Messages that the receiver has taken over since the journal began."""
        return self.reader.head.position

    @property
    def pending(self) -> int:
        """Messages in the journal that are not processed yet."""
        return self.received - self.reader.position

    @property
    def connected(self) -> bool:
        """Whether the receiver is connected to the broker."""
        return self.reader.head.connection(time.monotonic_ns()) > 0

    def step(self) -> int:
        """Process what the journal holds next, and time; returns how many records that was.

        Raises SpoolFullError where the series store has no room: the next step tries again.
        """
        records = self.reader.read(max_records=self._limits.batch_messages)
        try:
            self.process(records)
        except SpoolFullError:
            self.reader.seek(records[0].position)
            raise
        return len(records)

    def process(self, records: Sequence[Record]) -> None:
        """Store, judge and commit the records that were read last, and look at the time."""
        if not records:
            self._commit(Facts(position=self.reader.position), self._tick(()))
            return
        batch = self.intake.take(records)
        self._number_new_series()
        facts = self._store(batch)
        self.sequences.take(batch)
        findings = self.judge.hear(heard_of(batch)) + self._tick(records)
        changes = self._commit(facts, findings, processed=len(records))
        self._observe(batch, changes, findings)

    def snapshot(self) -> None:
        """Keep the detectors' state now, before a graceful stop."""
        self._snapshot_due = True
        self._commit(Facts(position=self.reader.position), [])

    def downlinks(self) -> list[tuple[str, Downlink]]:
        """What to tell devices now, each with its province; what is missing goes to the ledger."""
        downlinks, rows = self.sequences.look(self._now_ms())
        if rows:
            self._commit(Facts(position=self.reader.position, sequences=rows), [])
        known = self._registry.devices
        return [
            (self._registry.province_of(one.device), one)
            for one in downlinks
            if one.device in known
        ]

    def reload_registry(self) -> None:
        """Use the registry of the ledger if it was changed since it was read last."""
        version = ledger_registry.registry_version(self._ledger)
        if version != self._registry_version:
            self._registry = ledger_registry.load_registry(self._ledger)
            self._registry_version = version
            self._may_know_more = True
            self.intake.use(self._registry)
            self.judge.use(self._registry)
            self._series.forget_names()
            log.info("registry reloaded: %d devices", len(self._registry.devices))

    def reload_windows(self) -> None:
        """Go by the silences and maintenance windows of the ledger if any was changed."""
        version = ledger_windows.version(self._ledger)
        if version != self._windows_version:
            since_ms = self._now_ms() - ledger_windows.REVISED_MS
            found = ledger_windows.in_force(self._ledger, since_ms)
            self.judge.plan([_window(row) for row in found])
            self._windows_version = version
            log.info("windows reloaded: %d", len(found))

    def replay_requested(self) -> int:
        """Judge again what an operator asked to replay from quarantine; returns how many.

        That is also what a device sent before the registry that is used now knew it, where it was
        accepted since: nothing more of it is refused as unknown.
        """
        if self._may_know_more:
            enrolment.request_accepted(self._ledger, registry_version=self._registry_version)
            self._may_know_more = False
        held = quarantine.requested(
            self._ledger, limit=self._limits.batch_messages, max_bytes=REPLAY_BYTES
        )
        if not held:
            return 0
        batch = self.intake.take(records_of(held))
        self._number_new_series()
        new = self._series.write(batch.readings, first=-held[0].id, last=-held[-1].id)
        self.latest.take(batch.readings)
        if batch.arrivals:  # the journal does not hold them
            self.sequences.take(batch)
            self._snapshot_due = True
        facts = replayed_facts(
            held, batch, new, seen=self._seen(batch), position=self.reader.position
        )
        facts.speed_tests = speed_tests_of(batch, self.catalogue)
        self._commit(facts, [])
        return len(held)

    def _store(self, batch: Batch) -> Facts:
        last = self.reader.position
        new = self._series.write(batch.readings, first=self._counted, last=last)
        self.latest.take(batch.readings)
        counts = tally.totals(batch, new, tally.outcomes(batch, new))
        return Facts(
            position=last,
            quarantined=_quarantined(batch),
            device_seen=self._seen(batch),
            accounting=tally.accounting(batch, new),
            totals=dict(counts),
            speed_tests=speed_tests_of(batch, self.catalogue),
        )

    def _tick(self, records: Sequence[Record]) -> list[Finding]:
        """Look for silence, as of the time up to which everything that arrived is processed."""
        connection = self.reader.head.connection(time.monotonic_ns())
        now_ms = self._now_ms()
        is_set_back = now_ms < self._looked_ms - SET_BACK_MS
        if connection and (connection != self._connection or is_set_back):
            self.judge.resume(now_ms)
            self._snapshot_due = True
        self._connection = connection
        self._looked_ms = now_ms
        if not connection:
            return []
        if self.pending:
            now_ms = records[-1].received_ms if records else 0
        silence = self.judge.tick(now_ms)
        self._snapshot_due |= bool(silence) or self.judge.was_moved_by_time
        return silence

    def _commit(
        self, facts: Facts, findings: list[Finding], *, processed: int = 0
    ) -> list[AlertChange]:
        """Commit the facts and what the findings change; returns those changes.

        processed: of how many records the facts tell; what else lies before their position was
        damaged, and is counted as such.
        The detectors' state goes with them now and then, and always after a finding that time
        alone has made: a replay of the journal does not make it again.
        """
        now_ms = self._now_ms()
        damaged = facts.position - self._counted - processed
        if damaged:
            facts.totals = {**facts.totals, **_damage(facts.totals, damaged)}
            log.error("%d records of the journal were damaged and are lost", damaged)
        verdict = self.judge.conclude(findings, now_ms)
        facts.alert_changes, facts.incident_changes = verdict.alerts, verdict.incidents
        facts.bins, facts.incident_of = verdict.bins, verdict.parts
        facts.muted = self.judge.muted(verdict.alerts, now_ms)
        if self._snapshot_due or time.monotonic() - self._snapshot_at > self._limits.snapshot_s:
            state = Snapshot(self.judge.state(), self.sequences.state())
            facts.snapshot = (facts.position, msgspec.msgpack.encode(state))
            self._snapshot_due = False
            self._snapshot_at = time.monotonic()
        if facts != Facts(position=facts.position):
            commit(self._ledger, facts, now_ms=now_ms)
        self._counted = facts.position
        if facts.snapshot:
            self.reader.release(below=facts.position)
        return facts.alert_changes

    def _seen(self, batch: Batch) -> list[DeviceSeen]:
        seen_ms: dict[str, int] = {}
        first_ms: dict[str, int] = {}
        for source, record in zip(batch.sources, batch.records, strict=True):
            if source is not None:
                seen_ms[source.device.device] = record.received_ms
                first_ms.setdefault(source.device.device, record.received_ms)
        status = {}
        for index, said in batch.statuses:
            source = batch.sources[index]
            if source is not None:
                status[source.device.device] = msgspec.to_builtins(said)
        return [
            DeviceSeen(device, at_ms, self.latest.of(device), status.get(device), first_ms[device])
            for device, at_ms in seen_ms.items()
        ]

    def _observe(
        self, batch: Batch, changes: Sequence[AlertChange], findings: Sequence[Finding]
    ) -> None:
        now_ms = self._now_ms()
        self.event_to_stored.observe(now_ms - batch.round_at_ms[~batch.round_late])
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
        added = self.catalogue.added(self._known_series)
        if added:
            ledger_series.add_series(self._ledger, added)
            self._known_series = len(self.catalogue)


def _quarantined(batch: Batch) -> list[Quarantined]:
    usable = batch.usable
    return [
        Quarantined(
            received_ms=batch.records[n].received_ms,
            topic=batch.records[n].topic,
            device=_device_in(batch.records[n].topic),
            payload=batch.records[n].payload,
            refusals=refusals,
            whole=not usable[n],
        )
        for n, refusals in sorted(batch.refusals.items())
    ]


def _window(row: ledger_windows.WindowRow) -> Window:
    reach = Reach(row.scope_type, row.scope_id)  # type: ignore[arg-type]  # as the API took it
    kind: Any = row.kind
    return Window(row.window, kind, reach, row.start_ms, row.end_ms, row.author, row.reason)


def _damage(totals: dict[str, int], damaged: int) -> dict[str, int]:
    names = ("messages_quarantined", f"refused_{reasons.JOURNAL_DAMAGED}")
    return {name: totals.get(name, 0) + damaged for name in names}


def _device_in(topic: str) -> str:
    parts = topic.split("/")
    return parts[3] if len(parts) > 3 else ""

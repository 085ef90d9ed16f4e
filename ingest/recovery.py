"""Coming back: a processor that goes on exactly where the last commit left off."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from detection.findings import PLATFORM
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.registry import Registry
from ingest.hearing import heard_of
from ingest.journal import JournalReader, Record
from ingest.processor import Limits, Processor, Snapshot
from storage.ledger import alerts as ledger_alerts
from storage.ledger import device_states, progress
from storage.ledger import incidents as ledger_incidents
from storage.ledger.facts import Facts, commit
from storage.ledger.migrations import Ledger, LedgerError
from storage.ledger.registry import load_registry, registry_version
from storage.ledger.series import load_series
from storage.series.store import SeriesStore

log = logging.getLogger(__name__)

REBUILD_RECORDS = 4000  # judged at a time


def recover(
    *,
    reader: JournalReader,
    ledger: Ledger,
    series: SeriesStore,
    now_ms: Callable[[], int],
    limits: Limits,
) -> Processor:
    """A processor at the committed cursor, with detectors and alerts as they were there.

    The records between the last snapshot of the detectors and the cursor are judged again, which
    has no effect but on the detectors: all that followed from them is committed. Then a batch
    whose readings were stored, but whose facts were not committed, is processed as it was.
    Raises LedgerError where the ledger contradicts itself or the telemetry.
    """
    version = registry_version(ledger)  # first, so that a change meanwhile is seen later
    registry = load_registry(ledger)
    catalogue = _load_catalogue(ledger, registry)
    if series.highest() >= len(catalogue):
        raise LedgerError(
            f"the telemetry holds series {series.highest()}, the ledger knows {len(catalogue)}"
            " series: it is older than the telemetry, restore both from the same backup"
        )
    processor = Processor(
        reader=reader,
        ledger=ledger,
        series=series,
        registry=registry,
        registry_version=version,
        catalogue=catalogue,
        now_ms=now_ms,
        limits=limits,
    )
    for device, heard in device_states.load_heard(ledger).items():
        processor.latest.put(device, heard.latest)
    cursor = progress.position(ledger)
    kept = progress.load_snapshot(ledger)
    if kept is not None:
        _restore(processor, kept.state)
    processor.reload_windows()
    _rebuild(processor, kept.position if kept else 0, cursor, now_ms)
    _resolve_orphans(processor, ledger, now_ms())
    _resolve_orphaned_incidents(processor, ledger, now_ms())
    _finish_interrupted_batch(processor, series, cursor)
    return processor


def _restore(processor: Processor, state: bytes) -> None:
    try:
        snapshot = msgspec.msgpack.decode(state, type=Snapshot)
    except msgspec.MsgspecError as exc:
        log.warning("the snapshot is of another version (%s): detectors start afresh", exc)
        return
    processor.judge.restore(snapshot.judge)
    processor.sequences.restore(snapshot.sequences)


def _rebuild(processor: Processor, start: int, cursor: int, now_ms: Callable[[], int]) -> None:
    reader = processor.reader
    reader.seek(start)
    while reader.position < cursor:
        found = reader.read(max_records=min(REBUILD_RECORDS, cursor - reader.position))
        if not found:
            break
        records = [record for record in found if record.position < cursor]
        batch = processor.intake.take(records)
        processor.sequences.take(batch)
        findings = processor.judge.hear(heard_of(batch))
        processor.judge.conclude(findings, now_ms(), place=True)
    processor.start(cursor)


def _resolve_orphans(processor: Processor, ledger: Ledger, now_ms: int) -> None:
    """Resolve alerts that the ledger holds open but the detectors know nothing of.

    That is so only when their snapshot could not be used: what still holds then fires anew.
    """
    known = processor.judge.open_alerts()
    orphans = [
        row
        for row in ledger_alerts.open_alerts(ledger)
        if row.alert not in known and row.device != PLATFORM
    ]
    if orphans:
        log.warning("%d open alerts of an unknown past are resolved", len(orphans))
        changes = [
            ledger_alerts.change_of(row)._replace(state="resolved", event_ms=now_ms, at_ms=now_ms)
            for row in orphans
        ]
        facts = Facts(position=processor.reader.position, alert_changes=changes)
        commit(ledger, facts, now_ms=now_ms)


def _resolve_orphaned_incidents(processor: Processor, ledger: Ledger, now_ms: int) -> None:
    """Resolve incidents that the ledger holds open but the judge knows nothing of, as alerts."""
    known = processor.judge.open_incidents()
    orphans = [row for row in ledger_incidents.open_incidents(ledger) if row.incident not in known]
    if orphans:
        log.warning("%d open incidents of an unknown past are resolved", len(orphans))
        changes = [
            ledger_incidents.change_of(row)._replace(
                state="resolved", ended_ms=row.ended_ms or now_ms, at_ms=now_ms
            )
            for row in orphans
        ]
        facts = Facts(position=processor.reader.position, incident_changes=changes)
        commit(ledger, facts, now_ms=now_ms)


def _finish_interrupted_batch(processor: Processor, series: SeriesStore, cursor: int) -> None:
    applied = series.applied()
    if applied is not None and applied.first < 0:
        processor.replay_requested()
    if applied is None or not cursor == applied.first < applied.last:
        return
    reader = processor.reader
    if reader.head.position < applied.last:
        return  # the journal was lost, or the receiver has not looked how far it reaches
    records: list[Record] = []
    while reader.position < applied.last:
        found = reader.read(max_records=applied.last - reader.position)
        records += [record for record in found if record.position < applied.last]
    reader.seek(applied.last)
    processor.process(records)


def _load_catalogue(ledger: Ledger, registry: Registry) -> Catalogue:
    catalogue = Catalogue()
    for number, device_id, metric in load_series(ledger):
        device = registry.devices[device_id]
        if catalogue.add(device, KINDS[device.kind].metrics[metric]) != number:
            raise LedgerError(
                f"series {number} ({device_id} {metric}) is out of order in the ledger:"
                " restore it from a backup"
            )
    return catalogue

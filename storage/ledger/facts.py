"""What ingest commits of a batch: one transaction that holds all that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from detection.alerts import AlertChange
from detection.incidents.changes import IncidentChange
from detection.outages import Bin
from devices.wire.message import Refusal
from storage.ledger.alerts import apply_changes
from storage.ledger.bins import put_bins
from storage.ledger.events import Event, add_events
from storage.ledger.incidents import apply_incidents, attach_alerts
from storage.ledger.migrations import Ledger
from storage.ledger.progress import READER
from storage.ledger.schema import (
    accounting,
    device_states,
    progress,
    quarantine,
    snapshots,
    totals,
)
from storage.ledger.sequences import SequenceRow, put_sequences
from storage.ledger.speed_tests import SpeedTest, put_speed_tests
from storage.ledger.transactions import in_transaction
from storage.ledger.upsert import upsert

Latest = dict[str, tuple[int, float]]


class Quarantined(NamedTuple):
    """A message of which something was refused. whole: nothing of it could be used."""

    received_ms: int
    topic: str
    device: str
    payload: bytes
    refusals: Sequence[Refusal]
    whole: bool


class Replayed(NamedTuple):
    """What became of a message that was replayed from quarantine. refusals: what remains."""

    id: int
    refusals: Sequence[Refusal]
    whole: bool


class DeviceSeen(NamedTuple):
    """A device that was heard: receive time, all its newest readings, its status if it sent one.

    first_ms: receive time of the first of several messages. replayed_ms: receive time of a status
    that is replayed from quarantine; it counts only where nothing newer was heard since.
    """

    device: str
    seen_ms: int
    latest: Latest
    status: dict[str, Any] | None
    first_ms: int | None = None
    replayed_ms: int | None = None


@dataclass(slots=True)
class Facts:
    """Everything that follows from the journal up to `position`. Counts are added to the old."""

    position: int
    alert_changes: list[AlertChange] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    replayed: list[Replayed] = field(default_factory=list)
    device_seen: list[DeviceSeen] = field(default_factory=list)
    accounting: dict[tuple[str, int], tuple[int, int, int, int]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    sequences: list[SequenceRow] = field(default_factory=list)
    snapshot: tuple[int, bytes] | None = None
    incident_changes: list[IncidentChange] = field(default_factory=list)
    muted: Mapping[tuple[str, str], str] = field(default_factory=dict)  # why, by alert and state
    incident_of: dict[str, str] = field(default_factory=dict)  # by alert
    bins: list[Bin] = field(default_factory=list)
    speed_tests: list[SpeedTest] = field(default_factory=list)


def commit(ledger: Ledger, facts: Facts, *, now_ms: int) -> None:
    """Commit facts, all or none. Applying the same alert changes again changes nothing."""

    def put(connection: Connection) -> None:
        events = apply_changes(connection, facts.alert_changes, facts.muted)
        events += apply_incidents(connection, facts.incident_changes)
        attach_alerts(connection, facts.incident_of)
        put_bins(connection, facts.bins)
        put_speed_tests(connection, facts.speed_tests)
        events += _see_devices(connection, facts.device_seen, now_ms)
        _quarantine(connection, facts.quarantined)
        _conclude_replays(connection, facts.replayed, now_ms)
        _account(connection, facts)
        put_sequences(connection, facts.sequences)
        upsert(connection, progress, [{"reader": READER, "position": facts.position}])
        if facts.snapshot is not None:
            position, state = facts.snapshot
            row = {"name": READER, "position": position, "state": state}
            upsert(connection, snapshots, [row])
        add_events(connection, events)

    in_transaction(ledger, put)


def _see_devices(connection: Connection, seen: Sequence[DeviceSeen], now_ms: int) -> list[Event]:
    seen = _without_old_statuses(connection, seen)
    events = _changes_of_state(connection, seen, now_ms)
    rows = [
        {
            "device": one.device,
            "first_seen_ms": one.seen_ms if one.first_ms is None else one.first_ms,
            "last_seen_ms": one.seen_ms,
            "latest": one.latest,
        }
        for one in seen
    ]
    upsert(connection, device_states, rows, keep=["first_seen_ms"], largest=["last_seen_ms"])
    statuses = [
        {"which": one.device, "said": one.status["state"], "all_said": one.status}
        for one in seen
        if one.status is not None
    ]
    if statuses:
        connection.execute(
            update(device_states)
            .where(device_states.c.device == bindparam("which"))
            .values(state=bindparam("said"), status=bindparam("all_said")),
            statuses,
        )
    return events


def _without_old_statuses(
    connection: Connection, seen: Sequence[DeviceSeen]
) -> Sequence[DeviceSeen]:
    """Take from replayed devices the statuses that are older than what is known."""
    replayed = [one.device for one in seen if one.replayed_ms is not None]
    if not replayed:
        return seen
    query = select(device_states.c.device, device_states.c.last_seen_ms).where(
        device_states.c.device.in_(replayed), device_states.c.state.is_not(None)
    )
    heard_ms = dict(connection.execute(query).all())
    return [
        one._replace(status=None)
        if one.replayed_ms is not None and one.replayed_ms < heard_ms.get(one.device, 0)
        else one
        for one in seen
    ]


def _changes_of_state(
    connection: Connection, seen: Sequence[DeviceSeen], now_ms: int
) -> list[Event]:
    said = {one.device: one.status["state"] for one in seen if one.status is not None}
    if not said:
        return []
    query = select(device_states.c.device, device_states.c.state).where(
        device_states.c.device.in_(said)
    )
    before = dict(connection.execute(query).all())
    return [
        Event(now_ms, "device", {"device": device, "state": state})
        for device, state in said.items()
        if before.get(device) != state
    ]


def _quarantine(connection: Connection, quarantined: Sequence[Quarantined]) -> None:
    rows = [
        {
            "received_ms": one.received_ms,
            "topic": one.topic,
            "device": one.device,
            "payload": one.payload,
            "reason": one.refusals[0].reason,
            "refusals": _plain(one.refusals),
            "whole": one.whole,
            "state": "held",
        }
        for one in quarantined
    ]
    if rows:
        connection.execute(insert(quarantine), rows)


def _conclude_replays(connection: Connection, replayed: Sequence[Replayed], now_ms: int) -> None:
    """A replayed message of which something is still refused is held on, for its new reasons."""
    for one in replayed:
        values: dict[str, Any] = {"state": "replayed", "replayed_ms": now_ms}
        if one.refusals:
            values = {
                "state": "held",
                "reason": one.refusals[0].reason,
                "refusals": _plain(one.refusals),
                "whole": one.whole,
            }
        connection.execute(update(quarantine).where(quarantine.c.id == one.id).values(**values))


def _account(connection: Connection, facts: Facts) -> None:
    names = ("received", "late", "duplicate", "quarantined")
    rows = [
        {"device": device, "hour_ms": hour_ms, **dict(zip(names, counts, strict=True))}
        for (device, hour_ms), counts in facts.accounting.items()
    ]
    upsert(connection, accounting, rows, add=names)
    counts = [{"name": name, "value": value} for name, value in facts.totals.items() if value]
    upsert(connection, totals, counts, add=["value"])


def _plain(refusals: Sequence[Refusal]) -> list[dict[str, str]]:
    return [msgspec.to_builtins(refusal._asdict()) for refusal in refusals]

"""Incidents in the ledger: each as it is now, and every change that it went through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, insert, or_, select, update

from detection.incidents.changes import IncidentChange, Scope
from storage.ledger.events import Event
from storage.ledger.migrations import Ledger
from storage.ledger.schema import alerts, incident_changes, incidents
from storage.ledger.upsert import upsert


class IncidentRow(NamedTuple):
    """An incident as it is now. opened_at_ms, at_ms: when the platform first and last knew."""

    incident: str
    state: str
    scope_type: str
    scope_id: str
    cause: str
    phase: str
    confidence: float
    started_ms: int
    ended_ms: int | None
    opened_at_ms: int
    at_ms: int
    sites: list[str]
    devices: list[str]
    evidence: list[str]
    evidence_lo: list[str]


class IncidentFilter(NamedTuple):
    """Which incidents; None: any. state: "open" or "resolved". Times are about opening."""

    state: str | None = None
    cause: str | None = None
    scope: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


def apply_incidents(connection: Connection, changes: Sequence[IncidentChange]) -> list[Event]:
    """Apply changes in their order and return their events.

    A change that says what the last one of its incident said changes nothing. None opens an
    incident twice or changes one that is resolved.
    """
    known = _known(connection, {change.incident for change in changes})
    new: list[dict[str, Any]] = []
    for change in changes:
        row = _row(change)
        before = known.get(change.incident)
        if before is not None:
            if before["state"] == "resolved" or row["state"] == "open" or _same(before, row):
                continue
            row["opened_at_ms"] = before["opened_at_ms"]
        known[change.incident] = row
        new.append(row)
    upsert(connection, incidents, [known[name] for name in dict.fromkeys(_names(new))])
    if new:
        rows = [{"incident": r["incident"], "at_ms": r["at_ms"], "data": r} for r in new]
        connection.execute(insert(incident_changes), rows)
    return [Event(row["at_ms"], "incident", _as_event(row)) for row in new]


def attach_alerts(connection: Connection, incident_of: Mapping[str, str]) -> None:
    """Note of which incidents alerts have become parts; alerts that are not there are left out."""
    if incident_of:
        rows = [{"this": alert, "of": incident} for alert, incident in sorted(incident_of.items())]
        this = alerts.c.alert == bindparam("this")
        connection.execute(update(alerts).where(this).values(incident=bindparam("of")), rows)


def open_incidents(ledger: Ledger) -> list[IncidentRow]:
    """Every incident that is not resolved, the oldest first."""
    query = select(incidents).where(incidents.c.state != "resolved")
    query = query.order_by(incidents.c.opened_at_ms, incidents.c.incident)
    with ledger.read() as connection:
        return [IncidentRow(**row) for row in connection.execute(query).mappings()]


def list_incidents(
    ledger: Ledger,
    which: IncidentFilter,
    *,
    before: tuple[int, str] | None = None,
    limit: int,
) -> list[IncidentRow]:
    """At most `limit` incidents, the newest first, beginning behind (opened_at_ms, incident)."""
    opened, name = incidents.c.opened_at_ms, incidents.c.incident
    query = select(incidents)
    if which.state is not None:
        is_over = incidents.c.state == "resolved"
        query = query.where(is_over if which.state == "resolved" else ~is_over)
    if which.cause is not None:
        query = query.where(incidents.c.cause == which.cause)
    if which.scope is not None:
        query = query.where(incidents.c.scope_type == which.scope)
    if which.from_ms is not None:
        query = query.where(opened >= which.from_ms)
    if which.to_ms is not None:
        query = query.where(opened < which.to_ms)
    if before is not None:
        at_ms, last = before
        query = query.where(or_(opened < at_ms, and_(opened == at_ms, name < last)))
    query = query.order_by(opened.desc(), name.desc()).limit(limit)
    with ledger.read() as connection:
        return [IncidentRow(**row) for row in connection.execute(query).mappings()]


def get_incident(ledger: Ledger, incident: str) -> IncidentRow | None:
    """One incident, None where there is none of that id."""
    query = select(incidents).where(incidents.c.incident == incident)
    with ledger.read() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return None if row is None else IncidentRow(**row)


def changes_of(ledger: Ledger, incident: str) -> list[IncidentRow]:
    """What an incident was after each change, the oldest first."""
    query = select(incident_changes.c.data).where(incident_changes.c.incident == incident)
    with ledger.read() as connection:
        rows = connection.execute(query.order_by(incident_changes.c.id)).scalars()
        return [IncidentRow(**row) for row in rows]


def change_of(row: IncidentRow) -> IncidentChange:
    """The change that made an incident what it is."""
    return IncidentChange(
        at_ms=row.at_ms,
        incident=row.incident,
        state=row.state,  # type: ignore[arg-type]  # written by apply_incidents
        scope=Scope(row.scope_type, row.scope_id),  # type: ignore[arg-type]
        cause=row.cause,  # type: ignore[arg-type]
        phase=row.phase,  # type: ignore[arg-type]
        confidence=row.confidence,
        started_ms=row.started_ms,
        ended_ms=row.ended_ms,
        sites=tuple(row.sites),
        devices=tuple(row.devices),
        evidence=tuple(row.evidence),
        evidence_lo=tuple(row.evidence_lo),
    )


def _known(connection: Connection, names: set[str]) -> dict[str, dict[str, Any]]:
    if not names:
        return {}
    query = select(incidents).where(incidents.c.incident.in_(sorted(names))).with_for_update()
    rows = connection.execute(query.order_by(incidents.c.incident)).mappings()
    return {row["incident"]: dict(row) for row in rows}


def _row(change: IncidentChange) -> dict[str, Any]:
    row = change._asdict()
    scope = row.pop("scope")
    lists = {name: list(row.pop(name)) for name in ("sites", "devices", "evidence", "evidence_lo")}
    facts = {"scope_type": scope.type, "scope_id": scope.id, "opened_at_ms": change.at_ms}
    return {**row, **facts, **lists}


def _same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return all(before[n] == after[n] for n in after if n not in ("at_ms", "opened_at_ms"))


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["incident"] for row in rows]


def _as_event(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("at_ms", "opened_at_ms")}

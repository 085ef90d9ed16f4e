"""Incidents in the ledger: each as it is now, and every change that it went through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    bindparam,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from detection.incidents.changes import IncidentChange, Scope
from storage.ledger.events import Event
from storage.ledger.migrations import Ledger
from storage.ledger.schema import (
    alerts,
    handling,
    incident_changes,
    incident_sites,
    incidents,
    sites,
)
from storage.ledger.sight import members
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
    revision: int = 0  # how often operators have acted on it
    assigned_to: str | None = None
    closed_at_ms: int | None = None
    closed_by: str | None = None
    close_reason: str | None = None


class IncidentFilter(NamedTuple):
    """Which incidents; None: any. Times are about opening.

    state: "open", "closed" by an operator and not over, or "resolved". site: that is in it, and so
    province and agency. rule, severity: of an alert that is a part of it. text: that its evidence
    holds, in either language.
    """

    state: str | None = None
    cause: str | None = None
    scope: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    site: str | None = None
    province: str | None = None
    agency: str | None = None
    rule: str | None = None
    severity: str | None = None
    text: str | None = None


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
        places = {(site, row["incident"]) for row in new for site in row["sites"]}
        upsert(connection, incident_sites, [dict(zip(_PLACE, one, strict=True)) for one in places])
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
    query = _incidents().where(*_conditions(which))
    if which.text is not None:
        query = query.where(_is_seen_whole(ledger.engine.dialect.name))
    if before is not None:
        at_ms, last = before
        query = query.where(or_(opened < at_ms, and_(opened == at_ms, name < last)))
    query = query.order_by(opened.desc(), name.desc()).limit(limit)
    with ledger.read() as connection:
        return [IncidentRow(**row) for row in connection.execute(query).mappings()]


def get_incident(ledger: Ledger, incident: str) -> IncidentRow | None:
    """One incident, None where there is none of that id."""
    query = _incidents().where(incidents.c.incident == incident)
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


def _incidents() -> Select[Any]:
    work = [handling.c[name] for name in _WORK]
    revision = func.coalesce(handling.c.revision, 0).label("revision")
    mine = and_(handling.c.type == "incident", handling.c.subject == incidents.c.incident)
    return select(incidents, revision, *work).select_from(incidents.outerjoin(handling, mine))


_WORK = ("assigned_to", "closed_at_ms", "closed_by", "close_reason")


def _conditions(which: IncidentFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    is_over, is_closed = incidents.c.state == "resolved", handling.c.closed_at_ms.is_not(None)
    if which.state is not None:
        states = {"resolved": is_over, "closed": and_(~is_over, is_closed)}
        conditions.append(states.get(which.state, and_(~is_over, ~is_closed)))
    if which.cause is not None:
        conditions.append(incidents.c.cause == which.cause)
    if which.scope is not None:
        conditions.append(incidents.c.scope_type == which.scope)
    if which.from_ms is not None:
        conditions.append(incidents.c.opened_at_ms >= which.from_ms)
    if which.to_ms is not None:
        conditions.append(incidents.c.opened_at_ms < which.to_ms)
    if which.text is not None:
        held = [_held(incidents.c.evidence, which.text), _held(incidents.c.evidence_lo, which.text)]
        conditions.append(or_(*held))
    return conditions + _parts(which)


def _parts(which: IncidentFilter) -> list[ColumnElement[bool]]:
    """Conditions on the sites and the alerts of an incident."""
    conditions: list[ColumnElement[bool]] = []
    places = {"site": sites.c.site, "province": sites.c.province, "agency": sites.c.agency}
    asked = [column == getattr(which, n) for n, column in places.items() if getattr(which, n)]
    if asked:
        there = select(incident_sites.c.site).join(sites, incident_sites.c.site == sites.c.site)
        mine = incident_sites.c.incident == incidents.c.incident
        conditions.append(there.where(mine, *asked).exists())
    facts = {"rule": alerts.c.rule, "severity": alerts.c.severity}
    asked = [column == getattr(which, n) for n, column in facts.items() if getattr(which, n)]
    if asked:
        mine = alerts.c.incident == incidents.c.incident
        conditions.append(select(alerts.c.alert).where(mine, *asked).exists())
    return conditions


def _is_seen_whole(dialect: str) -> ColumnElement[bool]:
    """Whether all sites of an incident are in sight: else its evidence is not, nor to be guessed.

    To who sees everything, all are.
    """
    part = members(incidents.c.sites, dialect)
    mine = incident_sites.c.incident == incidents.c.incident
    seen = select(incident_sites.c.site).where(mine, incident_sites.c.site == part.c.value)
    return ~exists(select(1).select_from(part).where(~seen.correlate(incidents, part).exists()))


def _held(column: Column[Any], words: str) -> ColumnElement[bool]:
    """Whether the sentences of a JSON column hold these words."""
    return cast(column, String).icontains(words, autoescape=True)


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


_PLACE = ("site", "incident")


def _as_event(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("at_ms", "opened_at_ms")}

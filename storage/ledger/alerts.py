"""Alerts in the ledger: what ingest writes and operators read."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from detection.alerts import AlertChange
from storage.ledger.events import Event, add_events
from storage.ledger.migrations import Ledger
from storage.ledger.schema import alerts, devices, handling, incidents, sites
from storage.ledger.upsert import upsert

log = logging.getLogger(__name__)

OPEN = ("pending", "firing", "acknowledged", "closed")  # its condition goes on
STATES = (*OPEN, "resolved")
NOBODY: Mapping[tuple[str, str], str] = {}  # is kept from hearing
IDS_AT_ONCE = 10_000  # SQLite takes 32,766 parameters in a statement


class AlertRow(NamedTuple):
    """An alert, with where it stands. Times are None while they have not come."""

    alert: str
    state: str
    device: str
    site: str
    metric: str
    rule: str
    nature: str
    severity: str
    event_ms: int
    at_ms: int
    resolved_event_ms: int | None
    resolved_at_ms: int | None
    value: float | None
    expected_low: float | None
    expected_high: float | None
    text_en: str
    text_lo: str
    acknowledged_at_ms: int | None
    acknowledged_by: str | None
    comment: str | None
    incident: str | None
    backfilled: bool
    province: str | None
    kind: str | None
    agency: str | None
    cause: str | None  # of its incident
    revision: int  # how often operators have acted on it
    assigned_to: str | None
    closed_at_ms: int | None
    closed_by: str | None
    close_reason: str | None


class AlertFilter(NamedTuple):
    """Which alerts; None does not restrict. Times are of `at`, [from_ms, to_ms).

    cause: of their incident. text: that theirs holds, in either language, in any case of letters.
    """

    state: str | None = None  # one of STATES, or "open": firing or acknowledged
    severity: str | None = None
    province: str | None = None
    site: str | None = None
    device: str | None = None
    kind: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    agency: str | None = None
    rule: str | None = None
    cause: str | None = None
    incident: str | None = None
    text: str | None = None


def apply_changes(
    connection: Connection,
    changes: Sequence[AlertChange],
    muted: Mapping[tuple[str, str], str] = NOBODY,
) -> list[Event]:
    """Apply changes in their order and return the events of those that fired or resolved one.

    A change that was applied before, or that comes after a later state, changes nothing. An alert
    that ends while it is pending leaves no trace. Where another alert is open for the same device,
    metric and rule, as another writer may have opened it, ours stays out, and so does its end.
    One that was opened and closed in the past is in nobody's way.

    muted: why nobody is told of a change, by alert and state; the event says it.
    """
    before = _states(connection, {change.alert for change in changes})
    states = dict(before)
    opened: dict[str, dict[str, Any]] = {}
    ended: dict[str, dict[str, Any]] = {}
    events = []
    for change in changes:
        alert, state = change.alert, states.get(change.alert)
        if change.state in ("pending", "firing"):
            if state is not None and (state, change.state) != ("pending", "firing"):
                continue
            opened[alert] = _row(change)
            states[alert] = change.state
        elif state == "pending":
            opened.pop(alert, None)
            del states[alert]
        elif change.state == "resolved" and state in OPEN:
            (opened if alert in opened else ended).setdefault(alert, {}).update(_end(change))
            states[alert] = "resolved"
        else:
            continue
        if states.get(alert) in ("firing", "resolved"):
            why = {"muted": muted.get((alert, change.state))}
            events.append((alert, Event(change.at_ms, "alert", _as_event(change) | why)))
    gone = [alert for alert, state in before.items() if state == "pending" and alert not in states]
    _end_alerts(connection, gone, ended)
    upsert(connection, alerts, [row for alert, row in opened.items() if alert in before])
    refused = _open_alerts(connection, [r for alert, r in opened.items() if alert not in before])
    return [event for alert, event in events if alert not in refused]


def _states(connection: Connection, ids: set[str]) -> dict[str, str]:
    """State of each alert that there is."""
    found: dict[str, str] = {}
    asked = sorted(ids)
    for start in range(0, len(asked), IDS_AT_ONCE):
        part = asked[start : start + IDS_AT_ONCE]
        query = select(alerts.c.alert, alerts.c.state).where(alerts.c.alert.in_(part))
        found.update(connection.execute(query.order_by(alerts.c.alert).with_for_update()).all())
    return found


def _end_alerts(
    connection: Connection, gone: Sequence[str], ended: dict[str, dict[str, Any]]
) -> None:
    """Delete alerts and resolve others, before new ones may open in their place."""
    this = alerts.c.alert == bindparam("this")
    if gone:
        connection.execute(delete(alerts).where(this), [{"this": alert} for alert in gone])
    if ended:
        rows = [{"this": alert, **end} for alert, end in ended.items()]
        connection.execute(update(alerts).where(this), rows)


def _open_alerts(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert alerts; returns those that stay out, because another is open in their place.

    An insert waits for a writer that is just opening the other one. All wait in the same order.
    """
    ours = [row for row in rows if row["state"] == "resolved" and not row["backfilled"]]
    over = _taken(connection, ours)
    in_order = sorted((row for row in rows if row["alert"] not in over), key=_place)
    opened: set[str] = set()
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(alerts).on_conflict_do_nothing().returning(alerts.c.alert)
    if in_order:
        opened.update(connection.execute(statement, in_order).scalars())
    refused = [row for row in rows if row["alert"] not in opened]
    for row in refused:
        place = " ".join(_place(row))
        log.warning("alert %s stays out: another one is open for %s", row["alert"], place)
    return {row["alert"] for row in refused}


def _taken(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Which alerts, begun and ended already, came while another was open in their place."""
    place = tuple_(alerts.c.device, alerts.c.metric, alerts.c.rule)
    taken: set[tuple[str, ...]] = set()
    for start in range(0, len(rows), IDS_AT_ONCE):
        places = [_place(row) for row in rows[start : start + IDS_AT_ONCE]]
        query = select(alerts.c.device, alerts.c.metric, alerts.c.rule).where(
            alerts.c.state.in_(OPEN), place.in_(places)
        )
        taken.update(tuple(row) for row in connection.execute(query))
    return {row["alert"] for row in rows if _place(row) in taken}


def _place(row: dict[str, Any]) -> tuple[str, ...]:
    return row["device"], row["metric"], row["rule"]


def _row(change: AlertChange) -> dict[str, Any]:
    low, high = change.expected or (None, None)
    row = {name: getattr(change, name) for name in _SHARED}
    bounds = {"expected_low": low, "expected_high": high}
    return {**row, **bounds, "resolved_event_ms": None, "resolved_at_ms": None}


def _end(change: AlertChange) -> dict[str, Any]:
    """What the end changes; the text that says why it fired stays."""
    ended = {"resolved_event_ms": change.event_ms, "resolved_at_ms": change.at_ms}
    return {"state": "resolved", **ended}


_SHARED = (
    "alert", "state", "device", "site", "metric", "rule", "nature", "severity", "event_ms",
    "at_ms", "value", "text_en", "text_lo", "incident", "backfilled",
)  # fmt: skip


def _as_event(change: AlertChange) -> dict[str, Any]:
    return {name: getattr(change, name) for name in _SHARED} | {"expected": change.expected}


def list_alerts(
    ledger: Ledger,
    which: AlertFilter,
    *,
    before: tuple[int, str] | None = None,
    limit: int,
) -> list[AlertRow]:
    """At most `limit` alerts, newest first, beginning behind (at_ms, alert) `before`."""
    query = _alerts().where(*_conditions(which))
    if before is not None:
        at_ms, alert = before
        query = query.where(
            or_(alerts.c.at_ms < at_ms, and_(alerts.c.at_ms == at_ms, alerts.c.alert < alert))
        )
    query = query.order_by(alerts.c.at_ms.desc(), alerts.c.alert.desc()).limit(limit)
    with ledger.read() as connection:
        return [AlertRow(**row) for row in connection.execute(query).mappings()]


def get_alert(ledger: Ledger, alert: str) -> AlertRow | None:
    """One alert, None where there is none of that id."""
    with ledger.read() as connection:
        return get_in(connection, alert)


def open_alerts(ledger: Ledger) -> list[AlertRow]:
    """Every alert that is not resolved, the oldest first."""
    query = _alerts().where(alerts.c.state.in_(OPEN)).order_by(alerts.c.at_ms, alerts.c.alert)
    with ledger.read() as connection:
        return [AlertRow(**row) for row in connection.execute(query).mappings()]


def change_of(row: AlertRow) -> AlertChange:
    """The change that opened an alert; one that was acknowledged or closed is firing."""
    expected = None
    if row.expected_low is not None and row.expected_high is not None:
        expected = (row.expected_low, row.expected_high)
    fields = {name: getattr(row, name) for name in _SHARED} | {"expected": expected}
    state = "pending" if row.state == "pending" else "firing"
    return AlertChange(**{**fields, "state": state})


def put_changes(ledger: Ledger, changes: Sequence[AlertChange]) -> None:
    """Commit changes of alerts that follow from no message. Again, they change nothing."""
    with ledger.begin() as connection:
        add_events(connection, apply_changes(connection, changes))


def open_of_device(ledger: Ledger, device: str) -> list[AlertRow]:
    """Every alert of a device that is not resolved, the oldest first."""
    return [row for row in open_alerts(ledger) if row.device == device]


def event_of(row: AlertRow) -> dict[str, Any]:
    """An alert as an event tells of it, in the state that it has; the action is to be added."""
    state = {"state": row.state}
    expected = None if row.expected_low is None else (row.expected_low, row.expected_high)
    return {name: getattr(row, name) for name in _SHARED} | state | {"expected": expected}


def get_in(connection: Connection, alert: str) -> AlertRow | None:
    """One alert as the transaction sees it, None where there is none of that id."""
    row: RowMapping | None = (
        connection.execute(_alerts().where(alerts.c.alert == alert)).mappings().one_or_none()
    )
    return None if row is None else AlertRow(**row)


def _alerts() -> Select[Any]:
    work = [handling.c[name] for name in _WORK]
    revision = func.coalesce(handling.c.revision, 0).label("revision")
    return select(
        alerts, sites.c.province, sites.c.agency, devices.c.kind, incidents.c.cause, revision, *work
    ).select_from(
        alerts.outerjoin(sites, alerts.c.site == sites.c.site)
        .outerjoin(devices, alerts.c.device == devices.c.device)
        .outerjoin(incidents, alerts.c.incident == incidents.c.incident)
        .outerjoin(handling, and_(handling.c.type == "alert", handling.c.subject == alerts.c.alert))
    )


_WORK = ("assigned_to", "closed_at_ms", "closed_by", "close_reason")


def _conditions(which: AlertFilter) -> list[ColumnElement[bool]]:
    columns: dict[str, ColumnElement[Any]] = {
        "severity": alerts.c.severity,
        "province": sites.c.province,
        "site": alerts.c.site,
        "device": alerts.c.device,
        "kind": devices.c.kind,
        "agency": sites.c.agency,
        "rule": alerts.c.rule,
        "cause": incidents.c.cause,
        "incident": alerts.c.incident,
    }
    conditions = [
        column == getattr(which, name)
        for name, column in columns.items()
        if getattr(which, name) is not None
    ]
    if which.text is not None:
        texts = (alerts.c.text_en, alerts.c.text_lo)
        conditions.append(or_(*(text.icontains(which.text, autoescape=True) for text in texts)))
    if which.state == "open":
        conditions.append(alerts.c.state.in_(("firing", "acknowledged")))
    elif which.state is not None:
        conditions.append(alerts.c.state == which.state)
    if which.from_ms is not None:
        conditions.append(alerts.c.at_ms >= which.from_ms)
    if which.to_ms is not None:
        conditions.append(alerts.c.at_ms < which.to_ms)
    return conditions

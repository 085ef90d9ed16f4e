"""What operators do with alerts and incidents: acknowledge, comment, assign, close.

The book of ingest alone opens and resolves an alert. What operators do marks the open one: it stays
in its place, so that its condition cannot open another, until the book resolves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from storage.ledger.actions import (
    Deed,
    StaleError,
    Subject,
    add_action,
    digest_of,
    last_action,
    was_done,
)
from storage.ledger.alerts import AlertRow, event_of, get_in
from storage.ledger.events import Event, add_events
from storage.ledger.migrations import Ledger
from storage.ledger.schema import alerts, handling, incidents
from storage.ledger.transactions import in_transaction
from storage.ledger.upsert import upsert

CLOSABLE = ("firing", "acknowledged")


class Standing(NamedTuple):
    """What operators have made of an alert or an incident. revision: actions on it so far."""

    revision: int = 0
    assigned_to: str | None = None
    closed_at_ms: int | None = None
    closed_by: str | None = None
    close_reason: str | None = None
    close_text: str | None = None


class NotPossibleError(Exception):
    """What stands in `state` does not allow the action."""

    def __init__(self, subject: Subject, state: str, allowed: str) -> None:
        super().__init__(f"{subject.type} {subject.id} is {state}; {allowed}")
        self.state = state


class TakenError(Exception):
    """It is assigned to somebody else; who takes it over must say which revision they saw."""

    def __init__(self, assigned_to: str, revision: int) -> None:
        super().__init__(f"it is assigned to {assigned_to}")
        self.assigned_to = assigned_to
        self.revision = revision


class _Found(NamedTuple):
    """A subject as an action finds it, locked."""

    connection: Connection
    subject: Subject
    state: str
    standing: Standing


# What of `handling` an action changes; None: it says what is so already.
_Change = Callable[[_Found], Mapping[str, Any] | None]


def acknowledge(ledger: Ledger, alert: str, deed: Deed, *, by: str, comment: str) -> None:
    """Mark a firing alert as seen by somebody, until it is resolved or they take it back.

    The same words of the same person once more change nothing. Raises KeyError, NotPossibleError,
    StaleError, KeyReusedError, as all that follow.
    """

    def change(found: _Found) -> dict[str, Any] | None:
        row = _row(found)
        if row.state == "acknowledged" and (row.acknowledged_by, row.comment) == (by, comment):
            return None
        if row.state != "firing":
            raise NotPossibleError(found.subject, row.state, "only a firing one is acknowledged")
        _mark(found, "acknowledged", deed.at_ms, by, comment)
        _tell(found, deed, "acknowledge", comment)
        return {}

    _act(ledger, Subject("alert", alert), "acknowledge", deed, change, text=comment, by=by)


def unacknowledge(ledger: Ledger, alert: str, deed: Deed, *, text: str) -> None:
    """Take an acknowledgement back: the alert is firing again."""

    def change(found: _Found) -> dict[str, Any] | None:
        if found.state == "firing":
            return None
        if found.state != "acknowledged":
            allowed = "only an acknowledgement is taken back"
            raise NotPossibleError(found.subject, found.state, allowed)
        _mark(found, "firing", None, None, None)
        _tell(found, deed, "unacknowledge", text)
        return {}

    _act(ledger, Subject("alert", alert), "unacknowledge", deed, change, text=text)


def comment(ledger: Ledger, subject: Subject, deed: Deed, *, text: str) -> None:
    """Say something about an alert or an incident, also when it is over.

    The same words once more, with nothing between them, change nothing.
    """

    def change(found: _Found) -> dict[str, Any] | None:
        last = last_action(found.connection, subject)
        if last and (last.action, last.author_id, last.text) == ("comment", deed.author_id, text):
            return None
        return {}

    _act(ledger, subject, "comment", deed, change, text=text)


def assign(ledger: Ledger, subject: Subject, deed: Deed, *, to: str | None, text: str) -> None:
    """Give something into somebody's hands; None: into nobody's.

    Raises TakenError where it is in other hands and `deed` does not say which revision was seen.
    """

    def change(found: _Found) -> dict[str, Any] | None:
        standing = found.standing
        if standing.assigned_to == to:
            return None
        if standing.assigned_to is not None and deed.revision is None:
            raise TakenError(standing.assigned_to, standing.revision)
        return {"assigned_to": to}

    _act(ledger, subject, "assign", deed, change, text=text, to=to)


def close(ledger: Ledger, subject: Subject, deed: Deed, *, reason: str, text: str) -> None:
    """Put an open alert, or an incident with its open alerts, away.

    What it is about goes on being judged: it is resolved when it is over, and opens no other alert
    before that.
    """

    def change(found: _Found) -> dict[str, Any] | None:
        standing = found.standing
        if standing.closed_at_ms is not None:
            if (standing.close_reason, standing.close_text) == (reason, text):
                return None
            raise NotPossibleError(subject, "closed", "only what is open is closed")
        if subject.type == "alert":
            _close_alert(found, deed, text)
        elif found.state == "resolved":
            raise NotPossibleError(subject, found.state, "only what is open is closed")
        else:
            _close_alerts_of(found, deed, reason, text)
        return _closed(deed, reason, text)

    _act(ledger, subject, "close", deed, change, text=text, reason=reason)


def _act(
    ledger: Ledger,
    subject: Subject,
    action: str,
    deed: Deed,
    change: _Change,
    *,
    text: str,
    **data: Any,
) -> None:
    digest = digest_of(action, text, data)

    def put(connection: Connection) -> None:
        state = _lock(connection, subject)
        if was_done(connection, subject, deed, digest):
            return
        found = _Found(connection, subject, state, _standing(connection, subject))
        if deed.revision not in (None, found.standing.revision):
            raise StaleError(found.standing.revision)
        values = change(found)
        if values is None:
            return
        _stand(connection, subject, found.standing, values)
        add_action(connection, subject, action, deed, text=text, data=data, digest=digest)

    in_transaction(ledger, put)


def _lock(connection: Connection, subject: Subject) -> str:
    """The state of a subject, which nobody else can change before the transaction ends."""
    table, name = (
        (alerts, alerts.c.alert) if subject.type == "alert" else (incidents, incidents.c.incident)
    )
    query = select(table.c.state).where(name == subject.id).with_for_update()
    state: str | None = connection.execute(query).scalar_one_or_none()
    if state is None:
        raise KeyError(subject.id)
    return state


def _standing(connection: Connection, subject: Subject) -> Standing:
    columns = [handling.c[name] for name in Standing._fields]
    query = select(*columns).where(
        handling.c.type == subject.type, handling.c.subject == subject.id
    )
    row = connection.execute(query).one_or_none()
    return Standing() if row is None else Standing(*row)


def _stand(
    connection: Connection, subject: Subject, before: Standing, values: Mapping[str, Any]
) -> None:
    row = {**before._asdict(), **values, "revision": before.revision + 1}
    upsert(connection, handling, [{"type": subject.type, "subject": subject.id, **row}])


def _closed(deed: Deed, reason: str, text: str) -> dict[str, Any]:
    return {
        "closed_at_ms": deed.at_ms,
        "closed_by": deed.author,
        "close_reason": reason,
        "close_text": text,
    }


def _close_alert(found: _Found, deed: Deed, text: str) -> None:
    if found.state not in CLOSABLE:
        raise NotPossibleError(found.subject, found.state, "only what is open is closed")
    found.connection.execute(
        update(alerts).where(alerts.c.alert == found.subject.id).values(state="closed")
    )
    _tell(found, deed, "close", text)


def _close_alerts_of(found: _Found, deed: Deed, reason: str, text: str) -> None:
    query = select(alerts.c.alert, alerts.c.state).where(
        alerts.c.incident == found.subject.id, alerts.c.state.in_(CLOSABLE)
    )
    rows = found.connection.execute(query.order_by(alerts.c.alert).with_for_update()).all()
    for alert, state in rows:
        subject = Subject("alert", alert)
        standing = _standing(found.connection, subject)
        _close_alert(_Found(found.connection, subject, state, standing), deed, text)
        _stand(found.connection, subject, standing, _closed(deed, reason, text))
        data = {"reason": reason, "with": found.subject.id}
        add_action(found.connection, subject, "close", deed, text=text, data=data)


def _mark(
    found: _Found, state: str, at_ms: int | None, by: str | None, comment: str | None
) -> None:
    found.connection.execute(
        update(alerts)
        .where(alerts.c.alert == found.subject.id)
        .values(state=state, acknowledged_at_ms=at_ms, acknowledged_by=by, comment=comment)
    )


def _tell(found: _Found, deed: Deed, action: str, text: str) -> None:
    row = _row(found)
    data = event_of(row) | {"action": action, "by": deed.author, "comment": text}
    if action == "acknowledge":
        data["by"] = row.acknowledged_by
    add_events(found.connection, [Event(deed.at_ms, "alert", data)])


def _row(found: _Found) -> AlertRow:
    row = get_in(found.connection, found.subject.id)
    assert row is not None, "it is locked"
    return row

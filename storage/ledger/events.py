"""Events: what happened, numbered in the order in which it was committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, text

from storage.ledger.migrations import Ledger
from storage.ledger.schema import events

# The number that PostgreSQL knows the right to add events by; any other would do.
TURN = text("SELECT pg_advisory_xact_lock(7319840112)")


class Event(NamedTuple):
    """One thing that happened. type: alert, device or incident; data: a JSON object."""

    at_ms: int
    type: str
    data: dict[str, Any]


class NumberedEvent(NamedTuple):
    """A committed event. Numbers rise and are never used twice."""

    id: int
    at_ms: int
    type: str
    data: dict[str, Any]


def add_events(connection: Connection, added: Sequence[Event]) -> None:
    """Append events as the last act of a transaction.

    Who adds events in PostgreSQL waits until whoever does so already has committed. So numbers
    become visible in their order, and a reader that has seen one never misses a smaller one.
    """
    if added:
        if connection.dialect.name == "postgresql":
            connection.execute(TURN)
        connection.execute(insert(events), [event._asdict() for event in added])


def since(ledger: Ledger, after: int, limit: int) -> list[NumberedEvent]:
    """At most `limit` events numbered above `after`, oldest first."""
    query = select(events).where(events.c.id > after).order_by(events.c.id).limit(limit)
    with ledger.read() as connection:
        return [NumberedEvent(*row) for row in connection.execute(query)]


def last_id(ledger: Ledger) -> int:
    """The number of the newest event, 0 before the first."""
    with ledger.read() as connection:
        return connection.execute(select(func.max(events.c.id))).scalar() or 0


def oldest_id(ledger: Ledger) -> int:
    """The number of the oldest event that is kept, 0 before the first."""
    with ledger.read() as connection:
        return connection.execute(select(func.min(events.c.id))).scalar() or 0


def trim(ledger: Ledger, keep: int) -> int:
    """Delete all but the newest `keep` events, 1 or more; returns how many went."""
    with ledger.begin() as connection:
        newest = connection.execute(select(func.max(events.c.id))).scalar() or 0
        return connection.execute(delete(events).where(events.c.id <= newest - keep)).rowcount

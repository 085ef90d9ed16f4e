"""The audit: who wrote, who was refused, who read much; every row is chained to the one before.

A row that is changed or taken out later breaks the chain, and the database refuses both. Rows that
are cut off at the end are seen by who kept a later hash elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, text

from storage.ledger.migrations import Ledger
from storage.ledger.schema import audit
from storage.ledger.transactions import in_transaction

BEGINNING = "0" * 64
AT_ONCE = 1000
# The number that PostgreSQL knows the right to append by; any that no other lock has would do.
TURN = text("SELECT pg_advisory_xact_lock(7319840120)")


class Entry(NamedTuple):
    """What goes into the audit. at_ms: machine time. who: id of a key, or subject of a token."""

    at_ms: int
    what: str
    who: str = ""
    name: str = ""
    address: str = ""
    method: str = ""
    path: str = ""
    status: int | None = None
    subject: str = ""


class AuditRow(NamedTuple):
    """A row of the audit as it is kept."""

    id: int
    at_ms: int
    who: str
    name: str
    address: str
    what: str
    method: str
    path: str
    status: int | None
    subject: str
    previous: str
    hash: str


class Verdict(NamedTuple):
    """rows: how many are whole, from the first on. head: hash of the last of them.

    broken: id of the first row that is not, None for none; why: what is wrong with it.
    """

    rows: int
    head: str
    broken: int | None
    why: str


def append(connection: Connection, entry: Entry) -> int:
    """Append a row within a transaction, as one of its last acts; returns its id.

    Writers take turns until their commits, so that the chain never forks.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(TURN)
    query = select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)
    last = connection.execute(query).one_or_none()
    number, previous = (last.id, last.hash) if last else (0, BEGINNING)
    row = {"id": number + 1, **entry._asdict(), "previous": previous}
    connection.execute(insert(audit).values(**row, hash=digest_of(row)))
    return number + 1


def record(ledger: Ledger, entry: Entry) -> int:
    """Append a row in a transaction of its own; returns its id."""
    return in_transaction(ledger, lambda connection: append(connection, entry))


def digest_of(row: Mapping[str, Any]) -> str:
    """SHA-256 over `previous` and the JSON of all other columns but `hash`, keys in order."""
    content = {name: row[name] for name in sorted(row) if name not in ("previous", "hash")}
    canonical = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return sha256((row["previous"] + canonical).encode()).hexdigest()


def verify(ledger: Ledger, *, kept: tuple[int, str] | None = None) -> Verdict:
    """Recompute the chain up to its first broken row.

    kept: id and hash of a row as they were noted elsewhere; it must still be there like that.
    """
    with ledger.read() as connection:
        return _verify(_rows(connection), kept)


def _verify(rows: Iterable[AuditRow], kept: tuple[int, str] | None) -> Verdict:
    head, count = BEGINNING, 0
    for row in rows:
        if row.id != count + 1:
            return Verdict(count, head, count + 1, f"it is missing; the next one is {row.id}")
        if row.previous != head:
            return Verdict(count, head, row.id, "it does not follow from the row before")
        if digest_of(row._asdict()) != row.hash:
            return Verdict(count, head, row.id, "its content was changed")
        if kept is not None and kept[0] == row.id and kept[1] != row.hash:
            return Verdict(count, head, row.id, "it is not the one that was kept")
        head, count = row.hash, row.id
    if kept is not None and kept[0] > count:
        return Verdict(count, head, count + 1, f"rows up to {kept[0]} were there, and are missing")
    return Verdict(count, head, None, "")


def list_audit(ledger: Ledger, *, before: int | None = None, limit: int) -> list[AuditRow]:
    """At most `limit` rows, the newest first, beginning behind the id `before`."""
    query = select(audit)
    if before is not None:
        query = query.where(audit.c.id < before)
    with ledger.read() as connection:
        rows = connection.execute(query.order_by(audit.c.id.desc()).limit(limit)).mappings()
        return [AuditRow(**row) for row in rows]


def _rows(connection: Connection) -> Iterator[AuditRow]:
    """All rows in order."""
    last = 0
    while True:
        query = select(audit).where(audit.c.id > last).order_by(audit.c.id).limit(AT_ONCE)
        rows = connection.execute(query).mappings().all()
        yield from (AuditRow(**row) for row in rows)
        if len(rows) < AT_ONCE:
            return
        last = rows[-1]["id"]

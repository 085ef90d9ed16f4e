"""How far the processor has come in the journal, and the detectors' kept state."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import select, text

from storage.ledger.migrations import Ledger, LedgerAwayError
from storage.ledger.schema import progress, snapshots

READER = "processor"
# The number that PostgreSQL knows the right to move the cursor by; any other would do.
ALONE = text("SELECT pg_try_advisory_lock(7319840113)")


class KeptSnapshot(NamedTuple):
    """The detectors' state as of a journal position."""

    position: int
    state: bytes


@contextmanager
def alone(ledger: Ledger) -> Iterator[None]:
    """Be the only processor of a ledger in PostgreSQL, on whichever machine the others are.

    For SQLite the lock in the journal's directory is enough. Raises LedgerAwayError where another
    one is: it may be one of us whose connection the server does not know to be dead yet.
    """
    if ledger.engine.dialect.name != "postgresql":
        yield
        return
    with ledger.engine.connect() as connection:
        connection.detach()  # the lock ends with the connection, which must not go to the pool
        is_alone = connection.execute(ALONE).scalar_one()
        connection.commit()
        if not is_alone:
            raise LedgerAwayError(
                "another ingest processes into this ledger: stop one of the two, or give each a"
                " database of its own"
            )
        yield


def position(ledger: Ledger) -> int:
    """The journal position up to which everything is committed; 0 at the beginning."""
    query = select(progress.c.position).where(progress.c.reader == READER)
    with ledger.read() as connection:
        return connection.execute(query).scalar() or 0


def position_in(connection: sqlite3.Connection) -> int:
    """The same, as of a transaction over a ledger in SQLite."""
    row = connection.execute("SELECT position FROM progress WHERE reader = ?", (READER,)).fetchone()
    return int(row[0]) if row else 0


def load_snapshot(ledger: Ledger) -> KeptSnapshot | None:
    """The last snapshot, None before the first."""
    query = select(snapshots.c.position, snapshots.c.state).where(snapshots.c.name == READER)
    with ledger.read() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else KeptSnapshot(*row)

"""How far the processor has come in the journal, and the detectors' kept state."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from sqlalchemy import select

from storage.ledger.migrations import Ledger
from storage.ledger.schema import progress, snapshots

READER = "processor"


class KeptSnapshot(NamedTuple):
    """The detectors' state as of a journal position."""

    position: int
    state: bytes


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

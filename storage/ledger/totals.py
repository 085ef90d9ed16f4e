"""The exact counters of ingest: they move in the transaction that moves the cursor."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from storage.ledger.migrations import Ledger
from storage.ledger.progress import READER
from storage.ledger.schema import progress, totals


class Totals(NamedTuple):
    """Counters by name, and the journal position that they stand at, from one snapshot."""

    counts: dict[str, int]
    position: int


def read(ledger: Ledger) -> Totals:
    """All counters so far, consistent with the cursor."""
    with ledger.read() as connection:
        counts = dict(connection.execute(select(totals.c.name, totals.c.value)).all())
        query = select(progress.c.position).where(progress.c.reader == READER)
        return Totals(counts, connection.execute(query).scalar() or 0)

"""What came of each boot of each device by its own numbering, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from devices.sequences import Range
from storage.ledger.migrations import Ledger
from storage.ledger.schema import sequences
from storage.ledger.upsert import upsert


class SequenceRow(NamedTuple):
    """One boot: the highest number that came, what is waited for, what was given up.

    Ranges are first and last number, both included.
    """

    device: str
    boot: str
    highest: int
    waiting: list[Range]
    lost: list[Range]


def put_sequences(connection: Connection, rows: Sequence[SequenceRow]) -> None:
    """Replace what is known of these boots, within a transaction."""
    upsert(connection, sequences, [row._asdict() for row in rows])


def device_sequences(ledger: Ledger, device: str) -> list[SequenceRow]:
    """Every boot of a device, in order of name."""
    query = select(sequences).where(sequences.c.device == device).order_by(sequences.c.boot)
    with ledger.read() as connection:
        return [
            SequenceRow(
                row.device,
                row.boot,
                row.highest,
                [(first, last) for first, last in row.waiting],
                [(first, last) for first, last in row.lost],
            )
            for row in connection.execute(query)
        ]

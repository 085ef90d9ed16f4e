"""What came of each boot of each device by its own numbering, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, cast, or_, select

from devices.sequences import Range
from storage.ledger.migrations import Ledger
from storage.ledger.schema import devices, sequences, sites
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
        return [_row(row) for row in connection.execute(query)]


def find_sequence(ledger: Ledger, device: str, boot: str) -> SequenceRow | None:
    """One boot of a device, None where it is not known."""
    query = select(sequences).where(sequences.c.device == device, sequences.c.boot == boot)
    with ledger.read() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _row(row)


class Missing(NamedTuple):
    """Rounds that never came, by the devices' own numbering, over all time."""

    waiting: int
    lost: int


def missing_rounds(
    ledger: Ledger, *, device: str | None = None, province: str | None = None
) -> Missing:
    """The sum over the boots of a device, of the devices of a province, or of all."""
    query = select(sequences.c.waiting, sequences.c.lost).where(
        or_(*(cast(column, String) != "[]" for column in (sequences.c.waiting, sequences.c.lost)))
    )
    if device is not None:
        query = query.where(sequences.c.device == device)
    if province is not None:
        of_province = select(devices.c.device).join(sites, sites.c.site == devices.c.site)
        query = query.where(sequences.c.device.in_(of_province.where(sites.c.province == province)))
    with ledger.read() as connection:
        rows = connection.execute(query).all()
    return Missing(
        sum(_count(waiting) for waiting, _ in rows), sum(_count(lost) for _, lost in rows)
    )


def _count(ranges: Sequence[Sequence[int]]) -> int:
    return sum(last - first + 1 for first, last in ranges)


def _row(row: Any) -> SequenceRow:
    waiting, lost = ([(first, last) for first, last in part] for part in (row.waiting, row.lost))
    return SequenceRow(row.device, row.boot, row.highest, waiting, lost)

"""Quarantine: every message of which anything was refused, with its payload and the reasons."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, literal, select, update

from storage.ledger.migrations import Ledger
from storage.ledger.schema import quarantine

STATES = ("held", "requested", "replayed")


class QuarantineRow(NamedTuple):
    """A kept message. state: held, requested (to be replayed), replayed."""

    id: int
    received_ms: int
    topic: str
    device: str
    payload: bytes
    reason: str
    refusals: list[dict[str, str]]
    whole: bool
    state: str
    replayed_ms: int | None


class QuarantineFilter(NamedTuple):
    """Which messages; None does not restrict."""

    reason: str | None = None
    device: str | None = None
    state: str | None = None
    id: int | None = None


def list_quarantine(
    ledger: Ledger,
    which: QuarantineFilter,
    *,
    before: int | None = None,
    limit: int,
    payloads: bool = True,
) -> list[QuarantineRow]:
    """At most `limit` messages, newest first, beginning behind the id `before`.

    payloads: False leaves them empty, since each may be 256 KiB.
    """
    empty = literal(b"").label("payload")
    columns = [c if payloads or c.name != "payload" else empty for c in quarantine.c]
    query = select(*columns).where(*_conditions(which))
    if before is not None:
        query = query.where(quarantine.c.id < before)
    with ledger.read() as connection:
        rows = connection.execute(query.order_by(quarantine.c.id.desc()).limit(limit))
        return [QuarantineRow(*row) for row in rows]


def get_quarantined(ledger: Ledger, number: int) -> QuarantineRow | None:
    """One message, None where there is none of that id."""
    with ledger.read() as connection:
        row = connection.execute(select(quarantine).where(quarantine.c.id == number)).one_or_none()
    return None if row is None else QuarantineRow(*row)


def request_replay(ledger: Ledger, which: QuarantineFilter) -> list[int]:
    """Ask ingest to judge held messages again; returns their ids."""
    held = which._replace(state="held")
    with ledger.begin() as connection:
        ids = connection.execute(select(quarantine.c.id).where(*_conditions(held))).scalars().all()
        connection.execute(update(quarantine).where(*_conditions(held)).values(state="requested"))
    return list(ids)


def requested(ledger: Ledger, *, limit: int, max_bytes: int) -> list[QuarantineRow]:
    """Messages that wait for their replay, the oldest first.

    At most `limit`, and no more once their payloads hold max_bytes.
    """
    query = select(quarantine).where(quarantine.c.state == "requested")
    with ledger.read() as connection:
        rows = connection.execution_options(stream_results=True, yield_per=16).execute(
            query.order_by(quarantine.c.id).limit(limit)
        )
        found: list[QuarantineRow] = []
        for row in rows:
            found.append(QuarantineRow(*row))
            max_bytes -= len(found[-1].payload)
            if max_bytes <= 0:
                break
        rows.close()
        return found


def _conditions(which: QuarantineFilter) -> list[ColumnElement[bool]]:
    wanted: dict[str, Any] = which._asdict()
    return [quarantine.c[name] == value for name, value in wanted.items() if value is not None]

"""Quarantine: every message of which anything was refused, with its payload and the reasons."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, literal, select, update

from devices.wire import reasons
from storage.ledger.accounting import HOUR_MS
from storage.ledger.migrations import Ledger
from storage.ledger.schema import accounting, quarantine
from storage.ledger.upsert import upsert

NOTHING = {"received": 0, "late": 0, "duplicate": 0}
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


def request_replay(ledger: Ledger, which: QuarantineFilter, *, behind_ms: int = 0) -> list[int]:
    """Ask ingest to judge held messages again; returns their ids.

    Retained telemetry, which may be of any age, is taken only where `which` asks for it by reason
    or id. behind_ms: how far the platform's clock was behind when they came; their receive time is
    corrected by it, and with it the hour in which they are accounted for.
    """
    conditions = _conditions(which._replace(state="held"))
    if which.reason is None and which.id is None:
        conditions.append(quarantine.c.reason != reasons.RETAINED)
    with ledger.begin() as connection:
        if behind_ms:
            _correct_times(connection, conditions, behind_ms)
        ids = connection.execute(select(quarantine.c.id).where(*conditions)).scalars().all()
        connection.execute(update(quarantine).where(*conditions).values(state="requested"))
    return list(ids)


def _correct_times(
    connection: Connection, conditions: list[ColumnElement[bool]], behind_ms: int
) -> None:
    query = select(quarantine.c.device, quarantine.c.received_ms, quarantine.c.refusals)
    counts: Counter[tuple[str, int]] = Counter()
    for device, received_ms, refusals in connection.execute(query.where(*conditions)):
        count = sum(refusal["reason"] not in reasons.OF_NOBODY for refusal in refusals)
        counts[device, received_ms // HOUR_MS * HOUR_MS] -= count
        counts[device, (received_ms + behind_ms) // HOUR_MS * HOUR_MS] += count
    rows = [
        {"device": device, "hour_ms": hour_ms, **NOTHING, "quarantined": count}
        for (device, hour_ms), count in counts.items()
        if count
    ]
    upsert(connection, accounting, rows, add=[*NOTHING, "quarantined"])
    corrected = quarantine.c.received_ms + behind_ms
    connection.execute(update(quarantine).where(*conditions).values(received_ms=corrected))


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

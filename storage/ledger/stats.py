"""Heartbeats: each running process leaves its time and its gauges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import select

from storage.ledger.migrations import Ledger
from storage.ledger.schema import process_stats
from storage.ledger.upsert import upsert


class Beat(NamedTuple):
    """The last heartbeat of a process: platform time and what it said."""

    at_ms: int
    data: dict[str, Any]


def beat(ledger: Ledger, process: str, now_ms: int, data: Mapping[str, Any]) -> None:
    """Leave a heartbeat."""
    with ledger.begin() as connection:
        row = {"process": process, "at_ms": now_ms, "data": dict(data)}
        upsert(connection, process_stats, [row])


def read(ledger: Ledger) -> dict[str, Beat]:
    """The last heartbeat of every process that ever left one."""
    with ledger.read() as connection:
        rows = connection.execute(select(process_stats)).all()
    return {row.process: Beat(row.at_ms, row.data) for row in rows}

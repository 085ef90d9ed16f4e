"""What was last heard of each device."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from storage.ledger.migrations import Ledger
from storage.ledger.schema import device_states


class Heard(NamedTuple):
    """When a device was heard last (receive time) and its newest readings."""

    last_seen_ms: int
    latest: dict[str, tuple[int, float]]


def load_heard(ledger: Ledger) -> dict[str, Heard]:
    """Every device that was ever heard."""
    query = select(device_states.c.device, device_states.c.last_seen_ms, device_states.c.latest)
    with ledger.read() as connection:
        return {
            device: Heard(seen_ms, {name: tuple(pair) for name, pair in latest.items()})
            for device, seen_ms, latest in connection.execute(query)
        }

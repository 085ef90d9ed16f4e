"""Speed tests in the ledger: the rounds of probes that held one, with the round trip beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, delete

from storage.ledger.migrations import Ledger
from storage.ledger.schema import speed_tests
from storage.ledger.upsert import upsert

DAY_MS = 86_400_000


class SpeedTest(NamedTuple):
    """One test of one probe. rtt_ms, sent, rcvd: of the same round's pings in the country."""

    device: str
    at_ms: int
    down_mbps: float | None
    up_mbps: float | None
    rtt_ms: float | None = None
    sent: float | None = None
    rcvd: float | None = None


def put_speed_tests(connection: Connection, tests: Iterable[SpeedTest]) -> None:
    """Keep tests; the same device and time again replaces what was measured then."""
    last = {(one.device, one.at_ms): one._asdict() for one in tests}
    upsert(connection, speed_tests, list(last.values()))


def trim_speed_tests(ledger: Ledger, now_ms: int, *, keep_days: int) -> int:
    """Delete the tests of more than keep_days ago; returns how many."""
    before_ms = now_ms - keep_days * DAY_MS
    with ledger.begin() as connection:
        return connection.execute(
            delete(speed_tests).where(speed_tests.c.at_ms < before_ms)
        ).rowcount

"""Bins in the ledger: five minutes of a site, the last revision of each."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select

from detection.outages import Bin
from storage.ledger.bin_days import put_days
from storage.ledger.migrations import Ledger
from storage.ledger.schema import bin_days, bins
from storage.ledger.upsert import upsert

DAY_MS = 86_400_000
DELETED_AT_ONCE_MS = 3_600_000  # of bins, so that no transaction is long


def put_bins(connection: Connection, changed: Sequence[Bin]) -> None:
    """Put bins in place of their earlier revisions; of several of one the last one stays.

    The days that they lie in say the same from then on.
    """
    last = {(one.site, one.start_ms): one for one in changed}
    upsert(connection, bins, [one._asdict() for one in last.values()])
    put_days(connection, last.values())


def bins_of(ledger: Ledger, site: str, from_ms: int, to_ms: int) -> list[Bin]:
    """The bins of a site that begin within [from_ms, to_ms), in order."""
    query = (
        select(bins)
        .where(bins.c.site == site, bins.c.start_ms >= from_ms, bins.c.start_ms < to_ms)
        .order_by(bins.c.start_ms)
    )
    with ledger.read() as connection:
        return [Bin(**row) for row in connection.execute(query).mappings()]


def trim_bins(ledger: Ledger, now_ms: int, *, keep_days: int) -> int:
    """Delete the oldest bins that began more than keep_days ago; returns how many.

    At most an hour of them goes at a time: call it again and again. A day goes when the last of
    its bins has gone.
    """
    before_ms = now_ms - keep_days * DAY_MS
    with ledger.read() as connection:
        oldest = connection.execute(select(func.min(bins.c.start_ms))).scalar()
    if oldest is None or oldest >= before_ms:
        return 0
    until_ms = min(before_ms, oldest + DELETED_AT_ONCE_MS)
    with ledger.begin() as connection:
        connection.execute(delete(bin_days).where(bin_days.c.day_ms <= until_ms - DAY_MS))
        return connection.execute(delete(bins).where(bins.c.start_ms < until_ms)).rowcount

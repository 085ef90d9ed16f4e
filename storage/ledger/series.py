"""The numbers of series."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select

from storage.ledger.migrations import Ledger
from storage.ledger.schema import series


def add_series(ledger: Ledger, added: Sequence[tuple[int, str, str]]) -> None:
    """Commit new (number, device, metric). A number or a series that exists is an error."""
    with ledger.begin() as connection:
        connection.execute(
            insert(series),
            [{"number": n, "device": device, "metric": metric} for n, device, metric in added],
        )


def load_series(ledger: Ledger) -> list[tuple[int, str, str]]:
    """Every (number, device, metric), in order of number."""
    with ledger.read() as connection:
        rows = connection.execute(select(series).order_by(series.c.number))
        return [(number, device, metric) for number, device, metric in rows]


def series_of(ledger: Ledger, devices: Sequence[str]) -> list[tuple[int, str, str]]:
    """(number, device, metric) of all series of some devices, in order of number."""
    query = select(series).where(series.c.device.in_(devices)).order_by(series.c.number)
    with ledger.read() as connection:
        return [(number, device, metric) for number, device, metric in connection.execute(query)]

"""Transactions that are made again where PostgreSQL took their place for another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from storage.ledger.migrations import Ledger

log = logging.getLogger(__name__)

T = TypeVar("T")

# https://www.postgresql.org/docs/current/errcodes-appendix.html: serialization_failure,
# deadlock_detected. Both say: all is rolled back, begin again.
BEGIN_AGAIN = ("40001", "40P01")
TRIES = 8


def in_transaction(ledger: Ledger, work: Callable[[Connection], T]) -> T:
    """What `work` returns after its transaction was committed.

    `work` may run several times; only its last run has an effect. Raises what it raises, and
    OperationalError where the ledger does not take it after several tries.
    """
    for _ in range(TRIES - 1):
        try:
            with ledger.begin() as connection:
                return work(connection)
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) not in BEGIN_AGAIN:
                raise
            log.info("the ledger wants a transaction again: %s", exc.orig)
    with ledger.begin() as connection:
        return work(connection)

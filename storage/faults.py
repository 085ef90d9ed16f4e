"""What a store's refusal of a write means: trouble around it, which passes, or an error of ours."""

from __future__ import annotations

import sqlite3
from typing import Literal

import psycopg
from sqlalchemy.exc import DBAPIError

STORE_ERRORS = (sqlite3.OperationalError, DBAPIError)
StoreError = sqlite3.OperationalError | DBAPIError
Trouble = Literal["full", "away"]

PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PROTOCOL,  # the lock of the write-ahead log, after many tries
)
DISK_FULL = "53100"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


def trouble_of(exc: StoreError) -> Trouble | None:
    """full: its disk is full. away: it does not answer, or takes nothing now. None: a bug."""
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return "full"
        return "away" if code in PASSING else None
    if getattr(cause, "sqlstate", None) == DISK_FULL:
        return "full"
    return "away" if isinstance(exc, DBAPIError) and is_away(exc) else None


def is_away(exc: DBAPIError) -> bool:
    """Whether PostgreSQL went away, or could not do now what it may do later.

    That is a lost connection, a shutdown, a deadlock. Nothing of the transaction is committed, or,
    where the connection broke at its very end, all of it.
    """
    causes = (psycopg.OperationalError, psycopg.InterfaceError)
    return exc.connection_invalidated or isinstance(exc.orig, causes)


def words_of(exc: StoreError) -> str:
    """What the store said, in one line."""
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    return " ".join(str(cause).split())


def is_of_ledger(exc: StoreError) -> bool:
    """Whether the ledger said it; else a store of telemetry."""
    return isinstance(exc, DBAPIError)

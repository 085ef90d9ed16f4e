"""SQLite's write-ahead log: readers never wait for the writer, what is committed is on disk."""

from __future__ import annotations

import sqlite3
import time

BUSY_S = 10.0  # a writer waits this long for another one's transaction
RETRY_S = 0.01


def prepare(connection: sqlite3.Connection) -> None:
    """Make a new connection wait when the file is busy, commit durably and use the log.

    Transactions are begun by hand from now on. Raises sqlite3.OperationalError when the file
    stays locked.
    """
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
    _switch_to_log(connection)
    connection.execute("PRAGMA synchronous = FULL")


def _switch_to_log(connection: sqlite3.Connection) -> None:
    """SQLite itself does not wait where several processes switch one new file at once."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            locked = exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not locked or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_S)

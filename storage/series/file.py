"""The file of the telemetry: its tables, its version, and connections to it."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from storage import wal
from storage.series import batches, retention, roll_ups

SCHEMA_VERSION = 1
# The last page of every series is written in turn: 2,000 series fit, the next ones are read from
# the page cache of the operating system.
WRITER_CACHE_KIB = 8192
CHECKPOINT_PAGES = 4000  # 16 MiB of log: every page that a batch touches is copied less often

SCHEMA = f"""
CREATE TABLE raw (
    series INTEGER, at_ms INTEGER, value REAL NOT NULL, lag_ms INTEGER NOT NULL,
    PRIMARY KEY (series, at_ms)
) WITHOUT ROWID;
{batches.SCHEMA}{roll_ups.SCHEMA}
{retention.SCHEMA}
"""


class SeriesError(Exception):
    """The file of the telemetry cannot be used; the text says what to do."""


class SeriesFile:
    """Connections to one file, lent to one thread at a time and kept for the next."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        """The file is made where it does not exist, also for readers. Raises SeriesError."""
        self._path = path
        self._read_only = read_only
        self._idle: deque[sqlite3.Connection] = deque()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path, SCHEMA, version=SCHEMA_VERSION, holds="telemetry")
        except (OSError, sqlite3.DatabaseError) as exc:
            raise SeriesError(f"{path} cannot be opened: {exc}") from exc

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection outside of any transaction; one that is left open is taken back."""
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """A transaction, all or nothing. begin: "BEGIN" to read one moment, "BEGIN IMMEDIATE"."""
        with self.connection() as connection:
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close every connection; none may be in use."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False)
        wal.prepare(connection)
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if self._read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        return connection


def make(path: Path, schema: str, *, version: int, holds: str) -> None:
    """Make a file with these tables where there is none; any number of processes at once.

    Raises SeriesError where it was written by a newer govsense, or holds something else.
    """
    with closing(sqlite3.connect(path)) as connection:
        wal.prepare(connection)
        connection.execute("BEGIN IMMEDIATE")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if found > version:
            raise SeriesError(
                f"{path} has version {found}, this govsense knows up to"
                f" {version}: install the govsense that wrote it, or a newer one"
            )
        if found == 0 and tables:
            raise SeriesError(f"{path} holds something else than {holds}")
        if found == 0:
            for statement in schema.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")

"""The spool: lines that wait for InfluxDB, in one SQLite file, and lines that it refused."""

from __future__ import annotations

import sqlite3
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from storage import wal
from storage.influx import stored_times
from storage.series import batches
from storage.series.file import SeriesError, make
from storage.series.levels import RAW

SCHEMA_VERSION = 1
DEFAULT_MAX_BYTES = 4 << 30
COMPRESSION = 1  # lines shrink to a fifth at 150 MB/s

SCHEMA = f"""
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, level_ms INTEGER NOT NULL, count INTEGER NOT NULL,
    crc INTEGER NOT NULL, lines BLOB NOT NULL
);
CREATE TABLE refused (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, line TEXT NOT NULL,
    status INTEGER NOT NULL, text TEXT NOT NULL
);
CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counts VALUES
    ('bytes', 0), ('lines', 0), ('drained', 0), ('refused', 0), ('damaged', 0),
    ('checkpoint', 0), ('rolled', 0);
CREATE TABLE marks (
    level_ms INTEGER, start_ms INTEGER, series INTEGER, batch INTEGER NOT NULL,
    PRIMARY KEY (level_ms, start_ms, series)
) WITHOUT ROWID;
{batches.SCHEMA}
{stored_times.SCHEMA}
"""


class SpoolFullError(Exception):
    """The spool holds as much as it may; nothing was written, and room comes by draining."""


class Batch(NamedTuple):
    """Lines for the database of one level, raw or a roll-up. size: how many there were.

    Where the file does not hold what was written to it, there are no lines.
    """

    id: int
    level_ms: int
    size: int
    lines: list[bytes]


class Refused(NamedTuple):
    """A line that InfluxDB refused, and what it said. status: HTTP."""

    line: str
    status: int
    text: str


class Counts(NamedTuple):
    """How much waits, and what became of the rest.

    bytes, lines: waiting now. refused, damaged: lines since the beginning; damaged ones are lost,
    because the file does not hold what was written to it. drained: last batch that left.
    checkpoint: batch up to which roll-ups may be made, rolled: up to which they were.
    """

    bytes: int
    lines: int
    drained: int
    refused: int
    damaged: int
    checkpoint: int
    rolled: int


class Spool:
    """One file, used by any number of threads and processes; one of them drains."""

    def __init__(
        self, path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, read_only: bool = False
    ) -> None:
        """The file is made where it does not exist. Raises SeriesError.

        max_bytes: bound of the waiting lines, as they lie on disk.
        """
        self._path = path
        self.max_bytes = max_bytes
        self._read_only = read_only
        self._idle: deque[sqlite3.Connection] = deque()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path, SCHEMA, version=SCHEMA_VERSION, holds="a spool")
        except (OSError, sqlite3.DatabaseError) as exc:
            raise SeriesError(f"{path} cannot be opened: {exc}") from exc

    def close(self) -> None:
        """Close every connection; none may be in use."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """A transaction, all or nothing, on disk when it ends. begin: "BEGIN" to read one moment.

        Its connection is lent to one thread at a time, and kept for the next.
        """
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

    def append(
        self, connection: sqlite3.Connection, lines: Sequence[str], *, level_ms: int = RAW
    ) -> int:
        """Add a batch within the caller's transaction; returns its number.

        Raises SpoolFullError where there is no room.
        """
        text = "\n".join(lines).encode()
        packed = zlib.compress(text, COMPRESSION)
        if counts_of(connection).bytes + len(packed) > self.max_bytes:
            raise SpoolFullError(f"the spool {self._path} holds {self.max_bytes >> 20} MiB")
        added = connection.execute(
            "INSERT INTO batches (level_ms, count, crc, lines) VALUES (?, ?, ?, ?)",
            (level_ms, len(lines), zlib.crc32(text), packed),
        )
        _count(connection, bytes=len(packed), lines=len(lines))
        return int(added.lastrowid or 0)

    def waiting(self, *, after: int = 0, most_lines: int) -> list[Batch]:
        """The oldest batches after a number, of one level: one, or as many as fit in a bound."""
        found: list[Batch] = []
        lines = 0
        with self.transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT id, level_ms, count, crc, lines FROM batches WHERE id > ? ORDER BY id",
                (after,),
            )
            for number, level_ms, count, crc, packed in rows:
                lines += count
                if found and (lines > most_lines or level_ms != found[0].level_ms):
                    break
                found.append(Batch(number, level_ms, count, _unpacked(packed, crc)))
        return found

    def drained(self, last: int, *, refused: Sequence[Refused], damaged: int, now_ms: int) -> None:
        """Forget the batches up to a number; keep the lines of them that were refused.

        damaged: how many lines of them were not there any more.
        """
        with self.transaction() as connection:
            held, lines = connection.execute(
                "SELECT coalesce(sum(length(lines)), 0), coalesce(sum(count), 0) FROM batches"
                " WHERE id <= ?",
                (last,),
            ).fetchone()
            connection.execute("DELETE FROM batches WHERE id <= ?", (last,))
            connection.executemany(
                "INSERT INTO refused (at_ms, line, status, text) VALUES (?, ?, ?, ?)",
                [(now_ms, *one) for one in refused],
            )
            _count(
                connection,
                bytes=-held,
                lines=-lines,
                refused=len(refused),
                damaged=damaged,
            )
            set_count(connection, "drained", last)

    def refused(self, *, limit: int, before: int | None = None) -> list[tuple[int, int, Refused]]:
        """(id, at_ms, line) of lines that InfluxDB refused, the newest first."""
        with self.transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT id, at_ms, line, status, text FROM refused"
                " WHERE id < coalesce(?, id + 1) ORDER BY id DESC LIMIT ?",
                (before, limit),
            ).fetchall()
        return [(number, at_ms, Refused(*rest)) for number, at_ms, *rest in rows]

    def counts(self) -> Counts:
        """How much waits, and what became of the rest."""
        with self.transaction("BEGIN") as connection:
            return counts_of(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False)
        wal.prepare(connection)
        if self._read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection


def counts_of(connection: sqlite3.Connection) -> Counts:
    """`Spool.counts` within a transaction."""
    found = dict(connection.execute("SELECT name, value FROM counts").fetchall())
    return Counts(**found)


def set_count(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Set one of the counts within a transaction."""
    connection.execute("UPDATE counts SET value = ? WHERE name = ?", (value, name))


def newest_batch(connection: sqlite3.Connection) -> int:
    """The number of the batch that was added last, 0 before the first."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'").fetchone()
    return 0 if row is None else int(row[0])


def _count(connection: sqlite3.Connection, **deltas: int) -> None:
    connection.executemany(
        "UPDATE counts SET value = value + ? WHERE name = ?",
        [(delta, name) for name, delta in deltas.items()],
    )


def _unpacked(packed: bytes, crc: int) -> list[bytes]:
    """The lines of a batch, none where the file does not hold what was written."""
    try:
        text = zlib.decompress(packed)
    except zlib.error:
        return []
    return text.split(b"\n") if zlib.crc32(text) == crc else []

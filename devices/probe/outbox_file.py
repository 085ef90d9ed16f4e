"""The outbox's file: opened, locked for one process, and put aside where it cannot be read."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)

IN_MEMORY = ":memory:"
DAMAGED = ".damaged"  # suffix of a file that SQLite can no longer read

SCHEMA = """
CREATE TABLE IF NOT EXISTS boots (number INTEGER PRIMARY KEY, boot TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS rounds (
    boot INTEGER NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, said BLOB NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (boot, seq)
);
DELETE FROM boots WHERE number NOT IN (SELECT DISTINCT boot FROM rounds);
"""


class OutboxError(OSError):
    """The file cannot be written or is used by another process; nothing was changed."""


def open_file(path: Path | str) -> sqlite3.Connection:
    """A connection that holds the only lock, with the tables made; ":memory:" for one without file.

    Raises OutboxError where the file cannot be opened or another process has it.
    """
    try:
        return _connect(path)
    except sqlite3.OperationalError as exc:
        raise OutboxError(f"{path}: {exc}") from exc
    except sqlite3.DatabaseError as exc:
        log.warning("%s cannot be read (%s): put aside as %s%s", path, exc, path, DAMAGED)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    os.replace(path, f"{path}{DAMAGED}")
    return _connect(path)


def _connect(path: Path | str) -> sqlite3.Connection:
    if path != IN_MEMORY:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=1, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        db.executescript(SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db

"""A SQLite file as it was at one moment, copied while others write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from storage.backup.manifest import BackupError, Progress
from storage.wal import BUSY_S

PAGES = 2048  # copied between two words about the progress: 8 MiB


class Snapshot:
    """Holds one moment of a file: a read transaction, which in WAL mode stops no writer.

    The log of the file grows while it is held. Close it when done.
    """

    def __init__(self, path: Path) -> None:
        """Raises BackupError where there is no database."""
        self.path = path
        try:
            self._watching = _connect(path)
            self._version = _data_version(self._watching)
            self.connection = _connect(path)
            self.connection.execute("BEGIN")
            self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as exc:
            raise BackupError(f"{path} cannot be read: {exc}") from exc

    def is_current(self) -> bool:
        """Whether nothing was committed to the file since."""
        return _data_version(self._watching) == self._version

    def copy_to(self, target: Path, progress: Progress) -> None:
        """Write the moment to a new file, which is then on disk. Raises sqlite3.DatabaseError."""
        page_bytes = self.connection.execute("PRAGMA page_size").fetchone()[0]

        def tell(status: int, remaining: int, total: int) -> None:
            done = (total - remaining) * page_bytes
            progress(f"copy {target.name}", done, total * page_bytes)

        with closing(sqlite3.connect(target)) as copy:
            self.connection.backup(copy, pages=PAGES, progress=tell)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it

    def close(self) -> None:
        """Let the moment go."""
        self.connection.close()
        self._watching.close()


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode=rw"  # makes no file where there is none
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
    return connection


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])

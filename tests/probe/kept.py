"""What is in an outbox that a process holds."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

QUERY = "SELECT boots.boot, seq FROM rounds JOIN boots ON number = rounds.boot"


def kept_in(file: Path) -> list[tuple[str, int]]:
    """Boot and number of the rounds in a copy of the file; none where that is not whole."""
    copy = file.with_name("copy.db")
    for suffix in ("", "-wal"):
        if not Path(f"{file}{suffix}").exists():
            return []
        shutil.copyfile(f"{file}{suffix}", f"{copy}{suffix}")
    Path(f"{copy}-shm").unlink(missing_ok=True)
    with closing(sqlite3.connect(copy)) as db:
        try:
            return list(db.execute(QUERY))
        except sqlite3.Error:  # copied in the middle of a write
            return []

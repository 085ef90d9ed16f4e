"""Locks: one receiver and one processor to a journal; a killed one holds nothing."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from ingest.journal.records import JournalError

LOCK_WITHIN_S = 2.0  # one that was told to stop, or whose parent was killed, is gone by then


def lock(directory: Path, name: str, *, holder: str) -> int:
    """An open file that holds the lock until it is closed. Raises JournalError where it is held.

    holder: who else may hold it, for the text of the error.
    """
    file = os.open(directory / name, os.O_RDWR | os.O_CREAT, 0o640)
    deadline = time.monotonic() + LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError as exc:
            if time.monotonic() > deadline:
                os.close(file)
                raise JournalError(
                    f"another {holder} has {directory}: stop it, or give this one a data directory"
                    " of its own"
                ) from exc
        time.sleep(0.05)

"""A backup put back: checked first, never over a running platform, never over other data."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ingest.backup import Stores
from storage.backup import archive, manifest
from storage.backup.manifest import BackupError, Manifest, Progress

LOCKS = ("up.lock", "journal/lock", "journal/processor.lock")
SIDECARS = ("-wal", "-shm", "-journal")


def restore(
    backup: Path, stores: Stores, data_dir: Path, *, replace: bool, progress: Progress
) -> tuple[Manifest, list[Path]]:
    """Put a backup where the stores belong; returns it, and where what was there is now.

    replace: move data that is there aside. Nothing is ever deleted, and nothing is moved before
    the backup and its copy are checked. Raises BackupError and OSError.
    """
    with archive.unpacked(backup, data_dir) as directory:
        return _restore(directory, stores, data_dir, replace=replace, progress=progress)


def check(backup: Path, data_dir: Path, progress: Progress) -> Manifest:
    """Check a backup only; one that is a file is unpacked in the data directory for that."""
    with archive.unpacked(backup, data_dir) as directory:
        return manifest.check(directory, progress)


def _restore(
    backup: Path, stores: Stores, data_dir: Path, *, replace: bool, progress: Progress
) -> tuple[Manifest, list[Path]]:
    made = manifest.check(backup, progress)
    if "ledger.db" in {entry.path for entry in made.files} and stores.ledger is None:
        raise BackupError(
            "the backup holds a ledger in SQLite, and storage.ledger_url names a server: empty"
            " that setting to restore it"
        )
    data_dir.mkdir(parents=True, exist_ok=True)
    with _nobody_running(stores, data_dir):
        there = _occupied(stores)
        if there and not replace:
            raise BackupError(
                f"there is data already: {', '.join(map(str, there))}; restore into an empty"
                " --data-dir, or move it aside with --replace"
            )
        staged = data_dir / f"restoring-{os.getpid()}"
        try:
            shutil.copytree(backup, staged)
            manifest.check(staged, progress)
            moved = _move_aside(there)
            _put_in_place(staged, stores)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return made, moved


@contextmanager
def _nobody_running(stores: Stores, data_dir: Path) -> Iterator[None]:
    """Holds the locks of a platform. Raises BackupError where one of its processes lives."""
    with ExitStack() as held:
        for name in LOCKS:
            path = data_dir / name
            if path.exists():
                file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                held.callback(os.close, file)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as exc:
                    raise BackupError(
                        f"a platform runs on {data_dir} (it holds {name}): stop it first"
                    ) from exc
        for path in stores.files().values():
            if path.exists():
                _refuse_open(path)
        yield


def _refuse_open(path: Path) -> None:
    """Raise BackupError where another process has a database open: only the last may end its log.

    What is no database is in nobody's use.
    """
    with closing(sqlite3.connect(path, timeout=1)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise BackupError(
                    f"a process has {path} open: stop ingest and the API first"
                ) from exc
            raise BackupError(f"{path} cannot be opened: {exc}") from exc
        except sqlite3.DatabaseError:
            return


def _occupied(stores: Stores) -> list[Path]:
    found = [
        file
        for path in stores.files().values()
        for file in (path, *(path.with_name(path.name + end) for end in SIDECARS))
        if file.exists()
    ]
    journal = stores.journal
    return [*found, journal] if journal.exists() and any(journal.iterdir()) else found


def _move_aside(there: list[Path]) -> list[Path]:
    """Move files and directories into a new directory beside each; returns where they are now."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    moved = []
    for path in there:
        aside = path.parent / f"replaced-{stamp}"
        aside.mkdir(exist_ok=True)
        moved.append(path.rename(aside / path.name))
    return moved


def _put_in_place(staged: Path, stores: Stores) -> None:
    """The ledger last: without it a platform refuses to start over what is half restored."""
    if (staged / "journal").exists():
        if stores.journal.exists():
            stores.journal.rmdir()  # is empty
        (staged / "journal").rename(stores.journal)
    for name, path in stores.files().items():
        if (staged / name).exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(staged / name, path)
            manifest.sync(path.parent)
    manifest.sync(stores.journal.parent)

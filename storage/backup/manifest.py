"""The manifest of a backup: what is in it, with the SHA-256 of every file, itself included."""

from __future__ import annotations

import hashlib
import os
import platform
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

FORMAT = 1
NAME = "manifest.json"
READ_BYTES = 2**20

Progress = Callable[[str, int, int], None]  # what is done, bytes of it so far, bytes in all


class BackupError(Exception):
    """A backup cannot be made or used; the text names the file, what is wrong and what to do."""


class FileEntry(msgspec.Struct, frozen=True):
    """One file. path: below the backup, with slashes."""

    path: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What was backed up. made_at: RFC 3339, time of the machine.

    cursor: journal position up to which the ledger has processed, -1 without the ledger.
    journal_position: position behind the last message that was acknowledged.
    digest: SHA-256 of this manifest with an empty digest.
    """

    format: int
    govsense: str
    python: str
    sqlite: str
    made_at: str
    cursor: int
    journal_position: int
    files: list[FileEntry]
    not_included: list[str]
    digest: str = ""


def write(
    directory: Path, *, cursor: int, journal_position: int, not_included: list[str]
) -> Manifest:
    """Describe every file of a directory in its manifest; on return all of it is on disk."""
    files = [file for file in sorted(directory.rglob("*")) if file.is_file()]
    manifest = Manifest(
        format=FORMAT,
        govsense=version("govsense"),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        made_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        cursor=cursor,
        journal_position=journal_position,
        files=[_entry(directory, file) for file in files],
        not_included=not_included,
    )
    manifest = msgspec.structs.replace(manifest, digest=_digest(manifest))
    path = directory / NAME
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    for one in (path, *files, *{file.parent for file in files}, directory):
        sync(one)
    return manifest


def read(directory: Path) -> Manifest:
    """The manifest of a backup. Raises BackupError where it is not whole."""
    path = directory / NAME
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise BackupError(
            f"{path}: {exc.strerror}; this is not a whole backup, use another one"
        ) from exc
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise BackupError(f"{path} is damaged ({exc}): use another backup") from exc
    if manifest.format > FORMAT:
        raise BackupError(
            f"{path} has format {manifest.format}, this govsense knows up to {FORMAT}: use"
            f" govsense {manifest.govsense} or a newer one"
        )
    if manifest.digest != _digest(manifest):
        raise BackupError(
            f"{path} is damaged: it does not match its own digest; use another backup"
        )
    return manifest


def check(directory: Path, progress: Progress) -> Manifest:
    """The manifest of a backup of which every byte was read and every database looked through.

    Raises BackupError that names the first file that is missing, damaged or not of the backup.
    """
    manifest = read(directory)
    known = {entry.path for entry in manifest.files} | {NAME}
    for file in sorted(directory.rglob("*")):
        path = file.relative_to(directory).as_posix()
        if file.is_file() and path not in known:
            raise BackupError(f"{file} is not in the manifest: it does not belong to this backup")
    for entry in manifest.files:
        _check_file(directory, entry, progress)
    for entry in manifest.files:
        if entry.path.endswith(".db"):
            _check_integrity(directory / entry.path)
    return manifest


def sync(path: Path) -> None:
    """Put a file, or a directory's entries, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_file(directory: Path, entry: FileEntry, progress: Progress) -> None:
    path = directory / entry.path
    if ".." in Path(entry.path).parts or Path(entry.path).is_absolute():
        raise BackupError(f"{directory / NAME} names {entry.path!r}, which is outside the backup")
    try:
        size = path.stat().st_size
        found = _sha256(path, lambda done: progress(f"check {entry.path}", done, entry.bytes))
    except OSError as exc:
        raise BackupError(f"{path}: {exc.strerror}; use another backup") from exc
    if size != entry.bytes:
        raise BackupError(
            f"{path} is damaged: it has {size} bytes, the manifest says {entry.bytes};"
            " use another backup"
        )
    if found != entry.sha256:
        raise BackupError(
            f"{path} is damaged: its SHA-256 is {found[:16]}..., the manifest says"
            f" {entry.sha256[:16]}...; use another backup"
        )


def _check_integrity(path: Path) -> None:
    """PRAGMA integrity_check, without a write to the file or beside it. Raises BackupError."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as file:
            found = [row[0] for row in file.execute("PRAGMA integrity_check(3)")]
    except sqlite3.DatabaseError as exc:
        found = [str(exc)]
    if found != ["ok"]:
        raise BackupError(f"{path} is no sound database: {'; '.join(found)}; use another backup")


def _entry(directory: Path, file: Path) -> FileEntry:
    path = file.relative_to(directory).as_posix()
    return FileEntry(path, file.stat().st_size, _sha256(file, lambda done: None))


def _sha256(file: Path, progress: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
            progress(stream.tell())
    return digest.hexdigest()


def _digest(manifest: Manifest) -> str:
    plain = msgspec.structs.replace(manifest, digest="")
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()

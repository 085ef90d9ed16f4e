"""A backup as one file: a tar of its directory, without compression."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from storage.backup.manifest import NAME, READ_BYTES, BackupError, Manifest, sync

SUFFIX = ".tar"


def pack(directory: Path, file: Path, made: Manifest) -> None:
    """Write a directory to a new file, read it again, and compare every byte's digest.

    Raises BackupError where the file does not hold what the manifest says, and OSError.
    """
    with tarfile.open(file, "x") as tar:
        for path in (NAME, *(entry.path for entry in made.files)):
            tar.add(directory / path, path)
    sync(file)
    with tarfile.open(file) as tar:
        for entry in made.files:
            stream = tar.extractfile(entry.path)
            if stream is None or _sha256(stream) != entry.sha256:
                raise BackupError(f"{file}: {entry.path} is not as it was written: check the disk")


@contextmanager
def unpacked(backup: Path, beside: Path) -> Iterator[Path]:
    """The directory of a backup; that of a file is unpacked into `beside`, for this context.

    Raises BackupError where the file is not whole.
    """
    if backup.is_dir():
        yield backup
        return
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=beside) as directory:
        try:
            with tarfile.open(backup, "r:") as tar:
                tar.extractall(directory, filter="data")
        except FileNotFoundError as exc:
            raise BackupError(f"{backup}: {exc.strerror}") from exc
        except (tarfile.TarError, EOFError) as exc:
            raise BackupError(f"{backup} is damaged ({exc}): use another backup") from exc
        yield Path(directory)


def _sha256(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := stream.read(READ_BYTES):
        digest.update(block)
    return digest.hexdigest()

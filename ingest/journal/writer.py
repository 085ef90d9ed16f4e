"""The journal's one writer."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.journal.head import Head
from ingest.journal.locks import lock
from ingest.journal.records import (
    Entry,
    JournalFullError,
    Segment,
    encode,
    scan,
    segments,
)

SEGMENT_BYTES = 64 * 2**20  # small enough to give space back soon, large enough to be few
ROOM_BYTES = 4 * 2**20  # more than any group of the receiver
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class JournalWriter:
    """The one writer. `append` returns only after its records are on disk."""

    def __init__(
        self, directory: Path, *, max_bytes: int, begin: Callable[[], int] = lambda: 0
    ) -> None:
        """begin: the first position of a journal of which nothing is there, not even its head."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // 8)  # space comes back in eighths
        self._lock = lock(directory, "lock", holder="receiver")
        is_new = not (directory / "head").exists() and not segments(directory)
        first = begin() if is_new else _end(directory)
        self.head = Head(directory, create=True)
        self._position = max(first, self.head.position)
        self._segment = self._new_segment()
        self._file = self._open(self._segment)
        self._size = 0
        self.head.move(self._position)

    @property
    def position(self) -> int:
        """The position that the next record gets."""
        return self._position

    def append(self, entries: Sequence[Entry]) -> int:
        """Put entries on disk, all of them or none, and return the new head position.

        Raises JournalFullError where the bound or the disk leaves no space: nothing is kept then,
        and the next append may succeed.
        """
        if self._size > self._segment_bytes:
            self._roll()
        first, seed = self._position, self._segment.seed
        block = b"".join(encode(first + n, entry, seed) for n, entry in enumerate(entries))
        self._refuse_beyond_bound(len(block))
        try:
            _write_all(self._file, block)
            os.fdatasync(self._file)
        except OSError as exc:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            if exc.errno in NO_SPACE:
                raise JournalFullError(f"no space left on the disk under {self.directory}") from exc
            raise
        self._size += len(block)
        self._position += len(entries)
        self.head.move(self._position)
        return self._position

    def has_room(self) -> bool:
        """Whether a group of ordinary size would be taken now."""
        free = shutil.disk_usage(self.directory).free
        return free > ROOM_BYTES and self._used() + ROOM_BYTES <= self._max_bytes

    def close(self) -> None:
        """Release the files; an empty last segment goes unless it alone tells the position."""
        os.close(self._file)
        if not self._size and len(segments(self.directory)) > 1:
            self._segment.path.unlink()
        self.head.close()
        os.close(self._lock)

    def _refuse_beyond_bound(self, wanted: int) -> None:
        used = self._used()
        if used + wanted > self._max_bytes:
            raise JournalFullError(
                f"the journal holds {used} bytes of at most {self._max_bytes}: the processor is"
                " behind; it goes on by itself when there is space"
            )

    def _used(self) -> int:
        return sum(segment.path.stat().st_size for segment in segments(self.directory))

    def _roll(self) -> None:
        os.close(self._file)
        self._segment = self._new_segment()
        self._file = self._open(self._segment)
        self._size = 0

    def _new_segment(self) -> Segment:
        seed = secrets.randbits(32)
        return Segment(
            self._position, seed, self.directory / f"{self._position:020d}-{seed:08x}.seg"
        )

    def _open(self, segment: Segment) -> int:
        file = os.open(segment.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        directory = os.open(self.directory, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        return file


def _end(directory: Path) -> int:
    """A position that no record has had: all sound ones, and all segments' first, are below it.

    Empty segments are removed.
    """
    end = 0
    for segment in reversed(segments(directory)):
        buffer = segment.path.read_bytes()
        if not buffer:
            segment.path.unlink()
        last = max((r.position for r, _ in scan(buffer, segment.seed, whole=True)), default=-1)
        end = max(end, last + 1, segment.first)
        if last >= 0 or not buffer:
            break
    return end


def _write_all(file: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(file, view) :]

"""The journal's one writer."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ingest.journal.head import Head, Shortage
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
        """begin: the first position of a journal of which nothing is there, not even its head.

        Raises JournalError where another writer has it, JournalFullError where the disk is full.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // 8)  # space comes back in eighths
        self._lock = lock(directory, "lock", holder="receiver")
        is_new = not (directory / "head").exists() and not segments(directory)
        first = begin() if is_new else _end(directory)
        with self._no_space_is_told():
            self.head = Head(directory, create=True)
            self._position = max(first, self.head.position)
            self._segment, self._file = self._new_segment()
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
        with self._no_space_is_told():
            try:
                _write_all(self._file, block)
                os.fdatasync(self._file)
            except OSError:
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
                raise
        self._size += len(block)
        self._position += len(entries)
        self.head.move(self._position)
        return self._position

    def shortage(self) -> Shortage:
        """Why a group of ordinary size would not be taken now."""
        if shutil.disk_usage(self.directory).free <= ROOM_BYTES:
            return Shortage.DISK
        return Shortage.BOUND if self._used() + ROOM_BYTES > self._max_bytes else Shortage.NONE

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
                Shortage.BOUND,
                f"the journal holds {used} bytes of at most {self._max_bytes}: the processor is"
                " behind; it goes on by itself when there is space",
            )

    def _used(self) -> int:
        return sum(segment.size() for segment in segments(self.directory))

    def _roll(self) -> None:
        with self._no_space_is_told():
            segment, file = self._new_segment()
        os.close(self._file)
        self._segment, self._file, self._size = segment, file, 0

    def _new_segment(self) -> tuple[Segment, int]:
        seed = secrets.randbits(32)
        path = self.directory / f"{self._position:020d}-{seed:08x}.seg"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        directory = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        except OSError:
            os.close(file)
            path.unlink()
            raise
        finally:
            os.close(directory)
        return Segment(self._position, seed, path), file

    @contextmanager
    def _no_space_is_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            if exc.errno not in NO_SPACE:
                raise
            why = f"no space left on the disk under {self.directory}"
            raise JournalFullError(Shortage.DISK, why) from exc


def _end(directory: Path) -> int:
    """A position that no record has had: all sound ones, and all segments' first, are below it.

    Empty segments are removed.
    """
    end = 0
    for segment in reversed(segments(directory)):
        buffer = segment.content()
        if not buffer:
            segment.path.unlink(missing_ok=True)
        last = max((r.position for r, _ in scan(buffer, segment.seed, whole=True)), default=-1)
        end = max(end, last + 1, segment.first)
        if last >= 0 or not buffer:
            break
    return end


def _write_all(file: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(file, view) :]

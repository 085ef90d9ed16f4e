"""A copy of the journal while the receiver appends to it and the processor deletes from it."""

from __future__ import annotations

import os
from pathlib import Path

from ingest.journal.head import Head
from ingest.journal.records import Segment, segments

COPIED_BYTES = 2**20


class HeldJournal:
    """The segments of a journal, held open: they can be read after their deletion. Close it.

    A directory without a journal is one without segments, at position 0.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.position = 0  # every record below was on disk at `mark`
        self._sizes: list[int] = []
        self._segments: list[Segment] = []
        self._files: list[int] = []
        for segment in segments(directory):
            try:
                self._files.append(os.open(segment.path, os.O_RDONLY))
            except FileNotFoundError:
                continue  # settled and deleted since we looked
            self._segments.append(segment)

    def mark(self) -> bool:
        """End the copy here; False where a segment was begun since, so that one may be missing."""
        if (self._directory / "head").exists():
            head = Head(self._directory, create=False)
            self.position = head.position
            head.close()
        self._sizes = [os.fstat(file).st_size for file in self._files]
        return segments(self._directory)[-1:] == self._segments[-1:]

    @property
    def bytes(self) -> int:
        """Size of the copy."""
        return sum(self._sizes)

    def copy_to(self, directory: Path) -> None:
        """Write segments and head as of `mark`; a torn record at the end is what a crash leaves."""
        directory.mkdir()
        for segment, file, size in zip(self._segments, self._files, self._sizes, strict=True):
            with (directory / segment.path.name).open("xb") as copy:
                while block := os.pread(file, min(COPIED_BYTES, size - copy.tell()), copy.tell()):
                    copy.write(block)
        head = Head(directory, create=True)
        head.move(self.position)
        head.close()

    def close(self) -> None:
        """Let the segments go."""
        while self._files:
            os.close(self._files.pop())

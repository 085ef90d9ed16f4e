"""A reader of the journal."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from ingest.journal.head import Head
from ingest.journal.records import (
    MAX_RECORD_BYTES,
    PREFIX,
    JournalError,
    Record,
    Segment,
    scan,
    segments,
)

READ_BYTES = 2 * MAX_RECORD_BYTES


class JournalReader:
    """Reads records in order from a position on, never beyond the head. Counts what was damaged."""

    def __init__(self, directory: Path, position: int) -> None:
        self.directory = directory
        self.head = Head(directory, create=False)
        self.position = position
        self.damaged = 0
        self._segment: Segment | None = None
        self._file = -1
        self._offset = 0

    def read(self, *, max_records: int) -> list[Record]:
        """The next records, fewer than `max_records` where the head or a segment ends.

        A gap in the positions (damage, or segments that are gone) is skipped and counted in
        `damaged`.
        """
        records: list[Record] = []
        while not records and self.position < self.head.position:
            segment = self._segment or self._open_at(self.position)
            head = self.head.position  # before the bytes, so that all below it are in them
            buffer = os.pread(self._file, READ_BYTES, self._offset)
            whole = len(buffer) < READ_BYTES
            start, beyond = self._offset, False
            for record, end in scan(buffer, segment.seed, whole=whole):
                beyond = record.position >= head
                if beyond or len(records) == max_records:
                    break
                self._offset = start + end
                if record.position >= self.position:
                    self._skip_to(record.position)
                    self.position = record.position + 1
                    records.append(record)
            if self._offset > start:
                continue
            if beyond:
                self._skip_to(head)
            else:
                self._pass_damage(whole, head)
        return records

    def seek(self, position: int) -> None:
        """Read on from this position, which may be one that was read before."""
        self.position = position
        self._segment = None

    def release(self, below: int) -> int:
        """Delete segments that hold nothing at or above `below`; return how many."""
        found = segments(self.directory)
        done = [old for old, new in itertools.pairwise(found) if new.first <= below]
        for segment in done:
            segment.path.unlink()
        return len(done)

    def close(self) -> None:
        """Release the files."""
        if self._file >= 0:
            os.close(self._file)
        self.head.close()

    def _pass_damage(self, whole: bool, head: int) -> None:
        """No sound record stands at the offset: go on behind, or in the next segment."""
        if not whole:
            self._offset += READ_BYTES - PREFIX.size - MAX_RECORD_BYTES
            return
        for segment in segments(self.directory):
            if self._segment and segment > self._segment:
                self._use(segment)
                return
        self._skip_to(head)

    def _skip_to(self, position: int) -> None:
        self.damaged += position - self.position
        self.position = position

    def _open_at(self, position: int) -> Segment:
        found = segments(self.directory)
        if not found:
            raise JournalError(f"{self.directory} has a head but no segment: restore its files")
        first = max((one.first for one in found if one.first <= position), default=found[0].first)
        return self._use(next(one for one in found if one.first == first))

    def _use(self, segment: Segment) -> Segment:
        if self._file >= 0:
            os.close(self._file)
        self._segment, self._offset = segment, 0
        self._file = os.open(segment.path, os.O_RDONLY)
        return segment

"""The head of the journal: how far readers may read, and the receiver's pulse."""

from __future__ import annotations

import mmap
from pathlib import Path


class Head:
    """The writer's word to readers, in shared memory: how far it is safe to read, and its pulse.

    Four 8-byte integers: head position, its complement (so that a damaged head is noticed),
    receiver connected (0 or 1), monotonic nanoseconds of the receiver's last sign of life.
    """

    SIZE = 32

    def __init__(self, directory: Path, *, create: bool) -> None:
        path = directory / "head"
        if create:
            with path.open("ab") as file:
                file.truncate(self.SIZE)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self.SIZE)
        self._words = memoryview(self._map).cast("q")

    def close(self) -> None:
        """Let the shared memory go."""
        self._words.release()
        self._map.close()

    @property
    def position(self) -> int:
        """Every record below this position is on disk."""
        return self._words[0]

    def kept_position(self) -> int:
        """The position that an earlier writer left, 0 where it is not sound."""
        position = self._words[0]
        return position if position >= 0 and self._words[1] == ~position else 0

    def move(self, position: int) -> None:
        """Tell readers that all records below `position` are on disk."""
        self._words[0] = position
        self._words[1] = ~position

    def beat(self, *, connected: bool, monotonic_ns: int) -> None:
        """Leave the receiver's sign of life."""
        self._words[2] = connected
        self._words[3] = monotonic_ns

    def connected_at(self, monotonic_ns: int, *, fresh_ns: int) -> bool:
        """Whether the receiver said within `fresh_ns` that it is connected to the broker."""
        return bool(self._words[2]) and abs(monotonic_ns - self._words[3]) < fresh_ns

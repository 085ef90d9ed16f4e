"""The head of the journal: how far readers may read, and the receiver's pulse."""

from __future__ import annotations

import mmap
from pathlib import Path

LONGEST_AHEAD_NS = 60_000_000_000
FRESH_NS = 5_000_000_000  # the receiver beats twice a second


class Head:
    """The writer's word to readers, in shared memory: how far it is safe to read, and its pulse.

    Four 8-byte integers: head position, its complement (so that a damaged head is noticed),
    number of the receiver's connection to the broker (0: none), monotonic nanoseconds of the
    receiver's last sign of life.
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

    def beat(self, *, connection: int, monotonic_ns: int) -> None:
        """Leave the receiver's sign of life and its connection number, 0 for none."""
        self._words[2] = connection
        self._words[3] = monotonic_ns

    @property
    def has_beaten(self) -> bool:
        """Whether a receiver ever left a sign of life."""
        return self._words[3] != 0

    def silent_ns(self, monotonic_ns: int) -> int:
        """Since when the receiver's last sign of life is over, at least 0.

        One that lies ahead is what the receiver leaves before it waits for a broker; one that lies
        far ahead is from before the machine was started, and tells since when it runs.
        """
        ahead = self._words[3] - monotonic_ns
        return monotonic_ns if ahead > LONGEST_AHEAD_NS else max(0, -ahead)

    def connection(self, monotonic_ns: int) -> int:
        """Number of the receiver's connection; 0 where it has none or has shown no life of late."""
        fresh = abs(monotonic_ns - self._words[3]) < FRESH_NS
        return self._words[2] if fresh else 0


def silent_s(directory: Path, monotonic_ns: int) -> float | None:
    """Seconds since the receiver of a journal last moved; None where none ever did."""
    try:
        head = Head(directory, create=False)
    except (FileNotFoundError, ValueError):  # ValueError: its receiver is about to make it
        return None
    try:
        return head.silent_ns(monotonic_ns) / 1e9 if head.has_beaten else None
    finally:
        head.close()

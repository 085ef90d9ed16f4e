"""The head of the journal: how far readers may read, and the receiver's pulse."""

from __future__ import annotations

import mmap
import os
from enum import IntEnum
from pathlib import Path

LONGEST_AHEAD_NS = 60_000_000_000
FRESH_NS = 5_000_000_000  # the receiver beats twice a second


class Shortage(IntEnum):
    """Why the receiver takes nothing: its journal has no room."""

    NONE = 0
    BOUND = 1  # the journal has reached its largest size
    DISK = 2  # the disk under it is full


class Head:
    """The writer's word to readers, in shared memory: how far it is safe to read, and its pulse.

    Six 8-byte integers: head position, its complement (so that a damaged head is noticed),
    number of the receiver's connection to the broker (0: none), monotonic nanoseconds of the
    receiver's last sign of life, its shortage of room, and monotonic nanoseconds of the
    processor's last sign of life (0: it never ran), which no store is needed for.
    """

    SIZE = 48

    def __init__(self, directory: Path, *, create: bool) -> None:
        path = directory / "head"
        if create:
            with path.open("ab") as file:
                file.truncate(self.SIZE)
                # Not a hole: the first store into one on a full disk would kill the process.
                os.posix_fallocate(file.fileno(), 0, self.SIZE)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self.SIZE)
        self._words = memoryview(self._map).cast("q")
        self._last_sound = 0

    def close(self) -> None:
        """Let the shared memory go."""
        self._words.release()
        self._map.close()

    @property
    def position(self) -> int:
        """Every record below this position is on disk.

        Where the head is damaged, or just being moved, it is the last sound position that was seen
        here, 0 before the first: a reader waits, rather than pass over what may come.
        """
        position = self._words[0]
        if position >= 0 and self._words[1] == ~position:
            self._last_sound = position
        return self._last_sound

    def move(self, position: int) -> None:
        """Tell readers that all records below `position` are on disk."""
        self._words[0] = position
        self._words[1] = ~position

    def beat(
        self, *, connection: int, monotonic_ns: int, shortage: Shortage = Shortage.NONE
    ) -> None:
        """Leave the receiver's sign of life and its connection number, 0 for none."""
        self._words[4] = shortage
        self._words[2] = connection
        self._words[3] = monotonic_ns

    def pulse(self, monotonic_ns: int) -> None:
        """Leave the processor's sign of life."""
        self._words[5] = monotonic_ns

    def silences_ns(self, monotonic_ns: int) -> dict[str, int]:
        """Since when the last signs of life of "receiver" and "processor" are over, at least 0.

        One that never ran is left out. A sign that lies ahead is what the receiver leaves
        before it waits for a broker; one that lies far ahead is from before the machine was
        started, and tells since when it runs.
        """
        last = {"receiver": self._words[3], "processor": self._words[5]}
        return {
            name: monotonic_ns
            if at_ns - monotonic_ns > LONGEST_AHEAD_NS
            else max(0, monotonic_ns - at_ns)
            for name, at_ns in last.items()
            if at_ns
        }

    def connection(self, monotonic_ns: int) -> int:
        """Number of the receiver's connection; 0 where it has none or has shown no life of late."""
        return self._words[2] if self._is_fresh(monotonic_ns) else 0

    def shortage(self, monotonic_ns: int) -> Shortage | None:
        """Whether the receiver lacks room; None where it has shown no life of late."""
        return Shortage(self._words[4]) if self._is_fresh(monotonic_ns) else None

    def _is_fresh(self, monotonic_ns: int) -> bool:
        return abs(monotonic_ns - self._words[3]) < FRESH_NS


def silences_s(directory: Path, monotonic_ns: int) -> dict[str, float]:
    """Seconds since the receiver and the processor of a journal last moved, of those that ran."""
    try:
        head = Head(directory, create=False)
    except (FileNotFoundError, ValueError):  # ValueError: its receiver is about to make it
        return {}
    try:
        return {name: ns / 1e9 for name, ns in head.silences_ns(monotonic_ns).items()}
    finally:
        head.close()

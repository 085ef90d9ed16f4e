"""The numbers of a device's rounds: which have come, which are missing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

Range = tuple[int, int]  # first and last number, both included


class Sequence:
    """The rounds of one boot of one device, as ranges of their numbers.

    Numbers count from 0 or 1 without a gap. A gap is what has not come; a lost range is a gap that
    is no longer waited for. What comes after all is neither.
    """

    __slots__ = ("_lost", "_ranges")

    def __init__(self, ranges: Iterable[Range] = (), lost: Iterable[Range] = ()) -> None:
        self._ranges = [tuple(r) for r in ranges]
        self._lost = [tuple(r) for r in lost]

    def add(self, number: int) -> None:
        """Note that a round has come; again is no harm. Amortised O(1) in order, else O(ranges)."""
        ranges = self._ranges
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1] = (ranges[-1][0], number)
        else:
            self._ranges = _with(ranges, number)
        if self._lost:
            self._lost = _without(self._lost, number)

    @property
    def ranges(self) -> list[Range]:
        """What has come, in order."""
        return list(self._ranges)  # type: ignore[arg-type]

    @property
    def lost(self) -> list[Range]:
        """What was given up and has not come since, in order."""
        return list(self._lost)  # type: ignore[arg-type]

    @property
    def gaps(self) -> list[Range]:
        """What has not come and is waited for, in order. What follows the last round is none."""
        known = sorted([*self._ranges, *self._lost])
        gaps, next_number = [], 1
        for first, last in known:
            if first > next_number:
                gaps.append((next_number, first - 1))
            next_number = max(next_number, last + 1)
        return gaps

    @property
    def settled(self) -> int | None:
        """The highest number up to which everything has come or was given up; None before any."""
        gaps = self.gaps
        if gaps:
            return gaps[0][0] - 1 if gaps[0][0] > 1 else None
        return self.highest if self._ranges else None

    @property
    def highest(self) -> int:
        """The highest number that has come, 0 before any."""
        return self._ranges[-1][1] if self._ranges else 0

    def give_up(self, upto: int) -> list[Range]:
        """Wait no longer for the gaps that begin at `upto` or below; returns them."""
        gaps = [gap for gap in self.gaps if gap[0] <= upto]
        self._lost = sorted([*self._lost, *gaps])
        return gaps


def _with(ranges: list[tuple[int, ...]], number: int) -> list[tuple[int, ...]]:
    at = bisect_left(ranges, (number + 1,))
    if at and ranges[at - 1][1] >= number:
        return ranges
    low, high, start, end = number, number, at, at
    if at and ranges[at - 1][1] == number - 1:
        low, start = ranges[at - 1][0], at - 1
    if at < len(ranges) and ranges[at][0] == number + 1:
        high, end = ranges[at][1], at + 1
    return [*ranges[:start], (low, high), *ranges[end:]]


def _without(ranges: list[tuple[int, ...]], number: int) -> list[tuple[int, ...]]:
    left: list[tuple[int, ...]] = []
    for first, last in ranges:
        if first <= number <= last:
            left += [r for r in ((first, number - 1), (number + 1, last)) if r[0] <= r[1]]
        else:
            left.append((first, last))
    return left

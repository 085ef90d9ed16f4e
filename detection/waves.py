"""Waves: a batch cut so that each wave holds at most one reading of a series, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.findings import Nature, Phase, Severity


class Wave(NamedTuple):
    """One reading of each of n series, newer than the one before it.

    series: intp[n]. row: intp[n], the metric's index in METRICS. at_ms: int64[n], event time.
    gap: bool[n], the first reading of its series or the first after a gap. apart: bool[n], a round
    or more is missing before it: true where gap is. dt_ms: float64[n], time since the reading
    before, 0 where gap. value: float64[n]; the voltage of a battery bank is that of the 12 V bank
    which the tables speak of. before: float64[n], of the reading before.
    """

    series: NDArray[np.intp]
    row: NDArray[np.intp]
    at_ms: NDArray[np.int64]
    gap: NDArray[np.bool_]
    apart: NDArray[np.bool_]
    dt_ms: NDArray[np.float64]
    value: NDArray[np.float64]
    before: NDArray[np.float64]

    def where(self, mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], Wave]:
        """The places in this wave where the mask is true, and the wave of these alone."""
        places = mask.nonzero()[0]
        return places, self if len(places) == len(self.series) else self.take(places)

    def take(self, places: NDArray[np.intp]) -> Wave:
        """The wave of the readings at these places alone."""
        return Wave(
            self.series[places],
            self.row[places],
            self.at_ms[places],
            self.gap[places],
            self.apart[places],
            self.dt_ms[places],
            self.value[places],
            self.before[places],
        )


class Step(NamedTuple):
    """What a detector says of the series at one place in a wave; see Finding.

    rule and series are those of the detector and of the place where not given.
    """

    place: int
    phase: Phase
    nature: Nature
    severity: Severity
    onset_ms: int
    value: float | None
    expected: tuple[float, float] | None
    facts: dict[str, Any]
    rule: str = ""
    series: int | None = None


def waves(
    series: NDArray[np.int32], device_number: NDArray[np.int32], at_ms: NDArray[np.int64]
) -> Iterator[NDArray[np.intp]]:
    """Places in the batch, wave by wave; the n-th wave holds the n-th round of each device.

    device_number: of every series that there is, by its number.
    A round is a run of readings of one device and time. A wave thereby never knows more of one
    metric of a device than of another. Sorting makes it O(n log n); a batch without repeats is
    one wave in order of arrival.
    """
    if not _repeats(series):
        yield np.arange(len(series))
        return
    device = device_number[series]
    starts = np.concatenate(
        [[True], (device[1:] != device[:-1]) | (at_ms[1:] != at_ms[:-1])]
    ).nonzero()[0]
    lengths = np.diff(np.append(starts, len(series)))
    nth = np.repeat(_nth(device[starts]), lengths)
    if _repeats(nth * (int(series.max()) + 1) + series):  # a metric twice in one round
        nth = _nth(series)
    by_wave = np.argsort(nth, kind="stable")
    yield from np.split(by_wave, np.flatnonzero(np.diff(nth[by_wave])) + 1)


def _repeats(keys: NDArray[Any]) -> bool:
    ordered = keys.copy()
    ordered.sort()
    return bool(np.count_nonzero(ordered[1:] == ordered[:-1]))


def _nth(keys: NDArray[Any]) -> NDArray[np.intp]:
    """How many equal keys stand before each."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    places = np.arange(len(keys))
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    nth = np.empty(len(keys), np.intp)
    nth[order] = places - np.maximum.accumulate(np.where(starts, places, 0))
    return nth

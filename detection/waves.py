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
    gap: bool[n], the first reading of its series or the first after a gap. dt_ms: float64[n],
    time since the reading before, 0 where gap. value: float64[n]; the voltage of a battery bank
    is that of the 12 V bank which the tables speak of.
    """

    series: NDArray[np.intp]
    row: NDArray[np.intp]
    at_ms: NDArray[np.int64]
    gap: NDArray[np.bool_]
    dt_ms: NDArray[np.float64]
    value: NDArray[np.float64]

    def where(self, mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], Wave]:
        """The places in this wave where the mask is true, and the wave of these alone."""
        places = mask.nonzero()[0]
        if len(places) == len(self.series):
            return places, self
        return places, Wave(
            self.series[places],
            self.row[places],
            self.at_ms[places],
            self.gap[places],
            self.dt_ms[places],
            self.value[places],
        )


class Step(NamedTuple):
    """What a detector says of the series at one place in a wave; see Finding.

    rule: where it is not the detector's own name.
    """

    place: int
    phase: Phase
    nature: Nature
    severity: Severity
    onset_ms: int
    value: float
    expected: tuple[float, float] | None
    facts: dict[str, Any]
    rule: str = ""


def waves(series: NDArray[np.int32]) -> Iterator[NDArray[np.intp]]:
    """Places in the batch, wave by wave; the n-th wave holds the n-th reading of each series.

    Sorting makes it O(n log n); a batch without repeats is one wave in order of arrival.
    """
    order = np.argsort(series, kind="stable")
    ordered = series[order]
    repeats = ordered[1:] == ordered[:-1]
    if not repeats.any():
        yield np.arange(len(series))
        return
    places = np.arange(len(series))
    starts = np.concatenate([[True], ~repeats])
    nth = places - np.maximum.accumulate(np.where(starts, places, 0))
    by_wave = np.argsort(nth, kind="stable")
    yield from np.split(order[by_wave], np.flatnonzero(np.diff(nth[by_wave])) + 1)

"""How long things take, as histograms that add up across restarts and processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

# From 1 ms to 100 s, ten bounds a decade: a quantile is right within 26 %.
BOUNDS_MS = np.round(10 ** np.linspace(0, 5, 51), 3)
QUANTILES = {"p50": 0.5, "p99": 0.99}


CELLS = len(BOUNDS_MS) + 2  # a count for each bound and one beyond, and the sum in microseconds


class Latency:
    """A histogram of milliseconds."""

    def __init__(self, cells: NDArray[np.int64] | None = None) -> None:
        """cells: int64[CELLS] to count in, where the histogram does not live in this process."""
        self._cells = np.zeros(CELLS, np.int64) if cells is None else cells
        self._counts = self._cells[:-1]

    @classmethod
    def shared(cls, path: Path) -> Self:
        """A histogram in a file, which one process fills and others read; it outlives them."""
        with path.open("ab") as file:
            file.truncate(CELLS * 8)
        return cls(np.memmap(path, np.int64, "r+", shape=CELLS))

    def observe(self, milliseconds: ArrayLike) -> None:
        """Add spans, float64[n] milliseconds; a span below zero (clocks differ) counts as zero."""
        spans = np.maximum(np.asarray(milliseconds, np.float64), 0)
        found = np.searchsorted(BOUNDS_MS, spans)
        self._counts += np.bincount(found, minlength=len(self._counts))
        self._cells[-1] += round(float(spans.sum()) * 1000)

    def summary(self) -> dict[str, Any]:
        """p50, p99 (upper bound of their bucket, ms; None when empty), count, sum and buckets."""
        count = int(self._counts.sum())
        cumulative = np.cumsum(self._counts)
        quantiles = {
            name: _bound(cumulative, count * share) if count else None
            for name, share in QUANTILES.items()
        }
        return {
            **quantiles,
            "count": count,
            "sum": int(self._cells[-1]) / 1000,
            "bounds": BOUNDS_MS.tolist(),
            "buckets": self._counts.tolist(),
        }


def _bound(cumulative: NDArray[np.int64], rank: float) -> float:
    index = int(np.searchsorted(cumulative, rank))
    return float(BOUNDS_MS[min(index, len(BOUNDS_MS) - 1)])

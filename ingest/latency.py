"""How long things take, as histograms that add up across restarts and processes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# From 1 ms to 100 s, ten bounds a decade: a quantile is right within 26 %.
BOUNDS_MS = np.round(10 ** np.linspace(0, 5, 51), 3)
QUANTILES = {"p50": 0.5, "p99": 0.99}


class Latency:
    """A histogram of milliseconds."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(BOUNDS_MS) + 1, np.int64)
        self._sum_ms = 0.0

    def observe(self, milliseconds: ArrayLike) -> None:
        """Add spans, float64[n] milliseconds; a span below zero (clocks differ) counts as zero."""
        spans = np.maximum(np.asarray(milliseconds, np.float64), 0)
        found = np.searchsorted(BOUNDS_MS, spans)
        self._counts += np.bincount(found, minlength=len(self._counts))
        self._sum_ms += float(spans.sum())

    def summary(self) -> dict[str, object]:
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
            "sum": round(self._sum_ms, 3),
            "bounds": BOUNDS_MS.tolist(),
            "buckets": self._counts.tolist(),
        }


def _bound(cumulative: NDArray[np.int64], rank: float) -> float:
    index = int(np.searchsorted(cumulative, rank))
    return float(BOUNDS_MS[min(index, len(BOUNDS_MS) - 1)])

"""Spells: what is bad for minutes only; no clock hour shows more than a share of the evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Rows

SPELL_MS = 3_600_000


def capped(
    rows: Rows,
    at_ms: NDArray[np.int64],
    more: NDArray[np.float64],
    most: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """float64[n]: what n readings add to their evidence, so that a clock hour adds `most` at most.

    In place: `hour` of the rows becomes that of the readings, `counted` what it has added.
    """
    hour = at_ms // SPELL_MS
    counted = rows["counted"] * (hour == rows["hour"])
    more = np.minimum(more, np.maximum(most - counted, 0))
    rows["counted"], rows["hour"] = np.maximum(counted + more, 0), hour
    return more

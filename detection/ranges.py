"""Ranges: how far each statistic of a series has gone so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Rows, columns
from detection.rules import NOISE, RECORD, STEP
from detection.seasons import HOUR_MS

DAY_MS = 24 * HOUR_MS
SURE_N = 50  # readings from which on the whole series' usual sizes are known
SEASON_MS = 2 * DAY_MS  # age from which on the season counts
YOUNG_MS = 3 * DAY_MS  # age up to which more caution is taken
BLOCK_H = 6  # what is slow is looked at every six hours
RESTLESS = 1.5  # times the noise of its first day: no young series takes this for its own
BURN_IN = np.array([[0.0], [0], [0], [1], [0]])  # share of the first readings, by channel
FORGET_MS = 20 * DAY_MS  # ranges shrink towards their centre this slowly


def widen(rows: Rows, stat: NDArray[np.float64], at_ms: NDArray[np.int64]) -> None:
    """Take what lies beyond the ranges into them once it is back inside, or at once in youth.

    A statistic that moves slowly would otherwise carry its range along and never leave it.
    stat: float64[channels, n].
    """
    fields = columns(rows, "low", "most_seen")
    low, high, least, most = ends = fields.reshape(4, *stat.shape).copy()
    up, down = stat > high, stat < low
    share, kept = _share(rows, stat, at_ms, high), stat
    burn_in = rows["n"] < SURE_N
    if np.count_nonzero(burn_in):
        share[:, burn_in] = BURN_IN
        kept = np.where(burn_in, np.nan, stat)
    high[:] = np.where(up, high + share * (stat - high), np.fmax(high, most))
    low[:] = np.where(down, low + share * (stat - low), np.fmin(low, least))
    most[:] = np.where(up, np.fmax(most, kept), np.nan)
    least[:] = np.where(down, np.fmin(least, kept), np.nan)
    fields[...] = ends.reshape(fields.shape)
    rows["away"] = np.logical_or.reduce(up | down, axis=0)


def _share(
    rows: Rows, stat: NDArray[np.float64], at_ms: NDArray[np.int64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64[channels, n]: of what lies beyond a range, what is taken into it at once."""
    age = at_ms - rows["first"]
    young, unjudged = np.where(age < SEASON_MS, 0.1, 0.0), rows["bar"].T > 0
    share = np.where(unjudged, 1.0, young)
    share[:STEP] = young
    restless = (age >= DAY_MS) & (stat[NOISE] > RESTLESS * high[NOISE])
    if np.count_nonzero(restless):
        share[NOISE, restless & ~unjudged[NOISE]] = 0
    return share


def forget(rows: Rows, y: NDArray[np.float64]) -> None:
    """Shrink the ranges of rows whose six hours are over towards their centres."""
    share = BLOCK_H * HOUR_MS / FORGET_MS
    rows["centre"] += 0.08 * (y - rows["centre"])
    low, high = rows["low"], rows["high"]
    centre = np.zeros(low.shape)
    centre[:, RECORD], centre[:, NOISE] = rows["centre"], 1.2
    centre[:, NOISE] = np.minimum(1.2, high[:, NOISE])
    high += share * (centre - high)
    centre[:, NOISE] = 0
    low += share * (centre - low)

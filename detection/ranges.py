"""Ranges: how far each statistic of a series has gone so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Rows
from detection.rules_shift import NOISE, RECORD, STEP
from detection.seasons import HOUR_MS

DAY_MS = 24 * HOUR_MS
SURE_N = 50  # readings from which on the whole series' usual sizes are known
SEASON_MS = 2 * DAY_MS  # age from which on the season counts
YOUNG_MS = 3 * DAY_MS  # age up to which more caution is taken
BLOCK_H = 6  # what is slow is looked at every six hours
RESTLESS = 1.5  # times the noise of its first day: no young series takes this for its own
FORGET_MS = 20 * DAY_MS  # ranges shrink towards their centre this slowly


def widen(rows: Rows, stat: NDArray[np.float64], at_ms: NDArray[np.int64]) -> None:
    """Take what lies beyond the ranges into them once it is back inside, or at once in youth.

    A statistic that moves slowly would otherwise carry its range along and never leave it. Noise
    comes and goes: it is back when it has been less than ever for as long as it was more.
    """
    age = at_ms - rows["first"]
    young = np.repeat(np.where(age < SEASON_MS, 0.1, 0.0)[:, None], stat.shape[1], axis=1)
    restless = (age >= DAY_MS) & (stat[:, NOISE] > RESTLESS * rows["high"][:, NOISE])
    young[restless, NOISE] = 0
    share = np.where(rows["bar"] > 0, 1.0, young)
    share[:, :STEP] = young[:, :STEP]
    burn_in = rows["n"] < SURE_N
    kept = stat
    if np.count_nonzero(burn_in):
        share[burn_in] = [0, 0, 0, 1, 0]
        kept = np.where(burn_in[:, None], np.nan, stat)
    low, high, least, most = (rows[name] for name in ("low", "high", "least_seen", "most_seen"))
    up, down = stat > high, stat < low
    up[:, NOISE] |= rows["restless"] > 0
    high[:] = np.where(up, high + share * np.maximum(stat - high, 0), np.fmax(high, most))
    low[:] = np.where(down, low + share * (stat - low), np.fmin(low, least))
    most[:] = np.where(up, np.fmax(most, kept), np.nan)
    least[:] = np.where(down, np.fmin(least, kept), np.nan)
    rows["away"] = np.logical_or.reduce(up | down, axis=1)


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

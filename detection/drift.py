"""Drift: a level that moves slowly, by means of the residual over six hours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Rows
from detection.episodes import CLEAR, CLOSED, FIRING, accept, advance
from detection.waves import Wave

BLOCK_MS = 6 * 3_600_000
ENOUGH = 12  # six-hour means before the first judgement: three days
MEMORY = 1 / 28  # weight of a mean in what is normal: a week
SWAYS = 5.0  # times the usual distance from normal ...
RECORDS = 2.4  # ... and times the farthest distance so far is a drift
NEED, GOOD = 2, 1  # means out in a row, and back: a mean of six hours is no chance value
WIDER = 1.5  # times its bound, how far a drift must go after one that has ended
ACCEPT_MS = 3 * 24 * 3_600_000  # a level that has lasted this long is the new normal


def follow(
    rows: Rows, wave: Wave, least: NDArray[np.float64]
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.bool_]]:
    """Take the six-hour means that have just ended into rows, one each; in place.

    rows: `block_mean` is NaN where there were too few readings. least: the smallest distance that
    counts, on the metric's scale. Returns steps of the episodes, bounds, and which were accepted
    as normal.
    """
    mean = rows["block_mean"]
    known = ~np.isnan(mean)
    slow = np.where(rows["blocks"] == 0, np.where(known, mean, 0), rows["slow"])
    away = np.where(known, np.abs(mean - slow), 0)
    bound = np.maximum(np.maximum(SWAYS * rows["sway"], RECORDS * rows["farthest"]), least)
    episode = rows["drift"]
    fired = episode["phase"] == FIRING
    beyond = away > bound
    out = known & beyond & ((rows["blocks"] >= ENOUGH) | fired)
    steps = advance(
        episode,
        out=out,
        inside=known & ~beyond,
        at_ms=wave.at_ms,
        dt_ms=np.full(len(rows), float(BLOCK_MS)),
        need=np.full(len(rows), NEED),
        dwell_ms=0,
        good=GOOD,
    )
    widened = np.where(fired & (steps == CLEAR), WIDER * bound / RECORDS, 0)
    rows["farthest"] = np.maximum(rows["farthest"], widened)
    accepted = fired & out & (episode["held"] >= ACCEPT_MS)
    accept(episode, steps, accepted)
    _learn(rows, slow, away, known & ~out & (episode["phase"] == CLOSED) | accepted, accepted)
    return steps, bound, accepted


def _learn(
    rows: Rows,
    slow: NDArray[np.float64],
    away: NDArray[np.float64],
    quiet: NDArray[np.bool_],
    accepted: NDArray[np.bool_],
) -> None:
    """The farthest distance counts once it is back: a drift must not carry its bound along."""
    weight = np.where(quiet, np.maximum(MEMORY, 1 / (rows["blocks"] + 1)), 0)
    moved = slow + weight * (np.where(quiet, rows["block_mean"], slow) - slow)
    rows["slow"] = np.where(accepted, rows["block_mean"], moved)
    size = np.where(accepted, rows["sway"], away)
    rows["sway"] += weight * (size - rows["sway"])
    beyond = away > rows["farthest"]
    young = rows["blocks"] < ENOUGH
    grown = quiet & ~accepted & beyond
    rows["peak"] = np.where(grown, np.maximum(rows["peak"], away), rows["peak"])
    settled = quiet & (~beyond | young)
    record = np.maximum(rows["farthest"], rows["peak"])
    rows["farthest"] = np.where(settled, record, rows["farthest"]) * (1 - 0.3 * MEMORY)
    rows["peak"] = np.where(settled | ~quiet, 0, rows["peak"])
    rows["blocks"] += quiet

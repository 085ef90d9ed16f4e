"""Episodes: one condition on one series from its first bad reading to its return, with dwell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Rows
from detection.findings import Phase

CLOSED, PENDING, FIRING, CLEAR = 0, 1, 2, 3  # phase of a row, and the steps of `advance`
PHASES: dict[int, Phase] = {PENDING: "pending", FIRING: "firing", CLEAR: "clear"}

FIELDS: list[tuple[str, str]] = [
    ("phase", "i1"),
    ("onset", "i8"),
    ("count", "i4"),
    ("held", "f8"),
    ("good", "i4"),
]


def advance(
    rows: Rows,
    *,
    out: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    at_ms: NDArray[np.int64],
    dt_ms: NDArray[np.float64],
    need: NDArray[np.int64],
    dwell_ms: NDArray[np.int64] | int,
    good: NDArray[np.int64] | int,
    apart: NDArray[np.bool_] | bool = False,
) -> NDArray[np.int8]:
    """Take one reading of each row into its episode, in place; int8[n] of steps, 0 for none.

    A bad reading (out) opens an episode. It fires with the need-th bad reading, once it has
    lasted for dwell_ms. A pending one is closed by a good reading (inside), a firing one by
    `good` of them in a row. A reading that is neither changes nothing but the time held.
    The time of a gap (dt_ms 0) neither resets the dwell nor counts towards it. apart: rounds are
    missing before the reading. Without a dwell that ends a pending episode: what is on both sides
    is not in a row, and what is missing may come late.
    """
    phase = rows["phase"]
    lapsed = apart & lapses(rows, dwell_ms)
    if np.count_nonzero(lapsed):
        out, inside = out & ~lapsed, inside | lapsed
    fresh = out & (phase == CLOSED)
    rows["onset"] = np.where(fresh, at_ms, rows["onset"])
    rows["count"] = np.where(fresh, 1, rows["count"] + out)
    rows["held"] = np.where(fresh, 0, rows["held"] + dt_ms)
    rows["good"] = np.where(inside, rows["good"] + 1, 0)
    firing = phase == FIRING
    ripe = out & ~firing & (rows["count"] >= need) & (rows["held"] >= dwell_ms)
    over = inside & ((phase == PENDING) | (firing & (rows["good"] >= good)))
    steps = np.zeros(len(rows), np.int8)
    for which, step in ((fresh, PENDING), (over, CLEAR), (ripe, FIRING)):
        steps[which] = step
    rows["phase"] = np.where(steps == 0, phase, np.where(over, CLOSED, steps))
    return steps


def lapses(rows: Rows, dwell_ms: NDArray[np.int64] | int) -> NDArray[np.bool_]:
    """bool[n]: the episode ends where rounds are missing: it is pending, and has no dwell."""
    ended: NDArray[np.bool_] = (rows["phase"] == PENDING) & (dwell_ms == 0)
    return ended


def accept(rows: Rows, steps: NDArray[np.int8], which: NDArray[np.bool_]) -> None:
    """Close these episodes, in place, because what they are about is the new normal."""
    rows["phase"][which] = CLOSED
    steps[which] = CLEAR

"""What is kept of each series by the statistical channels, and what one reading makes of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.episodes import FIELDS
from detection.rules_shift import CHANNELS, JUMP, RECORD, SPIKE, STEP
from detection.seasons import Seasons

N = len(CHANNELS)
SHORT, FAST, LEVEL, SPREAD = range(4)  # the four moving means of a series
LEVELS = slice(JUMP, STEP + 1)  # channels in which a link that became slower stands out

BLANK = np.zeros(
    1,
    [
        ("shift", FIELDS),
        ("noise", FIELDS),
        ("drift", FIELDS),
        ("n", "i4"),  # readings learned from
        ("changes", "i4"),  # readings that differed from the one before
        ("since", "i4"),  # readings since the last gap
        ("first", "i8"),  # event time of the first reading
        ("fresh", "i8"),  # event time of the first reading after the last gap
        ("seasoned", "i8"),  # event time from which on the season counted for the first time
        ("block", "i4"),  # six hours that the last reading was in
        ("ready", "f8"),  # 1 where the season counts
        ("means", "f8", (4,)),  # moving: of few readings, 15 minutes, four hours; and the spread
        ("past", "f8", (2,)),  # the two residuals before
        ("usual", "f8", (4,)),  # of the whole series: sizes of jumps and steps, tails, bends
        ("low", "f8", (N,)),  # range of each channel's statistic so far
        ("high", "f8", (N,)),
        ("least_seen", "f8", (N,)),  # of the excursion beyond the range that goes on
        ("most_seen", "f8", (N,)),
        ("away", "i1"),  # such an excursion goes on
        ("caution", "f8", (N,)),  # multiplies tau, in youth
        ("least", "f8"),  # multiplies the least change, while the rhythm of a day is not known
        ("bar", "f8", (N,)),  # inf where a channel does not judge yet, else 0
        ("restless", "f8"),  # seconds with more noise than ever, less those without since
        ("side", "i1", (N,)),  # which way each channel left its range, for the open episode
        ("centre", "f8"),  # slow mean of the value
        ("total", "f8"),  # of the residuals of this block, and how many
        ("count", "f8"),
        ("blocks", "i4"),  # blocks that the drift channel has learned from
        ("slow", "f8"),  # mean of block means
        ("sway", "f8"),  # usual distance of a block mean from it, and the range of that
        ("farthest", "f8"),
        ("peak", "f8"),  # of the excursion beyond that which goes on
        ("block_mean", "f8"),  # of the residuals of the last six hours, NaN where too few
    ],
)
BLANK["least_seen"] = BLANK["most_seen"] = np.nan
BLANK["block"] = -1
BLANK["low"] = [-4, -4, -3, 0, 0]  # of ordinary noise, in usual sizes
BLANK["high"] = [4, 4, 3, 0, 2]
BLANK["usual"][:, 2] = 1.5


# of `columns(rows, "ready", "high")`, which `Statistics.score` works on
READY, MEANS, PAST, USUAL = 0, slice(1, 5), slice(5, 7), slice(7, 11)
LOW, HIGH = slice(11, 11 + N), slice(11 + N, 11 + 2 * N)
BENDS = 3  # of what is usual


class Scored(NamedTuple):
    """n readings against their series' past; [n, channels] each.

    stat: in usual sizes (jump, step), usual bends (noise) or as it is (record). over: how far
    beyond its range. unit: what one of stat is on the metric's scale. season, short, level, middle:
    [n] each, see `centre`.
    """

    stat: NDArray[np.float64]
    over: NDArray[np.float64]
    unit: NDArray[np.float64]
    season: NDArray[np.float64]
    short: NDArray[np.float64]  # means before this reading
    level: NDArray[np.float64]
    middle: NDArray[np.float64]  # residual of the last three

    def take(self, which: NDArray[np.intp]) -> Scored:
        """Some of the readings."""
        return Scored(*(column[which] for column in self))

    def centre(self, n: int, channel: int) -> float:
        """Where a channel's stat of the n-th reading is 0, on the metric's scale."""
        above = {SPIKE: self.middle, JUMP: self.short, STEP: self.level}.get(channel)
        return 0.0 if above is None else float(self.season[n] + above[n])


class Look(NamedTuple):
    """What `Statistics.score` makes of n readings, by columns: float64[n] where not said.

    past: float64[21, n], of `columns(rows, "ready", "high")`, before these readings.
    """

    past: NDArray[np.float64]
    seasons: Seasons
    season: NDArray[np.float64]
    blend: NDArray[np.float64]  # the season as the two cells have it, whether it counts or not
    residual: NDArray[np.float64]
    middle: NDArray[np.float64]  # residual of the last three
    tame: NDArray[np.float64]  # residual, cut where it is wild
    sizes: NDArray[np.float64]  # [3, n]: usual ones of spikes, jumps and steps
    moves: NDArray[np.float64]  # [2, n]: of this reading and of the fast mean, cut where wild
    bends: NDArray[np.float64]  # how far this reading lies off the line through the two before it
    means: NDArray[np.float64]  # [4, n]: as they are after this reading
    near: NDArray[np.int64]  # the cell whose middle is nearest, for `Cells.place`
    cell: NDArray[np.float64]  # [columns, n]: what it holds
    stat: NDArray[np.float64]  # [channels, n]: see `Scored`
    over: NDArray[np.float64]
    beyond: NDArray[np.intp]  # places of readings beyond the range of any channel
    turned: NDArray[np.intp]  # and of those before which a block of six hours ended

    def scored(self, which: NDArray[np.intp]) -> Scored:
        """Some of the readings, by rows."""
        unit = np.ones((len(which), N))
        unit[:, :RECORD] = self.sizes[:, which].T
        short, level = self.past[MEANS][[SHORT, LEVEL]][:, which]
        return Scored(
            self.stat[:, which].T,
            self.over[:, which].T,
            unit,
            self.season[which],
            short,
            level,
            self.middle[which],
        )

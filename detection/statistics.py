"""Statistics of each series: what it is now against its level, its season and its own past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Cells, Rows, columns, replace_some, some_of
from detection.ranges import DAY_MS, SURE_N, YOUNG_MS, widen
from detection.rules_shift import JUMP, NOISE, RECORD, SPIKE, ShiftRules
from detection.seasons import CELLS, HOUR_MS, JUMPS, MEAN, STEPS, TIME, Calendar
from detection.statistics_rows import (
    BENDS,
    BLANK,
    FAST,
    HIGH,
    LEVEL,
    LEVELS,
    LOW,
    MEANS,
    PAST,
    READY,
    SHORT,
    SPREAD,
    USUAL,
    Look,
    N,
)
from detection.statistics_time import Passing
from detection.waves import Wave

MINUTE_MS = 60_000
MEMORY_MS = np.array([[1.0], [15 * MINUTE_MS], [4 * HOUR_MS], [30 * MINUTE_MS]])
LEAST_WEIGHT = np.array([[0.3], [0.04], [0.0], [0.03]])
MOST_WEIGHT = np.array([[0.3], [0.35], [0.1], [0.15]])
CELL_MEMORY_S = 10 * 3600.0  # ten visits of an hour
PRIOR_S = np.array([[1.0], [5400.0], [5400.0]])  # of time that a cell's first content counts for
FLAT_SHARE = 0.3  # a cell's usual size counts at least as this share of the whole series' ...
ANY_HOUR_SHARE = 1.0  # ... or as this one, where changes are as large at any hour
SCALE_MEMORY_MS = 4 * DAY_MS
WILD = 6.0  # sizes beyond this many usual ones are cut in what is learned
NOISY = 8.0  # where the spread cuts the noise of one reading ...
NOISIER = 2.0  # ... and in youth for each unit of spread so much later: what lasts shows its size
BEND = 1.8  # usual jumps that a usual bend counts as at most; of white noise it is 2.26 of them
RESTLESS_SHARE = 0.2  # of a reading that is learned from while there is more noise than ever
NOWHERE = np.zeros(0, np.intp)

TAIL_FROM, TAIL_TO = 2.5, 6.5  # what of a jump lies between these, in usual sizes, is its tail ...
TAIL = 0.0212  # ... and this is its mean where the noise is normal


class Statistics:
    """Scores readings and learns from them. State is `bank` and `cells`, a row per series."""

    def __init__(self, rules: ShiftRules) -> None:
        self.bank = Bank(BLANK)
        self.cells = Cells(CELLS, 4)
        self._rules = rules
        self._calendar = Calendar()
        self._passing = Passing(rules, self.cells)
        self._flat = np.where(rules.any_hour, ANY_HOUR_SHARE, FLAT_SHARE)
        self._noisier = np.where(rules.spiky, 0.0, NOISIER)

    def score(self, rows: Rows, wave: Wave, y: NDArray[np.float64]) -> Look:
        """rows: of the series, changed in place where time has passed; y: on the metric's scale."""
        rules, row = self._rules, wave.row
        seasons = self._calendar.seasons(wave.at_ms, rules.week[row])
        at = self.cells.at(wave.series, seasons.cells)
        cells = self.cells.pick(at)
        turned = self._passing.let_pass(rows, wave, seasons, cells, y)
        before, after = cells[0], cells[1]  # `before, after = cells` takes five times as long
        blend = seasons.between(before, after)
        past = columns(rows, "ready", "high").copy()
        means, usual = past[MEANS], past[USUAL]
        season = past[READY] * blend[MEAN]
        residual = y - season
        short, level = means[SHORT], means[LEVEL]
        old, older = past[PAST.start], past[PAST.start + 1]
        middle = np.maximum(np.minimum(old, older), np.minimum(np.maximum(old, older), residual))
        sizes = np.maximum(blend[JUMPS : STEPS + 1], self._flat[row] * usual[:2])
        floor = rules.floor[row]
        sizes = np.maximum(sizes, floor)
        wild = WILD * sizes
        jumps, most = sizes[0], wild[0]
        tame = np.maximum(np.minimum(residual - short, most), -most) + short
        said = np.empty((4, len(y)))
        said[SHORT] = said[LEVEL] = tame
        said[FAST] = middle
        bends = np.abs(residual - 2 * old + older)
        per_jump = np.minimum(usual[BENDS] / np.maximum(usual[0], 1e-12), BEND)
        ordinary = np.maximum(per_jump * jumps, BEND * floor)
        spiky = rules.spiky[row]
        np.minimum(bends / ordinary, self._noisiest(rows, wave, means[SPREAD]), out=said[SPREAD])
        dt = wave.dt_ms
        weight = np.maximum(np.minimum(dt / (dt + MEMORY_MS), MOST_WEIGHT), LEAST_WEIGHT)
        moved = means + weight * (said - means)
        moves = np.empty((2, len(y)))
        np.subtract(np.where(spiky, middle, residual), short, out=moves[0])
        np.subtract(moved[FAST], level, out=moves[1])
        stat = np.empty((N, len(y)))
        spikes = np.where(rules.any_hour[row], np.minimum(jumps, ordinary / BEND), jumps)
        np.divide(old - middle, spikes, out=stat[SPIKE])
        np.divide(moves, sizes, out=stat[LEVELS])
        stat[RECORD], stat[NOISE] = y, moved[SPREAD]
        over = np.maximum(stat - past[HIGH], past[LOW] - stat)
        later = seasons.share >= 0.5
        return Look(
            past=past,
            seasons=seasons,
            season=season,
            blend=blend[MEAN],
            residual=residual,
            middle=middle,
            tame=tame,
            sizes=np.vstack((spikes, sizes)),
            moves=np.minimum(np.abs(moves), wild),
            bends=np.minimum(bends, WILD * ordinary),
            means=moved,
            near=np.where(later, at[1], at[0]),
            cell=np.where(later, after, before),
            stat=stat,
            over=over,
            beyond=_any(over > 0),
            turned=turned,
        )

    def _noisiest(
        self, rows: Rows, wave: Wave, spread: NDArray[np.float64]
    ) -> NDArray[np.float64] | float:
        """Where the noise of one reading is cut: float64[n] while some series is young."""
        young = wave.at_ms - rows["first"] < YOUNG_MS
        if not np.count_nonzero(young):
            return NOISY
        noisiest: NDArray[np.float64] = NOISY + self._noisier[wave.row] * young * spread
        return noisiest

    def learn(self, rows: Rows, wave: Wave, look: Look, out: NDArray[np.intp]) -> None:
        """Take readings into everything that is learned, those at `out` into fast and spread.

        What `look` holds is worked on in place.
        """
        n, past, cell = rows["n"], look.past, look.cell
        rows["since"] += 1
        n += 1
        rows["count"] += 1
        if len(out):
            n[out] -= 1
            rows["count"][out] -= 1
        young = n <= 2 * SURE_N
        usual = past[USUAL]
        size = np.maximum(np.maximum(look.sizes[JUMP], usual[0]), 1e-12)
        far = np.minimum(look.moves[0] / size, TAIL_TO) - TAIL_FROM
        seen = np.empty((4, len(n)))
        seen[:2] = look.moves
        np.divide(np.maximum(far, 0), TAIL, out=seen[2])
        seen[BENDS] = look.bends
        if youths := np.count_nonzero(young):
            seen[2, young] = 1.5
        weight = np.maximum(wave.dt_ms / (wave.dt_ms + SCALE_MEMORY_MS), 1 / (n + 1))
        dt = np.minimum(wave.dt_ms / 1000, 3600)
        known = np.minimum(cell[TIME] + PRIOR_S, CELL_MEMORY_S)
        share = np.maximum(dt, 1) / (known + dt)
        restless = look.over[NOISE] > rows["bar"][:, NOISE]
        if np.count_nonzero(restless):
            weight[restless] *= RESTLESS_SHARE
            share[:, restless] *= RESTLESS_SHARE
        lasted = rows["restless"]
        lasted += np.where(restless, dt, -dt)
        np.maximum(lasted, 0, out=lasted)
        change = np.empty((TIME, len(n)))
        np.subtract(look.tame + look.season, look.blend, out=change[MEAN])
        np.subtract(look.moves, cell[JUMPS:TIME], out=change[JUMPS:])
        if len(out):
            for column in (look.tame, weight, share, dt):
                column[..., out] = 0
            for mean in (SHORT, LEVEL):
                look.means[mean, out] = past[MEANS][mean, out]
        rows["total"] += look.tame
        past[MEANS] = look.means
        past[PAST.start + 1] = past[PAST.start]
        past[PAST.start] = look.residual
        usual += weight * (seen - usual)
        columns(rows, "means", "usual")[...] = past[1 : USUAL.stop]
        cell[:TIME] += share * change
        cell[TIME] += dt
        if youths:
            cell *= n > SURE_N  # what a young series has seen is not kept for the hour
        self.cells.place(look.near, cell)
        self._widen(rows, wave, look, out)

    def _widen(self, rows: Rows, wave: Wave, look: Look, out: NDArray[np.intp]) -> None:
        """Take what left its range, or did before, into the range."""
        away = rows["away"] != 0
        away[look.beyond] = True
        away[out] = False
        which = away.nonzero()[0]
        if len(which):
            some = some_of(rows, which)
            widen(some, look.stat[:, which].T, wave.at_ms[which])
            replace_some(rows, which, some)


def _any(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Places of n at which any of bool[k, n] is true; nearly always there is none."""
    if not np.count_nonzero(mask):
        return NOWHERE
    places: NDArray[np.intp] = np.logical_or.reduce(mask, axis=0).nonzero()[0]
    return places

"""Statistics of each series: what it is now against its level, its season and its own past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Cells, Rows, columns, replace_some, some_of
from detection.episodes import CLOSED, lapses
from detection.ranges import BLOCK_H, DAY_MS, SEASON_MS, SURE_N, YOUNG_MS, forget, widen
from detection.rules import JUMP, NOISE, RECORD, SPIKE, STEP, ShiftRules
from detection.seasons import CELLS, HOUR_MS, HOURS, Calendar, Seasons
from detection.statistics_limit import trust
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
from detection.waves import Wave

MINUTE_MS = 60_000
MEMORY_MS = np.array([[1.0], [15 * MINUTE_MS], [4 * HOUR_MS], [30 * MINUTE_MS]])
LEAST_WEIGHT = np.array([[0.3], [0.04], [0.0], [0.03]])
MOST_WEIGHT = np.array([[0.3], [0.35], [0.1], [0.15]])
MEAN, JUMPS, STEPS, TIME = range(4)  # columns of a cell: mean, two usual sizes, time learned (s)
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
FEW = 6  # readings that make a mean of six hours
STEP_SHARE = 0.6  # of a usual jump: what a usual step is taken for once the season counts
YOUNG = 64  # readings after a start or a gap in which every reading is looked at slowly
NOWHERE = np.zeros(0, np.intp)
KNOWN_S = 1200.0  # of an hour that must have been seen

TAIL_FROM, TAIL_TO = 2.5, 6.5  # what of a jump lies between these, in usual sizes, is its tail ...
TAIL = 0.0212  # ... and this is its mean where the noise is normal


class Statistics:
    """Scores readings and learns from them. State is `bank` and `cells`, a row per series."""

    def __init__(self, rules: ShiftRules) -> None:
        self.bank = Bank(BLANK)
        self.cells = Cells(CELLS, 4)
        self._rules = rules
        self._calendar = Calendar()
        self._flat = np.where(rules.any_hour, ANY_HOUR_SHARE, FLAT_SHARE)
        self._noisier = np.where(rules.spiky, 0.0, NOISIER)

    def score(self, rows: Rows, wave: Wave, y: NDArray[np.float64]) -> Look:
        """rows: of the series, changed in place where time has passed; y: on the metric's scale."""
        rules, row = self._rules, wave.row
        seasons = self._calendar.seasons(wave.at_ms, rules.week[row])
        at = self.cells.at(wave.series, seasons.cells)
        cells = self.cells.pick(at)
        turned = self._let_pass(rows, wave, seasons, cells, y)
        before, after = cells[0], cells[1]  # `before, after = cells` takes five times as long
        blend = before + seasons.share * (after - before)
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

    def _let_pass(
        self,
        rows: Rows,
        wave: Wave,
        seasons: Seasons,
        cells: NDArray[np.float64],
        y: NDArray[np.float64],
    ) -> NDArray[np.intp]:
        """Let time pass in rows and cells where there is something that it does, in place.

        Returns the places before which a block of six hours ended.
        """
        new_block = seasons.hour // BLOCK_H != rows["block"]
        due = wave.gap | new_block | (rows["since"] < YOUNG)
        due |= np.minimum(cells[0, TIME], cells[1, TIME]) == 0
        which: NDArray[np.intp] = due.nonzero()[0]
        if not len(which):
            return which
        turned: NDArray[np.intp] = (new_block & (rows["block"] >= 0)).nonzero()[0]
        some = some_of(rows, which)
        cells[..., which] = self._pass(some, wave.take(which), seasons.take(which), y[which])
        replace_some(rows, which, some)
        return turned

    def _pass(
        self, rows: Rows, wave: Wave, seasons: Seasons, y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Let time pass for some rows: starts, gaps, hours not seen yet, blocks that end.

        Returns the cells of the hours before and after, float64[columns, n] each.
        """
        new = rows["n"] + rows["since"] == 0
        rows["first"] = np.where(new, wave.at_ms, rows["first"])
        rows["centre"] = np.where(new, y, rows["centre"])
        low, high = rows["low"], rows["high"]
        for end in (low, high):
            end[:, RECORD] = np.where(new, y, end[:, RECORD])
        before, after = (self._known(rows, wave, cell, y) for cell in seasons.cells)
        block = seasons.hour // BLOCK_H
        turned = block != rows["block"]
        age = wave.at_ms - rows["first"]
        known = np.minimum(before[TIME], after[TIME]) >= KNOWN_S
        ready = known & (age >= SEASON_MS)
        unseen = ~known & (age >= SEASON_MS)
        wanted = np.where(turned | unseen, ready, rows["ready"])
        blend = before[MEAN] + seasons.share * (after[MEAN] - before[MEAN])
        change = (wanted - rows["ready"]) * blend
        for name in ("means", "past"):
            of = rows[name]
            of[:, :3] -= change[:, None]
        count = np.where(wanted == rows["ready"], rows["count"], 0)  # residuals of one kind only
        self._season(rows, wave, wanted)
        episode, dwell_ms = rows["shift"], self._rules.dwell_ms[wave.row]
        over = (episode["phase"] == CLOSED) | lapses(episode, dwell_ms)
        afresh = new | (wave.gap & over)
        residual = (y - wanted * blend)[:, None]
        means, past = rows["means"], rows["past"]
        means[:, :3] = np.where(afresh[:, None], residual, means[:, :3])
        means[:, SPREAD] = np.where(new, 1.2, means[:, SPREAD])
        past[:] = np.where(afresh[:, None], residual, past)
        rows["since"] = np.where(afresh, 0, rows["since"])
        rows["fresh"] = np.where(afresh, wave.at_ms, rows["fresh"])
        if turned.any():
            which = turned.nonzero()[0]
            some = some_of(rows, which)
            forget(some, y[which])
            replace_some(rows, which, some)
            enough = (count >= FEW) & (rows["ready"] > 0)
            mean = np.where(enough, rows["total"] / np.maximum(count, 1), np.nan)
            rows["block_mean"] = np.where(turned, mean, rows["block_mean"])
        rows["count"] = np.where(turned, 0, count)
        rows["total"] = np.where(rows["count"] == 0, 0, rows["total"])
        rows["block"] = block
        rules, row = self._rules, wave.row
        trust(rows, wave, age, week=rules.week[row], spiky=rules.spiky[row])
        return before, after

    def _season(self, rows: Rows, wave: Wave, wanted: NDArray[np.float64]) -> None:
        """The season counts, or not; steps had another size before it did for the first time."""
        first = (wanted > 0) & (rows["seasoned"] == 0)
        if first.any():
            rows["seasoned"] = np.where(first, wave.at_ms, rows["seasoned"])
            usual, series = rows["usual"], wave.series[first]
            usual[:, 1] = np.where(first, STEP_SHARE * usual[:, 0], usual[:, 1])
            table = self.cells.take(series)
            table["cells"][:, :, STEPS] = STEP_SHARE * table["cells"][:, :, JUMPS]
            self.cells.put(series, table)
            for end in ("low", "high"):
                rows[end][:, STEP] = np.where(first, BLANK[end][0, STEP], rows[end][:, STEP])
        rows["ready"] = wanted

    def _known(
        self, rows: Rows, wave: Wave, cell: NDArray[np.int64], y: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """These cells; one not seen yet starts as the same hour of the other days, or as now.

        A young series does not fill its cells.
        """
        at = self.cells.at(wave.series, cell)
        values = self.cells.pick(at)
        unseen = values[TIME] == 0
        if not np.count_nonzero(unseen):
            return values
        other = self.cells.pick(self.cells.at(wave.series, (cell + HOURS) % CELLS))
        now = np.stack([y, rows["usual"][:, 0], rows["usual"][:, 1], np.ones(len(y))])
        first = np.where(other[TIME] > 0, other, now)
        sure = rows["n"] > SURE_N
        first[TIME] = sure
        values = np.where(unseen, first, values)
        self.cells.place(at[sure], values[:, sure])
        return values


def _any(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Places of n at which any of bool[k, n] is true; nearly always there is none."""
    if not np.count_nonzero(mask):
        return NOWHERE
    places: NDArray[np.intp] = np.logical_or.reduce(mask, axis=0).nonzero()[0]
    return places

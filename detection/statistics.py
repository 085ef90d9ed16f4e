"""Statistics of each series: what it is now against its level, its season and its own past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Cells, Rows, replace_some, some_of
from detection.ranges import BLOCK_H, DAY_MS, SEASON_MS, SURE_N, forget, widen
from detection.rules import JUMP, NOISE, RECORD, SPIKE, STEP, ShiftRules
from detection.seasons import CELLS, HOUR_MS, HOURS, Calendar, Seasons
from detection.statistics_rows import (
    BLANK,
    FAST,
    LEVEL,
    SHORT,
    SPREAD,
    Look,
    N,
    Scored,
)
from detection.waves import Wave

MINUTE_MS = 60_000
MEMORY_MS = np.array([[1.0], [15 * MINUTE_MS], [4 * HOUR_MS], [30 * MINUTE_MS]])
LEAST_WEIGHT = np.array([[0.3], [0.04], [0.0], [0.03]])
MOST_WEIGHT = np.array([[0.3], [0.35], [0.1], [0.15]])
MEAN, JUMPS, STEPS, TIME = range(4)  # columns of a cell: mean, two usual sizes, time learned (s)
CELL_MEMORY_S = 10 * 3600.0  # ten visits of an hour
PRIOR_S = np.array([1, 5400, 5400])  # of time that a cell's first content counts for
FLAT_SHARE = 0.3  # a cell's usual size counts at least as this share of the whole series' ...
ANY_HOUR_SHARE = 1.0  # ... or as this one, where changes are as large at any hour
SCALE_MEMORY_MS = 4 * DAY_MS
WILD = 6.0  # sizes beyond this many usual ones are cut in what is learned
NOISY = 8.0  # and this is where the spread cuts
FEW = 6  # readings that make a mean of six hours
STEP_SHARE = 0.6  # of a usual jump: what a usual step is taken for once the season counts
YOUNG = 64  # readings after a start or a gap in which every reading is looked at slowly
KNOWN_S = 1200.0  # of an hour that must have been seen
FIRST_DAY = 3.0  # more caution with changes before a whole day has been lived

TAIL_FROM, TAIL_TO = 2.5, 6.5  # what of a jump lies between these, in usual sizes, is its tail ...
TAIL = 0.0212  # ... and this is its mean where the noise is normal
LIGHT, HEAVY = 1.3, 2.6  # tails below count as normal; those beyond are not told apart
LEVELS = slice(JUMP, STEP + 1)  # channels in which a link that became slower stands out
ENOUGH, ENOUGH_SHARE = 1.5, 0.5  # of the least change, and of the slowest so far: see `_enough`
SUDDEN = slice(SPIKE, JUMP + 1)  # channels that look at one reading ...
OUTLIER = 8.0  # ... which must lie so many usual sizes away: seven deviations of normal noise
RARE = [SPIKE, JUMP, NOISE]  # channels that the tails of the noise matter to
ORDINARY = np.array([10, 10, 7.5, np.inf, 2.5])  # a wider range than this has heavy tails
MOST_TAILS = np.array([9, 9, 9, 9, 1.5])  # what heavy tails make of a limit, at most


class Statistics:
    """Scores readings and learns from them. State is `bank` and `cells`, a row per series."""

    def __init__(self, rules: ShiftRules) -> None:
        self.bank = Bank(BLANK)
        self.cells = Cells(CELLS, 4)
        self._rules = rules
        self._tau, self._least = rules.tau.T.copy(), rules.least.T.copy()
        self._calendar = Calendar()
        self._flat = np.where(rules.any_hour, ANY_HOUR_SHARE, FLAT_SHARE)

    def score(self, rows: Rows, wave: Wave, y: NDArray[np.float64]) -> tuple[Scored, Look]:
        """rows: of the series, changed in place where time has passed; y: on the metric's scale."""
        rules, row = self._rules, wave.row
        seasons = self._calendar.seasons(wave.at_ms, rules.week[row])
        before = self.cells.pick(wave.series, seasons.before)
        after = self.cells.pick(wave.series, seasons.after)
        new_block = seasons.hour // BLOCK_H != rows["block"]
        turned = new_block & (rows["block"] >= 0)
        due = wave.gap | (rows["since"] < YOUNG) | new_block
        due |= np.minimum(before[:, TIME], after[:, TIME]) == 0
        which = due.nonzero()[0]
        if len(which):
            some, part = some_of(rows, which), wave.take(which)
            part_seasons = Seasons(*(column[which] for column in seasons))
            before[which], after[which] = self._pass(some, part, part_seasons, y[which])
            replace_some(rows, which, some)
        near_after = seasons.share >= 0.5
        blend = before + seasons.share[:, None] * (after - before)
        season = rows["ready"] * blend[:, MEAN]
        residual = y - season
        past, means = rows["past"], np.asfortranarray(rows["means"])  # columns are worked on
        short, level = means[:, SHORT], means[:, LEVEL]
        old, older = past[:, 0].copy(), past[:, 1]
        middle = np.maximum(np.minimum(old, older), np.minimum(np.maximum(old, older), residual))
        unit = np.empty((len(y), N), order="F")
        unit[:, RECORD:] = 1
        floor = rules.floor[row]
        usual = np.asfortranarray(rows["usual"])
        sizes = np.maximum(blend[:, JUMPS : STEPS + 1], self._flat[row][:, None] * usual[:, :2])
        sizes = np.maximum(sizes, floor[:, None])
        jumps, steps = sizes[:, 0], sizes[:, 1]
        unit[:, SPIKE] = unit[:, JUMP] = jumps
        unit[:, STEP] = steps
        jump = np.where(rules.spiky[row], middle, residual) - short
        wild = WILD * jumps
        tame = np.maximum(np.minimum(residual - short, wild), -wild) + short
        said = np.empty((len(y), 4), order="F")
        said[:, SHORT] = said[:, LEVEL] = tame
        said[:, FAST] = middle
        said[:, SPREAD] = np.minimum(np.abs(residual - old) / jumps, NOISY)
        dt = wave.dt_ms
        weight = np.maximum(np.minimum(dt / (dt + MEMORY_MS), MOST_WEIGHT), LEAST_WEIGHT)
        moved = means + weight.T * (said - means)
        step = moved[:, FAST] - level
        stat = np.empty((len(y), N), order="F")
        stat[:, JUMP], stat[:, STEP] = jump / jumps, step / steps
        stat[:, SPIKE] = (old - middle) / jumps
        stat[:, RECORD], stat[:, NOISE] = y, moved[:, SPREAD]
        low, high = np.asfortranarray(rows["low"]), np.asfortranarray(rows["high"])
        over = np.maximum(stat - high, low - stat)
        past[:, 1], past[:, 0] = old, residual
        look = Look(
            y=y,
            season=season,
            tame=tame,
            jump=np.minimum(np.abs(jump), wild),
            step=np.minimum(np.abs(step), WILD * steps),
            near=np.where(near_after, seasons.after, seasons.before),
            cell=np.where(near_after[:, None], after, before),
            means=moved,
            blend=blend[:, MEAN],
            turned=turned,
        )
        return Scored(stat, over, unit, season, short, level, middle), look

    def limit(
        self, rows: Rows, row: NDArray[np.intp], unit: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How far beyond its range each channel of some readings must be; never less than 0.

        rows: as `score` left them. row: of their metrics. unit: what `score` said of them.
        """
        low, high, caution = rows["low"], rows["high"], rows["caution"]
        width = high - low
        tails = np.maximum(width / ORDINARY, 1)
        heavy = np.maximum(np.minimum(rows["usual"][:, 2], HEAVY), LIGHT) / LIGHT
        tails[:, RARE] *= heavy[:, None]
        heavier = np.minimum(tails * tails, MOST_TAILS)
        limit = self._tau.take(row, axis=1).T * width * heavier * caution
        least = self._least.take(row, axis=1).T * rows["least"][:, None] / unit
        enough = _enough(least[:, LEVELS], high[:, LEVELS], caution[:, LEVELS])
        enough[self._rules.side[row] <= 0] = np.inf
        limit[:, LEVELS] = np.minimum(limit[:, LEVELS], enough)
        least[:, SUDDEN] = np.maximum(least[:, SUDDEN], OUTLIER)
        least[:, :RECORD] -= np.minimum(high[:, :RECORD], -low[:, :RECORD])
        far: NDArray[np.float64] = np.maximum(np.maximum(limit, least), 0)
        return far

    def learn(
        self, rows: Rows, wave: Wave, scored: Scored, look: Look, quiet: NDArray[np.bool_]
    ) -> None:
        """Take quiet readings into everything that is learned; of others only fast and spread."""
        means = rows["means"]
        if np.count_nonzero(quiet) == len(quiet):
            means[:] = look.means
        else:
            means[:, FAST], means[:, SPREAD] = look.means[:, FAST], look.means[:, SPREAD]
            for mean in (SHORT, LEVEL):
                means[:, mean] = np.where(quiet, look.means[:, mean], means[:, mean])
        rows["since"] += 1
        rows["n"] += quiet
        rows["total"] += look.tame * quiet
        rows["count"] += quiet
        seen = np.empty((len(quiet), 3), order="F")
        size = np.maximum(np.maximum(scored.unit[:, JUMP], rows["usual"][:, 0]), 1e-12)
        far = np.minimum(look.jump / size, TAIL_TO) - TAIL_FROM
        sure = rows["n"] > SURE_N
        seen[:, 0], seen[:, 1] = look.jump, look.step
        seen[:, 2] = np.maximum(far, 0) / TAIL
        np.copyto(seen[:, 2], 1.5, where=rows["n"] <= 2 * SURE_N)
        weight = np.maximum(wave.dt_ms / (wave.dt_ms + SCALE_MEMORY_MS), 1 / (rows["n"] + 1))
        usual = np.asfortranarray(rows["usual"])
        rows["usual"] = usual + (quiet * weight)[:, None] * (seen - usual)
        dt = np.minimum(wave.dt_ms / 1000, 3600)
        known = np.minimum(look.cell[:, TIME:] + PRIOR_S, CELL_MEMORY_S)
        weight = (quiet * np.maximum(dt, 1))[:, None] / (known + dt[:, None])
        cell = look.cell.copy(order="F")
        change = np.empty((len(quiet), TIME), order="F")
        change[:, MEAN] = look.tame + look.season - look.blend
        change[:, JUMPS:] = seen[:, :2] - cell[:, JUMPS:TIME]
        cell[:, :TIME] += weight * change
        cell[:, TIME] += quiet * dt
        cell *= sure[:, None]  # what a young series has seen is not kept for the hour
        self.cells.place(wave.series, look.near, cell)
        beyond = np.logical_or.reduce(scored.over > 0, axis=1)
        away = (beyond | (rows["away"] != 0)) & quiet
        which = away.nonzero()[0]
        if len(which):
            some = some_of(rows, which)
            widen(some, scored.stat[which], wave.at_ms[which])
            replace_some(rows, which, some)

    def _pass(
        self, rows: Rows, wave: Wave, seasons: Seasons, y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Let time pass for some rows: starts, gaps, hours not seen yet, blocks that end.

        Returns the cells of the hours before and after.
        """
        new = rows["n"] + rows["since"] == 0
        rows["first"] = np.where(new, wave.at_ms, rows["first"])
        rows["centre"] = np.where(new, y, rows["centre"])
        low, high = rows["low"], rows["high"]
        for end in (low, high):
            end[:, RECORD] = np.where(new, y, end[:, RECORD])
        before = self._known(rows, wave, seasons.before, y)
        after = self._known(rows, wave, seasons.after, y)
        block = seasons.hour // BLOCK_H
        turned = block != rows["block"]
        age = wave.at_ms - rows["first"]
        known = np.minimum(before[:, TIME], after[:, TIME]) >= KNOWN_S
        ready = known & (age >= SEASON_MS)
        unseen = ~known & (age >= SEASON_MS)
        wanted = np.where(turned | unseen, ready, rows["ready"])
        blend = before[:, MEAN] + seasons.share * (after[:, MEAN] - before[:, MEAN])
        change = (wanted - rows["ready"]) * blend
        for name in ("means", "past"):
            of = rows[name]
            of[:, :3] -= change[:, None]
        count = np.where(wanted == rows["ready"], rows["count"], 0)  # residuals of one kind only
        self._season(rows, wave, wanted)
        afresh = new | (wave.gap & (rows["shift"]["phase"] == 0))
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
        self._trust(rows, wave, age)
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
        values = self.cells.pick(wave.series, cell)
        unseen = values[:, TIME] == 0
        if not unseen.any():
            return values
        other = self.cells.pick(wave.series, (cell + HOURS) % CELLS)
        now = np.stack([y, rows["usual"][:, 0], rows["usual"][:, 1], np.ones(len(y))], axis=1)
        first = np.where(other[:, TIME:] > 0, other, now)
        sure = rows["n"] > SURE_N
        first[:, TIME] = sure
        values = np.where(unseen[:, None], first, values)
        self.cells.place(wave.series[sure], cell[sure], values[sure])
        return values

    def _trust(self, rows: Rows, wave: Wave, age: NDArray[np.int64]) -> None:
        """How far each channel is trusted by now: tau counts more in youth."""
        n, since, fresh = rows["n"], rows["since"], wave.at_ms - rows["fresh"]
        week = self._rules.week[wave.row]
        caution = 1 + 0.3 * (age < 3 * DAY_MS) + 0.5 * (age < DAY_MS) + 1.5 * (n < SURE_N)
        rows["caution"] = caution[:, None]
        rows["caution"][:, [JUMP, STEP]] += FIRST_DAY * (age < DAY_MS)[:, None]
        days = np.where(week, SEASON_MS, DAY_MS)
        rows["least"] = np.where(age < days, np.where(week, 5, 3), 1)
        grown = age >= np.where(week, 8, 3) * DAY_MS
        seasoned = wave.at_ms - rows["seasoned"]
        young, ready = age < SEASON_MS, rows["ready"] > 0
        seasonal = young | (ready & (seasoned >= BLOCK_H * HOUR_MS))
        both = DAY_MS * np.where(week, 2, 1)  # a range of days of rest alone knows no working day
        settled = (young & (age >= DAY_MS)) | (ready & (seasoned >= both))
        judges = np.empty((len(n), N), np.bool_)
        judges[:, JUMP] = judges[:, SPIKE] = (n >= 20) & (since >= 5)
        judges[:, STEP] = (n >= SURE_N) & (since >= 12) & (fresh >= 2 * HOUR_MS) & settled
        judges[:, RECORD] = (n >= SURE_N) & grown
        judges[:, NOISE] = (n >= 100) & (since >= 20) & seasonal
        rows["bar"] = np.where(judges, 0, np.inf)


def _enough(
    size: NDArray[np.float64], high: NDArray[np.float64], caution: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What is always enough beyond the range: the most that a limit of a link may be.

    Waiting times have such heavy tails that a limit made of tails and range alone would let a
    round trip double unsaid. size: the least change worth an alert, in usual sizes.
    """
    return np.maximum(ENOUGH * size - high, ENOUGH_SHARE * high * caution)

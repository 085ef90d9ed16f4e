"""The passing of time in the statistics of series: starts, gaps, new hours, blocks that end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Cells, Rows, replace_some, some_of
from detection.episodes import CLOSED, lapses
from detection.ranges import BLOCK_H, SEASON_MS, SURE_N, forget
from detection.rules_shift import RECORD, STEP, ShiftRules
from detection.seasons import CELLS, HOURS, JUMPS, MEAN, STEPS, TIME, Seasons
from detection.statistics_limit import trust
from detection.statistics_rows import BLANK, SPREAD
from detection.waves import Wave

FEW = 6  # readings that make a mean of six hours
STEP_SHARE = 0.6  # of a usual jump: what a usual step is taken for once the season counts
YOUNG = 64  # readings after a start or a gap in which every reading is looked at slowly
KNOWN_S = 1200.0  # of an hour that must have been seen


class Passing:
    """Lets time pass in rows and cells where there is something that it does."""

    def __init__(self, rules: ShiftRules, cells: Cells) -> None:
        self._rules = rules
        self._cells = cells

    def let_pass(
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
        blend = seasons.between(before[MEAN], after[MEAN])
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
            table = self._cells.take(series)
            table["cells"][:, :, STEPS] = STEP_SHARE * table["cells"][:, :, JUMPS]
            self._cells.put(series, table)
            for end in ("low", "high"):
                rows[end][:, STEP] = np.where(first, BLANK[end][0, STEP], rows[end][:, STEP])
        rows["ready"] = wanted

    def _known(
        self, rows: Rows, wave: Wave, cell: NDArray[np.int64], y: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """These cells; one not seen yet starts as the same hour of the other days, or as now.

        A young series does not fill its cells.
        """
        at = self._cells.at(wave.series, cell)
        values = self._cells.pick(at)
        unseen = values[TIME] == 0
        if not np.count_nonzero(unseen):
            return values
        other = self._cells.pick(self._cells.at(wave.series, (cell + HOURS) % CELLS))
        now = np.stack([y, rows["usual"][:, 0], rows["usual"][:, 1], np.ones(len(y))])
        first = np.where(other[TIME] > 0, other, now)
        sure = rows["n"] > SURE_N
        first[TIME] = sure
        values = np.where(unseen, first, values)
        self._cells.place(at[sure], values[:, sure])
        return values

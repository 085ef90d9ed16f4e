"""Slow trips: round trips to every tier take longer than usual, while the way is as it was.

Heavy tails let a single tier's round trips be anything for a few readings. What is slow on the way
to a near tier is slow for every tier beyond it, so the tiers are judged by their mean; and what
lasts adds up. A near tier that is slow alone is no trouble of the way: routers put off answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Cells, Rows
from detection.episodes import CLEAR, CLOSED, FIRING, PHASES
from detection.ranges import DAY_MS
from detection.rules import read_slow_trips
from detection.seasons import HOURS, MEAN, TIME
from detection.statistics_rows import FAST, Look
from detection.waves import Step, Wave
from devices.catalogue import Catalogue

BORNE = 0.2  # natural logarithm of how much longer than usual trips may be
FEWEST = 2  # tiers in a round; one alone may be anything
MOST = 0.6  # that a tier counts for: three times what is borne, so that one of three says nothing
MOST_ROUND = 0.6  # a round adds or takes away
ENOUGH = 0.5  # the sum of what is beyond that fires, ...
LASTS_MS = 170_000  # since its first round: the fourth of a minute each, the second of five minutes
RECORD = 1.5  # ... or so many times the highest that went away by itself, if that is more
FEW = 3  # rounds within what is expected that count against those beyond it
YOUNG, YOUNG_MS = 2.0, DAY_MS  # times as much, while no whole day was judged
CAP = 1.5  # above what fires, the sum does not grow: it must come down again
BACK = 0.25  # of what fires ends it
FORGET_MS = 20 * DAY_MS / 0.7  # of the record
SHOWN = 0.25  # of what a near tier is slower, that the next one must be at least
SAME_SHARE, SAME_MS = 0.5, 10.0  # the shortest trip is where it was, or it is another way
HARDLY_S = 10_800.0  # of an hour of days of rest: a visit of each of a first weekend, and more

BLANK = np.zeros(
    1,
    [
        ("phase", "i1"),
        ("first", "i8"),  # event time of the first round that was judged
        ("onset", "i8"),  # event time since which the sum is above 0
        ("sum", "f8"),  # of how much longer than borne the rounds took
        ("beyond", "i4"),  # rounds since then above what is expected, less those that are not
        ("peak", "f8"),  # the highest since it was 0
        ("record", "f8"),  # the highest that went away by itself
    ],
)


class _Trips(NamedTuple):
    """k readings of round trips; intp[k] each: places in the wave, metrics, which device that is
    told of it is, and the tier."""

    at: NDArray[np.intp]
    row: NDArray[np.intp]
    place: NDArray[np.intp]
    tier: NDArray[np.intp]

    @property
    def of(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Places in a table of devices by tiers."""
        return self.place, self.tier


class SlowTrips:
    """A CUSUM (Page 1954) on how much longer than usual at this hour a device's round trips are.

    A round counts with the mean over its tiers of log(median / usual median), what the way itself
    has become longer taken off; a tier whose way is another one does not count. The sum must leave
    the range that it has had so far: busy mornings differ. In most rounds since it began, the one
    that fires among them, the median that is told must itself be above what is expected, which is
    some milliseconds more than usual: a fifth of a short trip nobody notices.
    """

    rule = "slow-trips"

    def __init__(self, catalogue: Catalogue, offset: NDArray[np.float64], cells: Cells) -> None:
        """offset: of the logarithm of each metric, as the seasons (cells) are learned."""
        self.bank = Bank(BLANK)
        self._catalogue = catalogue
        self._rules = read_slow_trips()
        self._offset = offset
        self._cells = cells

    def judge(
        self, wave: Wave, look: Look, known: NDArray[np.bool_]
    ) -> tuple[list[Step], NDArray[np.bool_]]:
        """What fires or ends with these readings, and which of them a tier says alone: bool[n].

        look: what their seasons say of them. known: bool[n], where a season has ever counted. A
        median is said alone where the next tier beyond shows nothing of it and would: then the near
        tier's router is slow to answer, and the way is not.
        """
        alone = np.zeros(len(known), np.bool_)
        told = (self._rules.told[wave.row] & known).nonzero()[0]
        if not len(told):
            return [], alone
        medians = self._join(wave, ~self._rules.shortest[wave.row] & known, told)
        shortest = self._join(wave, self._rules.shortest[wave.row] & known, told)
        season = self._season(wave, look)
        slower, beyond = self._slower(wave, season, medians, shortest, len(told))
        alone[medians.at] = self._alone(look, medians, len(told))
        rows = self.bank.take(wave.series[told])
        phases = _follow(rows, slower, beyond, wave.take(told))
        self.bank.put(wave.series[told], rows)
        steps = [
            self._step(n, int(told[n]), int(phases[n]), rows, wave, season)
            for n in phases.nonzero()[0].tolist()
        ]
        return steps, alone

    def _join(self, wave: Wave, wanted: NDArray[np.bool_], told: NDArray[np.intp]) -> _Trips:
        """The wanted trips of the devices that `told` are of."""
        rules, number = self._rules, self._catalogue.device_number
        at = (wanted & (rules.tier[wave.row] >= 0)).nonzero()[0]
        theirs, mine = number[wave.series[told]], number[wave.series[at]]
        order = np.argsort(theirs)
        place = np.searchsorted(theirs, mine, sorter=order)
        place = order[place.clip(max=len(told) - 1)]
        found = theirs[place] == mine
        at, place = at[found], place[found]
        return _Trips(at, wave.row[at], place, rules.tier[wave.row[at]])

    def _season(self, wave: Wave, look: Look) -> NDArray[np.float64]:
        """float64[n]: what is usual at this hour, as a logarithm.

        Of an hour of days of rest that is hardly known it is no more than on a working day: what
        is slow on the first Saturday would be its season at once.
        """
        of_rest = look.seasons.cells[0] >= HOURS
        hardly_known = of_rest & (look.cell[TIME] < HARDLY_S) & (self._rules.tier[wave.row] >= 0)
        which = hardly_known.nonzero()[0]
        if not len(which):
            return look.blend
        series, hours = wave.series[which], look.seasons.take(which)
        rest, working = (
            self._cells.pick(self._cells.at(series, cells)).swapaxes(0, 1)
            for cells in (hours.cells, hours.cells % HOURS)
        )
        unknown = working[TIME] == 0
        most = np.where(unknown, np.inf, working[MEAN])
        season = look.blend.copy()
        season[which] = hours.between(*np.minimum(rest[MEAN], most))
        return season

    def _slower(
        self, wave: Wave, season: NDArray[np.float64], medians: _Trips, shortest: _Trips, n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """float64[n]: mean over tiers of the log of how much longer than usual trips took.

        0 where one tier alone is heard. And bool[n]: the one told took longer than is expected.
        """
        longer, ways = np.zeros((2, n, self._rules.tiers))
        ways[shortest.of] = np.exp(season[shortest.at]) - self._offset[shortest.row]
        longer[shortest.of] = np.maximum(wave.value[shortest.at] - ways[shortest.of], 0)
        usual, offset = season[medians.at], self._offset[medians.row]
        more, way = longer[medians.of], ways[medians.of]
        took = np.maximum(wave.value[medians.at] - more, 0)
        slower = np.log(took + offset) - usual
        same = more <= np.maximum(SAME_SHARE * way, SAME_MS)
        same &= np.exp(usual) - offset >= way  # else it was learned on another way
        counts = self._rules.counts[medians.row]
        total = np.bincount(medians.place, np.minimum(slower, MOST) * (counts & same), n)
        heard = np.bincount(medians.place, counts, n)
        mean = np.where(heard >= FEWEST, total / np.maximum(heard, 1), 0.0)
        beyond = self._rules.told[medians.row] & (took > self._expected(usual, medians.row))
        return mean, np.bincount(medians.place, beyond, n) > 0

    def _expected(self, usual: NDArray[np.float64], row: NDArray[np.intp]) -> NDArray[np.float64]:
        """ms: the most that is expected of medians. usual: the logarithm that is, with offset."""
        offset, least_ms = self._offset[row], self._rules.least_ms[row]
        longer = np.maximum(np.exp(usual + BORNE), np.exp(usual) + least_ms) - offset
        expected: NDArray[np.float64] = longer
        return expected

    def _alone(self, look: Look, medians: _Trips, n: int) -> NDArray[np.bool_]:
        """bool[medians]: the next tier beyond shows nothing of it, in the means of 15 minutes."""
        usual_ms = np.exp(look.blend[medians.at])
        more_ms = usual_ms * np.expm1(look.means[FAST, medians.at])
        seen, noise = np.full((2, n, self._rules.tiers + 1), np.nan)
        seen[medians.of] = more_ms
        noise[medians.of] = usual_ms * np.expm1(look.sizes[0, medians.at])
        for said in (seen, noise):
            for tier in range(self._rules.tiers - 1, 0, -1):  # of one not heard, the one beyond
                said[:, tier] = np.where(np.isnan(said[:, tier]), said[:, tier + 1], said[:, tier])
        beyond = medians.place, medians.tier + 1
        alone: NDArray[np.bool_] = (more_ms > noise[beyond]) & ~(more_ms * SHOWN <= seen[beyond])
        return alone

    def _step(
        self, n: int, place: int, phase: int, rows: Rows, wave: Wave, season: NDArray[np.float64]
    ) -> Step:
        expected = self._expected(season[[place]], wave.row[[place]])
        onset_ms = int(rows["onset"][n])
        return Step(
            place=place,
            phase=PHASES[phase],
            nature="connectivity",
            severity="warning",
            onset_ms=onset_ms,
            value=float(wave.value[place]),
            expected=(0.0, float(expected[0])),
            facts={"held_s": (int(wave.at_ms[place]) - onset_ms) / 1000, "side": "high"},
            rule=self.rule,
        )


def _follow(
    rows: Rows, slower: NDArray[np.float64], beyond: NDArray[np.bool_], wave: Wave
) -> NDArray[np.int8]:
    """Take one round of each row, in place; int8[n]: FIRING or CLEAR where something changed."""
    firing = rows["phase"] == FIRING
    rows["first"] = np.where(rows["first"] == 0, wave.at_ms, rows["first"])
    before = np.where(wave.apart & ~firing, 0, rows["sum"])  # rounds that are missing may come late
    peak = np.where(wave.apart & ~firing, 0, rows["peak"])
    now = np.maximum(before + np.clip(slower - BORNE, -MOST_ROUND, MOST_ROUND), 0)
    begins = before == 0
    rows["onset"] = np.where(begins & (now > 0), wave.at_ms, rows["onset"])
    most = np.where(begins, 0, rows["beyond"]) + np.where(beyond, 1, -1)
    rows["beyond"] = np.maximum(most, -FEW)
    young = wave.at_ms - rows["first"] < YOUNG_MS
    bar = np.maximum(ENOUGH, RECORD * rows["record"]) * np.where(young, YOUNG, 1)
    lasts = beyond & (most > 0) & (wave.at_ms - rows["onset"] >= LASTS_MS)
    fires, ends = ~firing & (now > bar) & lasts, firing & (now <= BACK * bar)
    passed = ~firing & (now == 0)
    seen = np.where(ends, bar, np.where(passed, peak, 0))  # what recurs is the link's habit
    record = np.maximum(rows["record"], seen)
    rows["record"] = record * (1 - wave.dt_ms / FORGET_MS)
    rows["sum"] = np.where(ends, 0, np.minimum(now, bar + CAP))
    rows["peak"] = np.where(passed | firing | fires, 0, np.maximum(peak, now))
    rows["phase"] = np.where(fires, FIRING, np.where(ends, CLOSED, rows["phase"]))
    return np.where(fires, FIRING, np.where(ends, CLEAR, 0)).astype(np.int8)

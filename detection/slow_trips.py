"""Slow trips: round trips to every tier take longer than usual, while the way is as it was.

Heavy tails let a single tier's round trips be anything for a few readings. What is slow on the way
to a near tier is slow for every tier beyond it, so the tiers are judged by their mean; and what
lasts adds up. A near tier that is slow alone is no trouble of the way: routers put off answers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows
from detection.episodes import CLEAR, CLOSED, FIRING
from detection.findings import Phase
from detection.rules import read_slow_trips
from detection.statistics_rows import FAST, Look
from detection.waves import Step, Wave
from devices.catalogue import Catalogue

DAY_MS = 86_400_000
BORNE = 0.2  # natural logarithm of how much longer than usual trips may be
MOST = 0.6  # that a tier counts for: three times what is borne, so that one of three says nothing
MOST_ROUND = 0.6  # a round adds or takes away
ENOUGH = 0.6  # the sum of what is beyond that fires, ...
RECORD = 1.5  # ... or so many times the highest that went away by itself, if that is more
YOUNG, YOUNG_MS = 2.0, DAY_MS  # times as much, while no whole day was judged
CAP = 1.5  # above what fires, the sum does not grow: it must come down again
BACK = 0.25  # of what fires ends it
FORGET_MS = 20 * DAY_MS / 0.7  # of the record
SHOWN = 0.25  # of what a near tier is slower, that the next one must be at least
SAME_SHARE, SAME_MS = 0.5, 10.0  # the shortest trip is where it was, or it is another way

BLANK = np.zeros(
    1,
    [
        ("phase", "i1"),
        ("first", "i8"),  # event time of the first round that was judged
        ("onset", "i8"),  # event time since which the sum is above 0
        ("sum", "f8"),  # of how much longer than borne the rounds took
        ("peak", "f8"),  # the highest since it was 0
        ("record", "f8"),  # the highest that went away by itself
    ],
)


class SlowTrips:
    """A CUSUM (Page 1954) on how much longer than usual at this hour a device's round trips are.

    A round counts with the mean over its tiers of log(median / usual median), what the way itself
    has become longer taken off; a tier whose way is another one does not count. The sum must leave
    the range that it has had so far: busy mornings differ.
    """

    rule = "slow-trips"

    def __init__(self, catalogue: Catalogue, offset: NDArray[np.float64]) -> None:
        """offset: of the logarithm of each metric, as the seasons are learned."""
        self.bank = Bank(BLANK)
        self._catalogue = catalogue
        self._rules = read_slow_trips()
        self._offset = offset

    def judge(
        self, wave: Wave, look: Look, known: NDArray[np.bool_]
    ) -> tuple[list[Step], NDArray[np.bool_]]:
        """What fires or ends with these readings, and which of them a tier says alone: bool[n].

        look: what their seasons say of them; of the first day of rest what is usual is that of a
        working day, which is more. known: bool[n], where a season has ever counted. A median is
        said alone where the next tier beyond shows nothing of it and would: then the near tier's
        router is slow to answer, and the way is not.
        """
        alone = np.zeros(len(known), np.bool_)
        told = (self._rules.told[wave.row] & known).nonzero()[0]
        if not len(told):
            return [], alone
        which, place = self._join(wave, known, told)
        slower = self._slower(wave, look.blend, which, place, len(told))
        alone[which] = self._alone(wave, look, which, place, len(told))
        rows = self.bank.take(wave.series[told])
        phases = _follow(rows, slower, wave.take(told))
        self.bank.put(wave.series[told], rows)
        steps = [
            self._step(n, int(told[n]), int(phases[n]), rows, wave, look.blend)
            for n in phases.nonzero()[0].tolist()
        ]
        return steps, alone

    def _join(
        self, wave: Wave, known: NDArray[np.bool_], told: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Places in the wave of the trips of the devices of `told`, and which of these it is."""
        which = ((self._rules.tier[wave.row] >= 0) & known).nonzero()[0]
        number = self._catalogue.device_number[wave.series]
        order = np.argsort(number[told])
        place = np.searchsorted(number[told], number[which], sorter=order)
        place = order[place.clip(max=len(told) - 1)]
        mine = number[told[place]] == number[which]
        return which[mine], place[mine]

    def _slower(
        self,
        wave: Wave,
        season: NDArray[np.float64],
        which: NDArray[np.intp],
        place: NDArray[np.intp],
        n: int,
    ) -> NDArray[np.float64]:
        """float64[n]: mean over tiers of the log of how much longer than usual trips took."""
        rules, row, value = self._rules, wave.row[which], wave.value[which]
        tier, usual, offset = rules.tier[row], season[which], self._offset[row]
        longer, ways = np.zeros((2, n, rules.tiers))
        short = rules.shortest[row]
        of = place[short], tier[short]
        ways[of] = np.exp(usual[short]) - offset[short]
        longer[of] = np.maximum(value[short] - ways[of], 0)
        of = place[~short], tier[~short]
        usual, offset = usual[~short], offset[~short]
        more, way = longer[of], ways[of]
        slower = np.log(np.maximum(value[~short] - more, 0) + offset) - usual
        counts = more <= np.maximum(SAME_SHARE * way, SAME_MS)
        counts &= np.exp(usual) - offset >= way  # else it was learned on another way
        slower = np.minimum(slower, MOST)
        total = np.bincount(of[0], slower * counts, n)
        return total / np.maximum(np.bincount(of[0], counts, n), 1)

    def _alone(
        self,
        wave: Wave,
        look: Look,
        which: NDArray[np.intp],
        place: NDArray[np.intp],
        n: int,
    ) -> NDArray[np.bool_]:
        """bool[which]: the next tier beyond shows nothing of it, in the means of 15 minutes."""
        rules, row = self._rules, wave.row[which]
        of = place, rules.tier[row]
        median = ~rules.shortest[row]
        usual_ms = np.exp(look.blend[which])
        more_ms = usual_ms * np.expm1(look.means[FAST, which])
        noise_ms = usual_ms * np.expm1(look.sizes[0, which])
        seen, noise = np.full((2, n, rules.tiers + 1), np.nan)
        seen[of[0][median], of[1][median]] = more_ms[median]
        noise[of[0][median], of[1][median]] = noise_ms[median]
        for said in (seen, noise):
            for tier in range(rules.tiers - 1, 0, -1):  # of one not heard, the one beyond
                said[:, tier] = np.where(np.isnan(said[:, tier]), said[:, tier + 1], said[:, tier])
        beyond = of[0], of[1] + 1
        shown = more_ms * SHOWN <= seen[beyond]
        alone: NDArray[np.bool_] = median & (more_ms > noise[beyond]) & ~shown
        return alone

    def _step(
        self, n: int, place: int, phase: int, rows: Rows, wave: Wave, season: NDArray[np.float64]
    ) -> Step:
        firing: Phase = "firing" if phase == FIRING else "clear"
        usual = float(np.exp(season[place] + BORNE) - self._offset[wave.row[place]])
        onset_ms = int(rows["onset"][n])
        return Step(
            place=place,
            phase=firing,
            nature="connectivity",
            severity="warning",
            onset_ms=onset_ms,
            value=float(wave.value[place]),
            expected=(0.0, usual),
            facts={"held_s": (int(wave.at_ms[place]) - onset_ms) / 1000, "side": "high"},
            rule=self.rule,
        )


def _follow(rows: Rows, slower: NDArray[np.float64], wave: Wave) -> NDArray[np.int8]:
    """Take one round of each row, in place; int8[n]: FIRING or CLEAR where something changed."""
    firing = rows["phase"] == FIRING
    rows["first"] = np.where(rows["first"] == 0, wave.at_ms, rows["first"])
    before = np.where(wave.apart & ~firing, 0, rows["sum"])  # rounds that are missing may come late
    peak = np.where(wave.apart & ~firing, 0, rows["peak"])
    now = np.maximum(before + np.clip(slower - BORNE, -MOST_ROUND, MOST_ROUND), 0)
    rows["onset"] = np.where((before == 0) & (now > 0), wave.at_ms, rows["onset"])
    young = wave.at_ms - rows["first"] < YOUNG_MS
    bar = np.maximum(ENOUGH, RECORD * rows["record"]) * np.where(young, YOUNG, 1)
    fires, ends = ~firing & (now > bar), firing & (now <= BACK * bar)
    passed = ~firing & (now == 0)
    seen = np.where(ends, bar, np.where(passed, peak, 0))  # what recurs is the link's habit
    record = np.maximum(rows["record"], seen)
    rows["record"] = record * (1 - wave.dt_ms / FORGET_MS)
    rows["sum"] = np.where(ends, 0, np.minimum(now, bar + CAP))
    rows["peak"] = np.where(passed | firing | fires, 0, np.maximum(peak, now))
    rows["phase"] = np.where(fires, FIRING, np.where(ends, CLOSED, rows["phase"]))
    return np.where(fires, FIRING, np.where(ends, CLEAR, 0)).astype(np.int8)

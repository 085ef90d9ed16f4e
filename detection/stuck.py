"""Stuck: a value that stands still for far longer than this sensor's values ever did."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows, some_of
from detection.episodes import CLOSED, FIRING
from detection.findings import Phase
from detection.rules import HALF_STEP, read_stuck
from detection.waves import Step, Wave
from devices.kinds import METRICS

CHANCE = 1e-8  # a run that chance repeats would bring less often than this is not chance
FEW_CHANGES = 3  # a sensor must have shown that its values change before it can be stuck ...
NEVER_CHANGED = 12  # ... or stand still for this many times the least run
SATURATED_MS = 6 * 3_600_000  # fog and smoke may keep a sensor at the top for so long

BLANK = np.zeros(
    1,
    [
        ("phase", "i1"),
        ("value", "f8"),  # of the run: equal means within half a resolution of it
        ("run", "i4"),  # readings of the run
        ("since", "i8"),  # event time of the run's first reading
        ("longest", "i4"),  # normal run so far
        ("highest", "f8"),  # value so far
        ("changes", "i4"),  # readings that differed from the one before
        ("repeats", "i4"),  # readings of normal runs that did not
    ],
)
BLANK["value"] = np.nan
BLANK["highest"] = -np.inf


class Stuck:
    """Learns how long runs of equal values normally are.

    It fires when a run is longer than twice the longest normal run, at least the table's least
    run, and longer than the share of repeated values would let chance explain. A value at the end
    of its hard range (0 % loss, 100 % humidity) may stand still for ever, and the highest that a
    sensor which saturates ever said for six hours: fog and smoke last.
    """

    rule = "stuck"

    def __init__(self) -> None:
        self.bank = Bank(BLANK)
        self._rules = read_stuck()
        self._lowest = np.array([metric.hard_min for metric in METRICS])
        self._highest = np.array([metric.hard_max for metric in METRICS])

    @property
    def banks(self) -> dict[str, Bank]:
        """State, by name."""
        return {self.rule: self.bank}

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins or ends with these readings; a run that is too long fires at once."""
        places, wave = wave.where(self._rules.applies[wave.row])
        rows = self.bank.take(wave.series)
        same = np.abs(wave.value - rows["value"]) < HALF_STEP[wave.row]
        other, began = (~same).nonzero()[0], rows["since"].copy()
        ends = other[:0]
        if np.count_nonzero(rows["phase"]):
            ends = other[rows["phase"][other] == FIRING]
        self._learn(rows, wave, other, any_fired=len(ends) > 0)
        rows["phase"][ends] = CLOSED
        rows["run"] += 1
        rows["run"][other] = 1
        rows["since"][other], rows["value"][other] = wave.at_ms[other], wave.value[other]
        rows["highest"][other] = np.maximum(rows["highest"][other], wave.value[other])
        fires = self._fires(rows, wave)
        rows["phase"][fires] = FIRING
        self.bank.put(wave.series, rows)
        for n in ends.tolist():
            yield _step("clear", int(places[n]), int(began[n]), wave, rows, n)
        for n in fires.tolist():
            yield _step("firing", int(places[n]), int(began[n]), wave, rows, n)

    def _learn(self, rows: Rows, wave: Wave, other: NDArray[np.intp], *, any_fired: bool) -> None:
        """Take the runs that ended into what is normal; other: where a value is another one.

        any_fired: whether one of these runs had fired.
        A run at an end of what it can say says nothing about the others. A run that fired counts
        as no longer than what it took to fire: a quantised sensor that stands still every night
        is then called stuck a few times at most.
        """
        movable = self._movable(rows["value"][other], wave.row[other])
        ended = other[movable & (rows["run"][other] > 0)]
        rows["changes"][ended] += 1
        ended = ended[~self._saturated(rows, ended, wave)]
        run, longest = rows["run"][ended], rows["longest"][ended]
        normal, repeats = run, run - 1
        if any_fired:
            fired = rows["phase"][ended] == FIRING
            bound = np.maximum(self._rules.least_run[wave.row[ended]], 2 * longest + 1)
            normal = np.where(fired, np.minimum(run, bound), run)
            repeats[fired] = 0
        rows["repeats"][ended] += repeats
        rows["longest"][ended] = np.maximum(longest, normal)

    def _fires(self, rows: Rows, wave: Wave) -> NDArray[np.intp]:
        run = rows["run"]
        long = (run > 2 * rows["longest"]) & (run >= self._rules.least_run[wave.row])
        which: NDArray[np.intp] = long.nonzero()[0]
        if len(which):
            which = which[rows["phase"][which] == CLOSED]
        if not len(which):
            return which
        saturated = self._saturated(rows, which, wave)
        rows, value, row = some_of(rows, which), wave.value[which], wave.row[which]
        least, changes, repeats = self._rules.least_run[row], rows["changes"], rows["repeats"]
        share = (repeats + 0.3) / (repeats + changes + 1)
        by_chance = np.log(CHANCE) / np.log(share)
        need = np.where(changes < FEW_CHANGES, NEVER_CHANGED * least, by_chance)
        least_ms = np.where(saturated, SATURATED_MS, self._rules.least_ms[row])
        lasted = wave.at_ms[which] - rows["since"] >= least_ms
        long = self._movable(value, row) & lasted & (rows["run"] >= need)
        chosen: NDArray[np.intp] = which[long]
        return chosen

    def _movable(self, value: NDArray[np.float64], row: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which values are not at an end of their metric's hard range."""
        inside: NDArray[np.bool_] = (value != self._lowest[row]) & (value != self._highest[row])
        return inside

    def _saturated(self, rows: Rows, which: NDArray[np.intp], wave: Wave) -> NDArray[np.bool_]:
        """Which of these runs are of the highest value so far of a sensor that saturates."""
        saturated: NDArray[np.bool_] = self._rules.saturates[wave.row[which]]
        if np.count_nonzero(saturated):
            saturated &= rows["value"][which] == rows["highest"][which]
        return saturated


def _step(phase: Phase, place: int, onset_ms: int, wave: Wave, rows: Rows, n: int) -> Step:
    held_ms = int(wave.at_ms[n]) - onset_ms
    longest = int(rows["longest"][n])
    facts = {"run": int(rows["run"][n]), "longest": longest, "held_s": held_ms / 1000}
    return Step(
        place=place,
        phase=phase,
        nature="data_quality",
        severity="warning",
        onset_ms=onset_ms,
        value=float(wave.value[n]),
        expected=None,
        facts=facts,
    )

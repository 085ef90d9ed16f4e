"""Dropouts: one reading of exactly 0 among large ones, of a load that was not switched off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from detection.episodes import CLOSED, FIRING, PENDING
from detection.findings import Phase
from detection.rules_tables import DropoutRule, read_dropouts
from detection.series_episodes import SeriesEpisodes
from detection.told import Context, Told, say
from detection.waves import Step
from devices.kinds import METRICS

GOOD = 2
HABIT_MS = 86_400_000  # a load that was at zero within the day before is one that goes off


@dataclass(slots=True)
class Dropout:
    """The last zero of a series. base: the value before it."""

    phase: int
    onset_ms: int
    base: float
    good: int = 0


class Dropouts(SeriesEpisodes[Dropout]):
    """Fires with the reading after a single zero; several in a row are a load that is off."""

    def __init__(self) -> None:
        super().__init__(Dropout)
        self.rules = read_dropouts()

    def read(self, told: Told, context: Context) -> Iterator[Step]:
        """What begins, fires or ends with this reading."""
        rule = self.rules.get(told.row)
        if rule is None:
            return
        drop = self.open.get((told.series, "dropout"))
        if told.value == 0:
            yield from self._zero(drop, told, rule, context)
        elif drop is not None and drop.phase == PENDING:
            returned = told.value >= rule.least and not told.gap
            drop.phase = FIRING if returned else CLOSED
            yield _step(drop, told, "firing" if returned else "clear")
        elif drop is not None and drop.phase == FIRING:
            drop.good += 1
            if drop.good >= GOOD:
                yield _end(drop, told)

    def _zero(
        self, drop: Dropout | None, told: Told, rule: DropoutRule, context: Context
    ) -> Iterator[Step]:
        """A zero begins one where it is alone, and is remembered in any case."""
        if drop is not None and drop.phase != CLOSED:
            yield _end(drop, told)
        habit = drop is not None and told.at_ms - drop.onset_ms <= HABIT_MS
        fell = told.before >= rule.least and not told.gap
        alone = fell and not habit and context.is_on(told, rule.unless_off)
        phase = PENDING if alone else CLOSED
        begun = Dropout(phase, told.at_ms, told.before)
        self.open[told.series, "dropout"] = begun
        if alone:
            yield _step(begun, told, "pending")

    def holds(self, series: int, row: int) -> bool:
        """Whether the next reading of that series matters."""
        drop = self.open.get((series, "dropout"))
        return drop is not None and drop.phase != CLOSED


def _end(drop: Dropout, told: Told) -> Step:
    drop.phase = CLOSED
    return _step(drop, told, "clear")


def _step(drop: Dropout, told: Told, phase: Phase) -> Step:
    return say(
        told,
        "dropout",
        phase,
        nature="data_quality",
        severity="warning",
        onset_ms=drop.onset_ms,
        value=told.value if phase == "clear" else 0.0,
        expected=(METRICS[told.row].resolution, float("inf")),
        facts={"readings": 1, "base": drop.base, "side": "low"},
    )

"""Zero: a sensor that says exactly 0 where 0 is no value of what it measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from detection.episodes import FIRING, PENDING
from detection.findings import Phase
from detection.rules_tables import read_zeros
from detection.series_episodes import SeriesEpisodes
from detection.told import Context, Told, say
from detection.waves import Step
from devices.kinds import METRICS

GOOD = 2


@dataclass(slots=True)
class Zero:
    """A run of zeros."""

    phase: int
    onset_ms: int
    readings: int = 1
    good: int = 0


class Zeros(SeriesEpisodes[Zero]):
    """Fires with the second zero in a row, by the table; what it doubts, no condition judges."""

    def __init__(self) -> None:
        super().__init__(Zero)
        self.rules = read_zeros()

    def read(self, told: Told, context: Context) -> Iterator[Step]:
        """What begins, fires or ends with this reading."""
        rule = self.rules.get(told.row)
        if rule is None:
            return
        key = told.series, "zero"
        zero = self.open.get(key)
        is_zero = told.value == 0 and context.is_on(told, rule.unless_off)
        if zero is None:
            if is_zero and told.before >= rule.least:
                zero = self.open[key] = Zero(PENDING, told.at_ms)
                yield _step(zero, told, "pending")
            return
        if is_zero:
            zero.readings, zero.good = zero.readings + 1, 0
            if zero.phase == PENDING and zero.readings >= rule.readings:
                zero.phase = FIRING
                yield _step(zero, told, "firing")
            return
        zero.good += 1
        if zero.phase == PENDING or zero.good >= GOOD:
            del self.open[key]
            yield _step(zero, told, "clear")

    def holds(self, series: int, row: int) -> bool:
        """Whether the values of that series are doubted."""
        return (series, "zero") in self.open


def _step(zero: Zero, told: Told, phase: Phase) -> Step:
    return say(
        told,
        "zero",
        phase,
        nature="data_quality",
        severity="warning",
        onset_ms=zero.onset_ms,
        value=told.value,
        expected=(METRICS[told.row].resolution, float("inf")),
        facts={"readings": zero.readings, "side": "low"},
    )

"""Zero: a sensor that says exactly 0 where 0 is no value of what it measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detection.episodes import FIRING, PENDING
from detection.findings import Phase
from detection.rules_tables import ZeroRule, read_zeros
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


class Zeros:
    """Fires with the second zero in a row, by the table; what it doubts, no condition judges."""

    def __init__(self) -> None:
        self.open: dict[tuple[int, str], Zero] = {}
        self.rules = read_zeros()

    def read(self, told: Told, context: Context) -> Iterator[Step]:
        """What begins, fires or ends with this reading."""
        rule = self.rules.get(told.row)
        if rule is None:
            return
        key = told.series, "zero"
        zero = self.open.get(key)
        if zero is None:
            if told.value == 0 and told.before >= rule.least and _is_on(told, rule, context):
                zero = self.open[key] = Zero(PENDING, told.at_ms)
                yield _step(zero, told, "pending")
            return
        if told.value == 0 and _is_on(told, rule, context):
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

    def state(self) -> list[tuple[int, str, list[Any]]]:
        """(series, rule, fields) of every run of zeros."""
        return [
            (s, name, [getattr(z, f) for f in z.__slots__]) for (s, name), z in self.open.items()
        ]

    def restore(self, state: list[tuple[int, str, list[Any]]]) -> None:
        """Hold exactly these."""
        self.open = {(s, name): Zero(*fields) for s, name, fields in state}


def _is_on(told: Told, rule: ZeroRule, context: Context) -> bool:
    """Whether nothing else of the device explains the zero."""
    if not rule.unless_off:
        return True
    return context.beside(told.series, rule.unless_off, told.at_ms) == 1


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

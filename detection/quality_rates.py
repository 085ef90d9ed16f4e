"""Rates: a value that changes faster than its quantity can, counters that fall, other units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detection.findings import Phase
from detection.rules_tables import RateRule, read_rates
from detection.series_episodes import SeriesEpisodes
from detection.told import Context, Told, say
from detection.waves import Step
from devices.kinds import METRICS

GOOD = 2  # readings in a row that the last good one can have become
MOST_MS = 300_000  # a change is judged over at most so long: nothing moves that fast for longer
LEAST_MS = 60_000
HABIT_N = 3  # jumps that were taken back within HABIT_MS of the one before are the sensor's noise:
HABIT_MS = 7 * 86_400_000  # ... only one that goes ...
HABIT_TIMES = 1.5  # ... so many times as far as the farthest of them is told
ACCEPT_MS = 3_600_000  # what stays is taken as true after so long ...
ACCEPT_UNIT_MS = 7 * 86_400_000  # ... but another unit stays until somebody sets it back
CONVERSIONS = {  # by unit: what else devices send, as (unit, factor, offset)
    "Cel": (("°F", 1.8, 32.0), ("K", 1.0, 273.15)),
    "bar": (("kPa", 100.0, 0.0), ("psi", 14.504, 0.0)),
    "V": (("mV", 1000.0, 0.0),),
    "m": (("cm", 100.0, 0.0), ("mm", 1000.0, 0.0)),
    "mg/L": (("µg/L", 1000.0, 0.0),),
    "Hz": (("mHz", 1000.0, 0.0),),
    "A": (("mA", 1000.0, 0.0),),
}
TOLERANCE = 0.03  # of the converted value


def other_unit(unit: str, before: float, value: float) -> str | None:
    """The unit in which `value` would be what `before` is in the metric's own, if there is one."""
    if before == 0:
        return None
    for name, meant in _converted(unit, before).items():
        if abs(value - meant) <= TOLERANCE * abs(meant):
            return name
    return None


def _converted(unit: str, value: float) -> dict[str, float]:
    return {name: value * factor + offset for name, factor, offset in CONVERSIONS.get(unit, ())}


@dataclass(slots=True)
class Jump:
    """A value that cannot follow from the one before it. unit: "" where it is no conversion."""

    rule: str
    unit: str
    base: float
    base_ms: int
    onset_ms: int
    good: int = 0
    times: float = 1.0  # how far it went, in what is allowed


@dataclass(slots=True)
class Habit:
    """Jumps of a series that were taken back. times: the farthest of them, in what is allowed."""

    n: int
    times: float
    last_ms: int


class Rates(SeriesEpisodes[Jump]):
    """Judges the change between two readings."""

    def __init__(self) -> None:
        super().__init__(Jump)
        self.rules = read_rates()
        self._habits: dict[int, Habit] = {}

    def state(self) -> list[tuple[int, str, list[Any]]]:
        """What is open, and habits by the name "habit"."""
        habits = [
            (series, "habit", [habit.n, habit.times, habit.last_ms])
            for series, habit in self._habits.items()
        ]
        return super().state() + habits

    def restore(self, state: list[tuple[int, str, list[Any]]]) -> None:
        """Keep exactly these."""
        super().restore([one for one in state if one[1] != "habit"])
        self._habits = {series: Habit(*of) for series, name, of in state if name == "habit"}

    def read(self, told: Told, context: Context) -> Iterator[Step]:
        """A jump fires with its first reading; it is over when the value can be true again."""
        rule = self.rules.get(told.row)
        if rule is None:
            return
        key = told.series, "rate"
        jump = self.open.get(key)
        if jump is not None:
            jump.good = jump.good + 1 if _is_back(jump, told, rule) else 0
            accept_ms = ACCEPT_UNIT_MS if jump.unit else ACCEPT_MS
            taken_back = jump.good >= GOOD
            if taken_back or told.at_ms - jump.onset_ms >= accept_ms:
                del self.open[key]
                if taken_back and jump.rule == "rate":
                    self._learn(told, jump.times)
                yield _step(jump, told, rule, "clear")
        elif _jumped(told, rule):
            unit = other_unit(METRICS[told.row].unit, told.before, told.value) or ""
            name = "counter" if rule.counter else "unit" if unit else "rate"
            if name == "rate" and self._is_habit(told, rule):
                return
            since_ms = told.at_ms - round(told.dt_ms)
            times = 1.0 if rule.counter else _times(told, rule)
            jump = Jump(name, unit, told.before, since_ms, told.at_ms, 0, times)
            self.open[key] = jump
            yield _step(jump, told, rule, "firing")

    def _is_habit(self, told: Told, rule: RateRule) -> bool:
        habit = self._habits.get(told.series)
        if habit is None or told.at_ms - habit.last_ms > HABIT_MS or habit.n < HABIT_N:
            return False
        if _times(told, rule) > HABIT_TIMES * habit.times:
            return False
        habit.last_ms = told.at_ms
        return True

    def _learn(self, told: Told, times: float) -> None:
        habit = self._habits.get(told.series)
        if habit is None or told.at_ms - habit.last_ms > HABIT_MS:
            habit = self._habits[told.series] = Habit(0, times, told.at_ms)
        habit.n, habit.last_ms = habit.n + 1, told.at_ms
        habit.times = max(habit.times, times)

    def converted(self, series: int) -> bool:
        """Whether the values of that series are in another unit: no condition is judged by them."""
        jump = self.open.get((series, "rate"))
        return jump is not None and bool(jump.unit)

    def holds(self, series: int, row: int) -> bool:
        """Whether a jump is open on that series."""
        return (series, "rate") in self.open


def _allowed(rule: RateRule, over_ms: float) -> float:
    return rule.per_min * max(over_ms, LEAST_MS) / 60_000


def _jumped(told: Told, rule: RateRule) -> bool:
    if rule.counter:
        return told.value < told.before
    if told.gap or told.dt_ms <= 0:
        return False
    return _times(told, rule) > 1


def _times(told: Told, rule: RateRule) -> float:
    return abs(told.value - told.before) / _allowed(rule, min(told.dt_ms, MOST_MS))


def _is_back(jump: Jump, told: Told, rule: RateRule) -> bool:
    if rule.counter:  # it counts on from where it fell to
        return told.value >= told.before
    if jump.unit:
        meant = _converted(METRICS[told.row].unit, jump.base)[jump.unit]
        return abs(told.value - jump.base) < abs(told.value - meant)
    return abs(told.value - jump.base) <= _allowed(rule, told.at_ms - jump.base_ms)


def _step(jump: Jump, told: Told, rule: RateRule, phase: Phase) -> Step:
    reach = 0.0 if rule.counter else _allowed(rule, min(told.at_ms - jump.base_ms, MOST_MS))
    high = float("inf") if rule.counter else jump.base + reach
    facts: dict[str, Any] = {"base": jump.base, "per_min": rule.per_min}
    if rule.counter:
        facts["side"] = "low"
    if jump.unit:
        facts["unit"] = jump.unit
    return say(
        told,
        jump.rule,
        phase,
        nature="data_quality",
        severity=rule.severity,
        onset_ms=jump.onset_ms,
        value=told.value,
        expected=(jump.base - reach, high),
        facts=facts,
    )

"""Conditions: a limit that public health or a standard gives, with its own dwell and words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from detection.episodes import FIRING, PENDING
from detection.findings import Phase
from detection.rules import HIGH
from detection.rules_facts import FACTS
from detection.rules_tables import ConditionRule, read_conditions
from detection.series_episodes import SeriesEpisodes
from detection.told import Context, Told, say
from detection.waves import Step

RETURN_MS = 3_600_000  # a cumulative timer starts anew after so long back inside
NO_END = float("inf")


@dataclass(slots=True)
class Episode:
    """One condition from its first bad reading to its end. Times in ms."""

    phase: int
    onset_ms: int
    held_ms: float = 0.0
    readings: int = 1
    good: int = 0
    inside_ms: float = 0.0
    was_out: bool = True
    window: list[list[float]] = field(default_factory=list)  # [at, value] of the last dwell


class Conditions(SeriesEpisodes[Episode]):
    """Judges readings by the table of conditions. A gap neither resets a timer nor satisfies it.

    consecutive: any reading inside ends a timer that has not run out. cumulative: the time
    outside adds up, and ends after an hour inside. mean: the mean over the dwell is judged.
    """

    def __init__(self) -> None:
        super().__init__(Episode)
        self._rules: dict[int, list[ConditionRule]] = {}
        for rule in read_conditions():
            self._rules.setdefault(rule.row, []).append(rule)

    def range_of(self, series: int, context: Context) -> tuple[float, float]:
        """Between these values no condition on that series begins."""
        low, high = -NO_END, NO_END
        for rule in self._rules.get(context.catalogue[series].metric.row, ()):
            limit, _ = _levels(rule, series, context)
            if rule.side == HIGH:
                high = min(high, limit)
            else:
                low = max(low, limit)
        return low, high

    def read(self, told: Told, context: Context) -> Iterator[Step]:
        """What begins, fires or ends with this reading."""
        for rule in self._rules.get(told.row, ()):
            key = told.series, rule.name
            limit, clear = _levels(rule, told.series, context)
            outside = told.value > limit if rule.side == HIGH else told.value < limit
            episode = self.open.get(key)
            if episode is None:
                if not outside:
                    continue
                episode = self.open[key] = Episode(PENDING, told.at_ms)
                yield self._step(told, rule, "pending", episode, context)
            else:
                _take(episode, told, rule, outside=outside, credit_ms=context.credit_ms(told))
            if rule.mode == "mean":
                outside = _mean_outside(episode, told, rule, limit)
            inside = told.value <= clear if rule.side == HIGH else told.value >= clear
            phase = _next(episode, rule, outside=outside, inside=inside)
            if phase is None:
                continue
            if phase == "firing":
                episode.phase = FIRING
            else:
                del self.open[key]
            yield self._step(told, rule, phase, episode, context)

    def holds(self, series: int, row: int) -> bool:
        """Whether an episode is open on that series."""
        return any((series, rule.name) in self.open for rule in self._rules.get(row, ()))

    def _step(
        self, told: Told, rule: ConditionRule, phase: Phase, episode: Episode, context: Context
    ) -> Step:
        limit, _ = _levels(rule, told.series, context)
        facts: dict[str, Any] = {
            "held_s": episode.held_ms / 1000,
            "readings": episode.readings,
            "side": "high" if rule.side == HIGH else "low",
        }
        if phase == "firing" and rule.name in FACTS:
            facts |= FACTS[rule.name](told, context, episode.window)
        value = told.value
        if rule.mode == "mean" and episode.window and phase == "firing":
            value = sum(v for _, v in episode.window) / len(episode.window)
        return say(
            told,
            rule.name,
            phase,
            nature=rule.nature,
            severity=rule.severity,
            onset_ms=episode.onset_ms,
            value=value,
            expected=(-NO_END, limit) if rule.side == HIGH else (limit, NO_END),
            facts=facts,
        )


def _levels(rule: ConditionRule, series: int, context: Context) -> tuple[float, float]:
    """Limit and clear level of a rule on that series; a river has no share of its height."""
    if not rule.share:
        return rule.limit, rule.clear
    height = context.catalogue[series].device.params.get("height_m")
    if height is None:
        none = NO_END if rule.side == HIGH else -NO_END
        return none, none
    return rule.limit * float(height), rule.clear * float(height)


def _take(
    episode: Episode, told: Told, rule: ConditionRule, *, outside: bool, credit_ms: float
) -> None:
    """Count one more reading, and the time since the one before."""
    if outside:
        episode.readings += 1
        episode.inside_ms = 0.0
        if episode.was_out or rule.mode != "cumulative":
            episode.held_ms += credit_ms
    else:
        episode.inside_ms += 0.0 if episode.was_out else credit_ms
        if rule.mode == "mean":
            episode.held_ms += credit_ms
    episode.was_out = outside


def _mean_outside(episode: Episode, told: Told, rule: ConditionRule, limit: float) -> bool:
    """Whether the mean over the last dwell is outside; takes the reading into the window."""
    start = told.at_ms - rule.dwell_ms
    episode.window = [w for w in episode.window if w[0] > start]
    episode.window.append([told.at_ms, told.value])
    mean = sum(value for _, value in episode.window) / len(episode.window)
    return mean > limit if rule.side == HIGH else mean < limit


def _next(episode: Episode, rule: ConditionRule, *, outside: bool, inside: bool) -> Phase | None:
    episode.good = episode.good + 1 if inside else 0
    if episode.phase == FIRING:
        return "clear" if episode.good >= rule.good and not outside else None
    if outside:
        ripe = episode.readings >= rule.readings and episode.held_ms >= rule.dwell_ms
        return "firing" if ripe else None
    if rule.mode == "cumulative":
        return "clear" if episode.inside_ms >= RETURN_MS else None
    return "clear"

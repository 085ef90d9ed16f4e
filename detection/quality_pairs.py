"""Pairs: two metrics of one round that cannot both be true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from detection.episodes import FIRING, PENDING
from detection.findings import Phase
from detection.rules_tables import PairRule, read_pairs
from detection.series_episodes import SeriesEpisodes
from detection.told import Context, Told, say
from detection.waves import Step

GOOD = 3


@dataclass(slots=True)
class Pair:
    """A contradiction that lasts."""

    phase: int
    onset_ms: int
    readings: int = 0
    good: int = 0


class Pairs(SeriesEpisodes[Pair]):
    """A metric that exceeds one which it never can (PM2.5 above PM10), by the table."""

    def __init__(self) -> None:
        super().__init__(Pair)
        self.rules = read_pairs()

    def read(self, told: Told, context: Context) -> Iterator[Step]:
        """What begins, fires or ends with this reading, where its round has both."""
        rule = self.rules.get(told.row)
        if rule is None:
            return
        other = context.beside(told.series, rule.other, told.at_ms)
        if other is None:
            return
        most = other * rule.factor + rule.slack
        key = told.series, "pair"
        pair = self.open.get(key)
        if told.value > most:
            if pair is None:
                pair = self.open[key] = Pair(PENDING, told.at_ms)
                yield _step(pair, told, rule, most, "pending")
            pair.readings, pair.good = pair.readings + 1, 0
            if pair.phase == PENDING and pair.readings >= rule.readings:
                pair.phase = FIRING
                yield _step(pair, told, rule, most, "firing")
        elif pair is not None:
            pair.good += 1
            if pair.phase == PENDING or pair.good >= GOOD:
                del self.open[key]
                yield _step(pair, told, rule, most, "clear")

    def holds(self, series: int, row: int) -> bool:
        """Whether a contradiction is open on that series."""
        return (series, "pair") in self.open


def _step(pair: Pair, told: Told, rule: PairRule, most: float, phase: Phase) -> Step:
    return say(
        told,
        "pair",
        phase,
        nature="data_quality",
        severity="warning",
        onset_ms=pair.onset_ms,
        value=told.value,
        expected=(float("-inf"), most),
        facts={"readings": pair.readings, "side": "high", "other": rule.other},
    )

"""What the deterministic rules look at: one reading at a time, and what its device said with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from detection.bank import Bank
from detection.findings import Nature, Phase, Severity
from detection.waves import Step, Wave
from devices.catalogue import Catalogue

GAP_INTERVALS = 2.5  # time between two readings further apart than this counts for no dwell


class Told(NamedTuple):
    """One reading that a rule may have to do with. place: in its wave; dt_ms: 0 after a gap."""

    place: int
    series: int
    row: int
    at_ms: int
    dt_ms: float
    gap: bool
    value: float
    before: float  # NaN at the first


class Context:
    """What else is known when a reading is judged: the last values of its device's other metrics.

    A wave holds one reading of each series at most, and a device's round is never split over
    batches: what was said in the same round has the same event time.
    """

    def __init__(self, catalogue: Catalogue, clock: Bank) -> None:
        self.catalogue = catalogue
        self._clock = clock

    def beside(self, series: int, metric: str, at_ms: int) -> float | None:
        """What the device of that series said of another metric in the round of at_ms."""
        return self.recent(series, metric, at_ms, 0)

    def recent(self, series: int, metric: str, at_ms: int, age_ms: float) -> float | None:
        """What it said of it last, at most age_ms before at_ms."""
        number = self.catalogue.find(self.catalogue[series].device.device, metric)
        if number is None:
            return None
        row = self._clock.row(number)
        if not 0 <= at_ms - int(row["at"]) <= age_ms:
            return None
        return float(row["value"])

    def is_on(self, told: Told, metric: str) -> bool:
        """Whether the device said yes of a metric in the same round; with "" nothing is asked."""
        return not metric or self.beside(told.series, metric, told.at_ms) == 1

    def credit_ms(self, told: Told) -> float:
        """The time since the reading before that counts for a dwell: none over a gap."""
        usual = max(
            int(self.catalogue.interval_ms[told.series]),
            float(self._clock.row(told.series)["spacing"]),
        )
        return 0.0 if told.gap or told.dt_ms > GAP_INTERVALS * usual else told.dt_ms

    def interval_ms(self, series: int) -> int:
        """The reporting interval of that series' device."""
        return int(self.catalogue.interval_ms[series])


def say(
    told: Told,
    rule: str,
    phase: Phase,
    *,
    nature: Nature,
    severity: Severity,
    onset_ms: int,
    value: float | None,
    expected: tuple[float, float] | None,
    facts: Mapping[str, Any],
    series: int | None = None,
) -> Step:
    """A step of a rule on the reading that made it."""
    return Step(
        place=told.place,
        phase=phase,
        nature=nature,
        severity=severity,
        onset_ms=onset_ms,
        value=value,
        expected=expected,
        facts=dict(facts),
        rule=rule,
        series=told.series if series is None else series,
    )


def told_at(wave: Wave, place: int) -> Told:
    """The reading at one place of a wave."""
    return Told(
        place=place,
        series=int(wave.series[place]),
        row=int(wave.row[place]),
        at_ms=int(wave.at_ms[place]),
        dt_ms=float(wave.dt_ms[place]),
        gap=bool(wave.gap[place]),
        value=float(wave.value[place]),
        before=float(wave.before[place]),
    )

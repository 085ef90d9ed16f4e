"""Rules over hours and nights: leaks, dead panels, ageing batteries, a day of smoke."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from detection.findings import Nature, Phase, Severity
from detection.periods import Period, median
from detection.series_episodes import SeriesEpisodes
from detection.waves import Step
from devices.kinds import KINDS

NIGHT = (1, 2, 3)  # hours in which a town hardly uses water
SUN = (9, 10, 11, 12, 13, 14)
DARK = (21, 22, 23, 0, 1, 2, 3)
NIGHTS = 14  # remembered
LEARN_NIGHTS = 3
LEAK_FACTOR, LEAK_SHARE = 1.5, 0.1  # above the most of any night, and of the mean flow
PANEL_SHARE = 0.03  # of what the panel gave at that time on other days
DARK_W_SHARE, DARK_V_SHARE = 0.03, 0.1  # of its best hour: a lamp gives a panel volts, no watts
LEARN_DAYS = 2
AGEING_V, AGEING_NIGHTS = 0.2, 5  # below every night of the first weeks, so many in a row
SMOKE_UGM3 = 225.5  # 24-hour mean of PM2.5 from which the air is hazardous (US EPA, 2024)
SMOKE_HOURS = 18
SMOKE_CLEAR = 0.8
INF = float("inf")


class Rule(NamedTuple):
    """What a rule is called and how serious it is."""

    name: str
    nature: Nature
    severity: Severity


LEAK = Rule("leak", "condition", "warning")
SMOKE = Rule("smoke", "condition", "info")
PANEL = Rule("panel-dead", "condition", "warning")
DARKNESS = Rule("night-sun", "data_quality", "warning")
AGEING = Rule("battery-ageing", "condition", "warning")


@dataclass(slots=True)
class Memory:
    """What one rule remembers of one series. past: a value per day or night or hour."""

    past: list[float] = field(default_factory=list)
    today: list[float] = field(default_factory=list)
    day: int = -1
    mean: float = 0.0
    firing: bool = False
    onset_ms: int = 0
    count: int = 0


def _row(kind: str, metric: str) -> int:
    return KINDS[kind].metrics[metric].row


PV_W = _row("solar", "pv_w")


class PeriodRules(SeriesEpisodes[Memory]):
    """Each rule of one metric is a method; it is given every finished hour of that metric."""

    def __init__(self) -> None:
        super().__init__(Memory)
        self._by_row = {
            _row("water-level", "flow_m3h"): (self._leak,),
            _row("air-quality", "pm2_5_ugm3"): (self._smoke,),
            PV_W: (self._panel, self._dark),
            _row("solar", "pv_v"): (self._dark,),
            _row("solar", "battery_v"): (self._ageing,),
        }

    def read(self, period: Period) -> Iterator[Step]:
        """What fires or ends with this period."""
        for rule in self._by_row.get(period.row, ()):
            yield from rule(period)

    def _memory(self, period: Period, rule: str) -> Memory:
        return self.open.setdefault((period.series, rule), Memory())

    def _leak(self, period: Period) -> Iterator[Step]:
        """A night in which the least flow is above that of every night before."""
        held = self._memory(period, LEAK.name)
        held.mean += (period.mean - held.mean) / min(168, held.count + 1)
        held.count += 1
        if period.hour in NIGHT:
            if held.day != period.day:
                held.day, held.today = period.day, []
            held.today.append(period.low)
        if len(held.today) < len(NIGHT) - 1 or period.hour not in (NIGHT[-1], NIGHT[-1] + 1):
            return
        least, held.today = min(held.today), []
        if len(held.past) >= LEARN_NIGHTS:
            most = max(held.past)
            limit = max(LEAK_FACTOR * most, most + LEAK_SHARE * held.mean)
            if least > limit and not held.firing:
                yield _fires(held, period, LEAK, least, (0.0, limit))
            elif held.firing and least <= (limit + most) / 2:
                yield _clears(held, period, LEAK, least, (0.0, limit))
        if not held.firing:
            held.past = [*held.past, least][-NIGHTS:]

    def _smoke(self, period: Period) -> Iterator[Step]:
        """A day of smoke: real, and nothing that a technician can mend."""
        held = self._memory(period, SMOKE.name)
        since = period.start_ms - 23 * 3_600_000
        held.today = [*held.today, float(period.start_ms)][-24:]
        held.past = [*held.past, period.mean][-24:]
        means = [m for at, m in zip(held.today, held.past, strict=True) if at >= since]
        if len(means) < SMOKE_HOURS:
            return
        mean, expected = sum(means) / len(means), (0.0, SMOKE_UGM3)
        if mean > SMOKE_UGM3 and not held.firing:
            yield _fires(held, period, SMOKE, mean, expected)
        elif held.firing and mean < SMOKE_CLEAR * SMOKE_UGM3:
            yield _clears(held, period, SMOKE, mean, expected)

    def _panel(self, period: Period) -> Iterator[Step]:
        """A panel that gives nothing around noon, on however dark a day."""
        held = self._memory(period, PANEL.name)
        if period.hour not in SUN:
            return
        if held.day != period.day:
            if held.today and not held.firing:
                held.past = [*held.past, max(held.today)][-NIGHTS:]
            held.day, held.today = period.day, []
        held.today.append(period.mean)
        if len(held.past) < LEARN_DAYS or len(held.today) < 3:
            return
        usual = median(held.past)
        limit, best = PANEL_SHARE * usual, max(held.today)
        if best < limit and not held.firing:
            expected = (limit, INF)
            yield _fires(held, period, PANEL, best, expected)
        elif held.firing and best > 2 * limit:
            expected = (limit, INF)
            yield _clears(held, period, PANEL, best, expected)

    def _dark(self, period: Period) -> Iterator[Step]:
        """A panel that is said to give something at night: an offset, or a stuck value."""
        held = self._memory(period, DARKNESS.name)
        if period.hour in SUN:
            held.mean = max(held.mean, period.mean)
            return
        if period.hour not in DARK or held.mean <= 0:
            return
        limit = (DARK_W_SHARE if period.row == PV_W else DARK_V_SHARE) * held.mean
        if period.low > limit and not held.firing:
            expected = (0.0, limit)
            low = period.low
            yield _fires(held, period, DARKNESS, low, expected)
        elif held.firing and period.high <= limit:
            expected = (0.0, limit)
            high = period.high
            yield _clears(held, period, DARKNESS, high, expected)

    def _ageing(self, period: Period) -> Iterator[Step]:
        """Nights that end lower and lower: below every one of the first two weeks, five times."""
        held = self._memory(period, AGEING.name)
        if period.hour >= 12:
            if held.today:
                yield from self._night(held, period)
            return
        held.today.append(period.mean)

    def _night(self, held: Memory, period: Period) -> Iterator[Step]:
        least, held.today = min(held.today), []
        if len(held.past) < AGEING_NIGHTS:
            held.past.append(least)
            return
        limit = min(held.past) - AGEING_V
        held.count = held.count + 1 if least < limit else 0
        expected = (limit, INF)
        if held.count >= AGEING_NIGHTS and not held.firing:
            yield _fires(held, period, AGEING, least, expected)
        elif held.firing and least > limit + AGEING_V / 2:
            yield _clears(held, period, AGEING, least, expected)
        if held.count == 0 and len(held.past) < NIGHTS:
            held.past.append(least)


def _fires(
    held: Memory, period: Period, rule: Rule, value: float, expected: tuple[float, float]
) -> Step:
    held.firing, held.onset_ms = True, period.start_ms
    return step_of(held, period, rule, "firing", value, expected)


def _clears(
    held: Memory, period: Period, rule: Rule, value: float, expected: tuple[float, float]
) -> Step:
    held.firing = False
    return step_of(held, period, rule, "clear", value, expected)


def step_of(
    held: Memory,
    period: Period,
    rule: Rule,
    phase: Phase,
    value: float,
    expected: tuple[float, float],
) -> Step:
    """A step of a rule on a period."""
    facts = {"nights": len(held.past), "side": "low" if expected[1] == INF else "high"}
    return say_on(
        period, rule, phase, onset_ms=held.onset_ms, value=value, expected=expected, facts=facts
    )


def say_on(
    period: Period,
    rule: Rule,
    phase: Phase,
    *,
    onset_ms: int,
    value: float,
    expected: tuple[float, float] | None,
    facts: Mapping[str, float | str],
    series: int | None = None,
) -> Step:
    """A step of a rule on the period that made it; series: of another metric than the period's."""
    return Step(
        place=period.place,
        phase=phase,
        nature=rule.nature,
        severity=rule.severity,
        onset_ms=onset_ms,
        value=value,
        expected=expected,
        facts=dict(facts),
        rule=rule.name,
        series=period.series if series is None else series,
    )

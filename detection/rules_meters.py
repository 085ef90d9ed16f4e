"""Rules over the hours of a power meter: its current and its energy counter contradict each other.

Both are of one device, and each hour is judged when it has ended for the current and the counter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detection.periods import Period, heard_share
from detection.rules_periods import INF, Rule, say_on
from detection.seasons import HOUR_MS
from detection.series_episodes import SeriesEpisodes
from detection.waves import Step
from devices.catalogue import Catalogue
from devices.kinds import KINDS

MAINS_V, LEAST_V = 230.0, 50.0  # where the device does not say, or says what is no mains voltage
STILL_KWH, STILL_STEPS, STILL_HOURS = 2.0, 5, 3  # owed by a counter that stands
UNKNOWN_FACTOR = 2  # so much more while no step of the counter is known
LOST_KWH, LOST_STEPS = 0.1, 2  # counted without a current
LOST_KW = 0.05  # at least: a clamp says zero below a fifth of an ampere
LOST_HEARD = 0.5  # of an hour, before it was zero as a whole

STILL = Rule("counter-still", "data_quality", "warning")
LOST = Rule("current-lost", "data_quality", "warning")

METER = KINDS["power"].metrics
AMPS, KWH, VOLTS, MAINS = (
    METER[name].row for name in ("current_a", "energy_kwh", "mains_v", "mains_on")
)


@dataclass(slots=True)
class Meter:
    """What a meter said of its last hours. amps_ms, energy_ms: the hours that the current and the
    counter are of; off_ms: the last one with the mains off; step: the counter's smallest, or 0."""

    amps_ms: int = -1
    amps: float = 0.0
    most_a: float = 0.0
    heard: float = 0.0
    energy_ms: int = -1
    before: float = 0.0  # the counter at the end of the hour before
    low: float = 0.0
    high: float = 0.0
    volts: float = MAINS_V
    off_ms: int = -1
    step: float = 0.0


@dataclass(slots=True)
class Run:
    """Hours in which the two contradict each other. kwh: owed by the counter, or counted without a
    current; counter: where it stands, -1 before the first hour."""

    firing: bool = False
    since_ms: int = 0
    hours: int = 0
    kwh: float = 0.0
    counter: float = -1.0


class MeterRules:
    """Compares what the current of a meter makes in an hour with what its counter counts."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.meters = SeriesEpisodes(Meter)  # by the series of the counter
        self.runs = SeriesEpisodes(Run)  # by the series that is told of

    def read(self, ended: Sequence[Period]) -> Iterator[Step]:
        """What fires or ends with the hours that ended together, in any order."""
        of_meters = [p for p in ended if p.row in (AMPS, KWH, VOLTS, MAINS)]
        for period in of_meters:
            self._note(period)
        for period in of_meters:
            meter = self._meter(period)
            if meter is not None and meter.amps_ms == meter.energy_ms == period.start_ms:
                numbers = self._numbers(period)
                yield from self._still(meter, period, numbers["energy_kwh"])
                yield from self._lost(meter, period, numbers["current_a"])
                meter.amps_ms = -1

    def _numbers(self, period: Period) -> dict[str, int]:
        return self._catalogue.numbers_of(self._catalogue[period.series].device.device)

    def _meter(self, period: Period) -> Meter | None:
        counter = self._numbers(period).get("energy_kwh")
        if counter is None:
            return None
        return self.meters.open.setdefault((counter, "meter"), Meter())

    def _note(self, period: Period) -> None:
        meter = self._meter(period)
        if meter is None:
            return
        if period.row == AMPS:
            meter.amps_ms, meter.amps, meter.most_a = period.start_ms, period.mean, period.high
            meter.heard = heard_share(period, int(self._catalogue.interval_ms[period.series]))
        elif period.row == KWH:
            _count(meter, period)
        elif period.row == VOLTS and period.mean >= LEAST_V:
            meter.volts = period.mean
        elif period.row == MAINS and period.low == 0:
            meter.off_ms = period.start_ms

    def _still(self, meter: Meter, period: Period, number: int) -> Iterator[Step]:
        """The counter owes what the current made since it last rose."""
        run = self.runs.open.setdefault((number, STILL.name), Run())
        if meter.high != run.counter:
            if run.firing and meter.high > run.counter:
                run.firing = False
                yield _step(run, period, STILL, number, meter.high, run.counter)
            run.counter, run.hours, run.kwh = meter.high, 0, 0.0
            return
        owed = meter.amps * meter.volts * meter.heard / 1000
        if owed == 0 or meter.low < meter.high or meter.off_ms == period.start_ms:
            return
        if run.hours == 0 and not run.firing:
            run.since_ms = period.start_ms
        run.hours, run.kwh = run.hours + 1, run.kwh + owed
        limit = max(STILL_KWH, STILL_STEPS * meter.step) * (1 if meter.step else UNKNOWN_FACTOR)
        if run.kwh >= limit and run.hours >= STILL_HOURS and not run.firing:
            run.firing = True
            yield _step(run, period, STILL, number, meter.high, meter.high + run.kwh)

    def _lost(self, meter: Meter, period: Period, number: int) -> Iterator[Step]:
        """The counter counts while the current is exactly zero."""
        key = number, LOST.name
        run = self.runs.open.get(key, Run())
        if meter.most_a > 0 or (meter.off_ms == period.start_ms and not run.firing):
            self.runs.open.pop(key, None)
            if run.firing:
                run.firing = False
                yield _step(run, period, LOST, number, meter.amps, 0.0)
            return
        if run.firing or meter.heard < LOST_HEARD or meter.low < meter.before:
            return
        if period.start_ms != run.since_ms + run.hours * HOUR_MS:  # not the hour after the last
            run = Run(since_ms=period.start_ms)
        self.runs.open[key] = run
        run.kwh += meter.high - (meter.before if run.hours else meter.low)
        run.hours += 1
        if run.kwh >= max(LOST_KWH, LOST_STEPS * meter.step, LOST_KW * run.hours):
            run.firing = True
            amps = run.kwh * 1000 / run.hours / meter.volts
            yield _step(run, period, LOST, number, 0.0, amps)


def _count(meter: Meter, period: Period) -> None:
    """Take an hour of the counter; between two hours lies one step, or none."""
    if meter.energy_ms >= 0:
        meter.before = meter.high
        rises = [r for r in (period.low - meter.before, period.high - period.low) if r > 0]
        meter.step = min([*rises, meter.step or INF]) if rises else meter.step
    meter.energy_ms, meter.low, meter.high = period.start_ms, period.low, period.high


def _step(run: Run, period: Period, rule: Rule, number: int, value: float, least: float) -> Step:
    return say_on(
        period,
        rule,
        "firing" if run.firing else "clear",
        onset_ms=run.since_ms,
        value=value,
        expected=(least, INF),
        facts={"held_s": run.hours * 3600.0, "side": "low"},
        series=number,
    )

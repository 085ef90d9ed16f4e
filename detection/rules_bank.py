"""The deterministic rules over all series: a cheap screen, and one reading at a time behind it.

Nearly every reading is of no interest to any rule: it lies between the limits of its metric, has
not jumped, and no episode is open on its series. The screen passes over those as columns; the
rules look at the others one by one and keep state only for series that have an episode.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, some_of
from detection.findings import Finding
from detection.periods import Periods
from detection.quality_clock import Clocks
from detection.quality_devices import DeviceEpisodes
from detection.quality_dropout import Dropouts
from detection.quality_fridge import ProbesOutside
from detection.quality_impossible import Impossible
from detection.quality_pairs import Pairs
from detection.quality_rates import LEAST_MS, MOST_MS, Rates
from detection.quality_unreadable import Unreadable
from detection.quality_zero import Zeros
from detection.rules_conditions import Conditions
from detection.rules_links import LinkRules
from detection.rules_meters import MeterRules
from detection.rules_periods import PeriodRules
from detection.rules_presence import PresenceRules
from detection.rules_probe import Probes
from detection.told import Context, Told, told_at
from detection.waves import Step, Wave
from devices.catalogue import Catalogue
from devices.readings import Readings

SCREEN = np.dtype(
    [
        ("low", "f8"),  # between these two no value is of interest
        ("high", "f8"),
        ("rate", "f8"),  # fastest change a millisecond
        ("fall", "f8"),  # largest fall from one reading to the next
        ("open", "?"),  # a rule has an episode on the series
        ("other", "i8"),  # the series that this one may not exceed, -1 if none
    ],
    align=True,
)


class Rules:
    """All rules that need no learning. `clock`: at, spacing and value of the last readings."""

    def __init__(self, catalogue: Catalogue, clock: Bank) -> None:
        self._catalogue, self._clock = catalogue, clock
        self._context = Context(catalogue, clock)
        self._rates, self._zeros, self._pairs = Rates(), Zeros(), Pairs()
        self._dropouts = Dropouts()
        self._outside, self._conditions = ProbesOutside(), Conditions()
        self._probes = Probes(catalogue, clock, self._context)
        self._impossible = Impossible(catalogue, clock)
        self.periods = Periods()
        self._nights, self._links = PeriodRules(), LinkRules(catalogue)
        self._meters, self._presence = MeterRules(catalogue), PresenceRules(catalogue)
        self._clocks, self._unreadable = Clocks(catalogue), Unreadable(catalogue)
        self._screens = np.zeros(0, SCREEN)
        self._unlinked: dict[tuple[str, str], int] = {}

    def grow(self) -> None:
        """Know the series that the catalogue has."""
        known, n = len(self._screens), len(self._catalogue)
        if n == known:
            return
        more = np.array([self._facts(number) for number in range(known, n)], SCREEN)
        self._screens = np.concatenate([self._screens, more])
        for number in range(known, n):
            self._link(number)
        self._probes.grow()
        self._impossible.grow(n)

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins, fires or ends with the readings of this wave."""
        for place in self._screen(wave).nonzero()[0].tolist():
            yield from self._read(told_at(wave, place))
        yield from self._probes.judge(wave)
        ended = list(self.periods.close(wave))
        for period in ended:
            yield from self._nights.read(period)
            yield from self._links.read(period)
            yield from self._presence.read(period)
        yield from self._meters.read(ended)

    def refused(self, readings: Readings, refused: Readings | None) -> list[Finding]:
        """Findings on values that intake refused as impossible; call it before `judge`."""
        return self._impossible.judge(readings, refused)

    def dated(
        self,
        device: NDArray[np.int32],
        event_ms: NDArray[np.int64],
        received_ms: NDArray[np.int64],
    ) -> list[Finding]:
        """Findings on the clocks of devices, from all their rounds in order of arrival."""
        readable = self._unreadable.read(device, received_ms)
        return [*self._clocks.dated(device, event_ms, received_ms), *readable]

    def unreadable(self, device: int, received_ms: int) -> list[Finding]:
        """Findings on a message of a device that could not be read."""
        return list(self._unreadable.garbled(device, received_ms))

    @property
    def banks(self) -> dict[str, Bank]:
        """State by series, by name."""
        return {"periods": self.periods.bank, "clear-sky": self._probes.sky.bank}

    def state(self) -> dict[str, Any]:
        """Every open episode, by names, in order of names."""
        notes: dict[str, Any] = {
            name: sorted(
                (self._catalogue[s].device.device, self._catalogue[s].metric.name, key, fields)
                for s, key, fields in rule.state()
            )
            for name, rule in self._all().items()
        }
        return notes | {name: of.state() for name, of in self._of_devices().items()}

    def restore(self, notes: dict[str, Any]) -> None:
        """Go on with these; those of a series that is not known any more are left out."""
        self._screens["open"] = False
        for name, of in self._of_devices().items():
            of.restore(notes.get(name, []))  # an older version did not have every one
        for name, rule in self._all().items():
            numbered = [
                (number, key, fields)
                for device, metric, key, fields in notes.get(name, [])  # older versions have fewer
                if (number := self._catalogue.find(device, metric)) is not None
            ]
            rule.restore(numbered)
            if name in ("rates", "zeros", "dropouts", "pairs", "outside", "conditions"):
                self._screens["open"][[number for number, _, _ in numbered]] = True

    def _of_devices(self) -> dict[str, DeviceEpisodes[Any]]:
        return {"clocks": self._clocks.episodes, "unreadable": self._unreadable.episodes}

    def _all(self) -> dict[str, Any]:
        return {
            "rates": self._rates,
            "zeros": self._zeros,
            "dropouts": self._dropouts,
            "pairs": self._pairs,
            "outside": self._outside,
            "conditions": self._conditions,
            "probes": self._probes,
            "impossible": self._impossible,
            "nights": self._nights,
            "links": self._links,
            "presence": self._presence,
            "meters": self._meters.meters,
            "meter-runs": self._meters.runs,
        }

    def _screen(self, wave: Wave) -> NDArray[np.bool_]:
        """Which readings any rule may have to do with."""
        screens, value = some_of(self._screens, wave.series), wave.value
        change = value - wave.before
        over_ms = np.minimum(np.maximum(wave.dt_ms, LEAST_MS), MOST_MS)
        found: NDArray[np.bool_] = (
            (value < screens["low"])
            | (value > screens["high"])
            | (np.abs(change) > screens["rate"] * over_ms)
            | (change < screens["fall"])
            | screens["open"]
        )
        other = screens["other"]
        places = (other >= 0).nonzero()[0]
        if len(places):
            rows, some = self._clock.take(other[places]), value[places]
            found[places] |= (some > rows["value"]) & (rows["at"] == wave.at_ms[places])
        return found

    def _read(self, told: Told) -> Iterator[Step]:
        context = self._context
        for rule in (self._rates, self._zeros, self._dropouts, self._pairs, self._outside):
            yield from rule.read(told, context)
        series, row = told.series, told.row
        doubted = (
            self._rates.converted(series)
            or self._zeros.holds(series, row)
            or self._outside.holds(series, row)
        )
        if not doubted:
            yield from self._conditions.read(told, context)
        self._screens["open"][series] = (
            doubted
            or self._rates.holds(series, row)
            or self._conditions.holds(series, row)
            or self._dropouts.holds(series, row)
            or self._pairs.holds(series, row)
            or self._outside.watches(series)
        )

    def _facts(self, number: int) -> tuple[float, float, float, float, bool, int]:
        """What screens a series at first."""
        row = self._catalogue[number].metric.row
        low, high = self._conditions.range_of(number, self._context)
        if row in self._zeros.rules or row in self._dropouts.rules:
            low = max(low, np.nextafter(0, 1))
        rate = self._rates.rules.get(row)
        if rate is None:
            return low, high, np.inf, -np.inf, False, -1
        if rate.counter:
            return low, high, np.inf, 0.0, False, -1
        return low, high, rate.per_min / 60_000, -np.inf, False, -1

    def _link(self, number: int) -> None:
        """Find the other half of a pair, whichever of the two is seen first."""
        device, metric = self._catalogue[number]
        pair = self._pairs.rules.get(metric.row)
        if pair is not None:
            other = self._catalogue.find(device.device, pair.other)
            if other is None:
                self._unlinked[device.device, pair.other] = number
            else:
                self._screens["other"][number] = other
        waiting = self._unlinked.pop((device.device, metric.name), None)
        if waiting is not None:
            self._screens["other"][waiting] = number

"""Impossible: a sensor whose values intake refuses, because nothing can have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank
from detection.episodes import FIRING, PENDING
from detection.findings import Finding, Phase
from detection.quality_rates import other_unit
from detection.series_episodes import SeriesEpisodes
from devices.catalogue import Catalogue
from devices.readings import Readings

SELDOM, SELDOM_GOOD = 3, 12  # or so many, with fewer good ones than that from one to the next
GOOD = 3
NONE = Readings.of([], [], [], [])
DAY_MS = 86_400_000
SENTINELS = {  # what sensors say when they have nothing to say
    85.0: "power-on",
    -127.0: "disconnected",
    -999.0: "missing",
    -9999.0: "missing",
    65535.0: "overflow",
    32767.0: "overflow",
    -32768.0: "overflow",
    2147483647.0: "overflow",
}
MODEM = {0.0, 99.0, 255.0, -141.0}
MODEM_METRICS = {"rsrp_dbm", "rsrq_db", "sinr_db", "esno_db"}


class _Told(NamedTuple):
    at_ms: int
    order: int
    refused: bool
    series: int
    value: float


@dataclass(slots=True)
class Refused:
    """A series whose last readings were refused."""

    phase: int
    onset_ms: int
    last_ms: int
    readings: int = 0
    good: int = 0
    seldom: bool = False

    @property
    def patience(self) -> int:
        """Good readings in a row that end it."""
        return GOOD if self.phase == FIRING and not self.seldom else SELDOM_GOOD


class Impossible(SeriesEpisodes[Refused]):
    """Fires with the second refused reading in a row and is over after three good ones.

    What comes and goes fires with the third refused reading and is over after twelve good ones.
    """

    def __init__(self, catalogue: Catalogue, clock: Bank) -> None:
        super().__init__(Refused)
        self._catalogue, self._clock = catalogue, clock
        self._watched = np.zeros(0, np.bool_)
        self._batch = NONE

    def grow(self, n: int) -> None:
        """Know the series 0 to n - 1."""
        more = max(0, n - len(self._watched))
        self._watched = np.concatenate([self._watched, np.zeros(more, np.bool_)])

    def judge(self, readings: Readings, refused: Readings | None) -> list[Finding]:
        """Findings on the accepted and the refused readings of a batch, before it is scored."""
        if refused is None or not len(refused):
            if not self.open:
                return []
            refused = NONE
        self._watched[refused.series] = True
        good = readings.take(self._watched[readings.series])
        told = [*_told(good, False), *_told(refused, True)]
        self._batch = readings
        found: list[Finding] = []
        for one in sorted(told):
            found.extend(self._read(one))
        self._watch()
        self._batch = NONE
        return found

    def restore(self, state: list[tuple[int, str, list[Any]]]) -> None:
        """Keep exactly these, and watch their series."""
        super().restore(state)
        self._watch()

    def _watch(self) -> None:
        self._watched[:] = False
        for series, _ in self.open:
            self._watched[series] = True

    def _read(self, told: _Told) -> Iterator[Finding]:
        key = told.series, "impossible"
        held = self.open.get(key)
        if not told.refused:
            if held is not None and told.at_ms > held.last_ms:
                held.good, held.last_ms = held.good + 1, told.at_ms
                if held.good >= held.patience:
                    del self.open[key]
                    yield self._finding(held, told, "clear")
            return
        if self._explained(told) or (held is not None and told.at_ms <= held.last_ms):
            return
        if held is None:
            held = self.open[key] = Refused(PENDING, told.at_ms, told.at_ms)
            yield self._finding(held, told, "pending")
        in_a_row = held.readings > 0 and held.good == 0
        held.seldom |= held.readings > 0 and not in_a_row
        held.readings, held.good, held.last_ms = held.readings + 1, 0, told.at_ms
        if held.phase == PENDING and (in_a_row or held.readings >= SELDOM):
            held.phase = FIRING
            yield self._finding(held, told, "firing")

    def _explained(self, told: _Told) -> bool:
        """A meter without mains has no frequency: its 0 Hz is no fault."""
        metric = self._catalogue[told.series].metric.name
        if metric != "frequency_hz" or told.value != 0:
            return False
        numbers = self._catalogue.numbers_of(self._catalogue[told.series].device.device)
        sides = [numbers[name] for name in ("mains_on", "mains_v") if name in numbers]
        return any(self._value(number, told.at_ms, 0) == 0 for number in sides)

    def _value(self, series: int, at_ms: int, age_ms: int) -> float | None:
        """The last value of a series up to at_ms, in this batch or scored before it."""
        batch = self._batch
        age = at_ms - batch.at_ms
        places = ((batch.series == series) & (age >= 0) & (age <= age_ms)).nonzero()[0]
        if len(places):
            return float(batch.value[places[np.argmin(age[places])]])
        row = self._clock.row(series)
        return float(row["value"]) if 0 <= at_ms - int(row["at"]) <= age_ms else None

    def _finding(self, held: Refused, told: _Told, phase: Phase) -> Finding:
        device, metric = self._catalogue[told.series]
        facts: dict[str, Any] = {"kind": device.kind, "readings": held.readings}
        if phase == "firing":
            facts |= self._why(told)
        low, high = self._catalogue.hard_min, self._catalogue.hard_max
        return Finding(
            device=device.device,
            metric=metric.name,
            rule="impossible",
            phase=phase,
            nature="data_quality",
            severity="warning",
            onset_ms=held.onset_ms,
            at_ms=told.at_ms,
            value=told.value,
            expected=(float(low[told.series]), float(high[told.series])),
            facts=facts,
        )

    def _why(self, told: _Told) -> dict[str, Any]:
        """What such a value usually means."""
        metric = self._catalogue[told.series].metric
        if told.value in SENTINELS:
            return {"why": "sentinel"}
        if metric.name in MODEM_METRICS and told.value in MODEM:
            return {"why": "sentinel"}
        last = self._value(told.series, told.at_ms, DAY_MS)
        unit = None if last is None else other_unit(metric.unit, last, told.value)
        return {"why": "unit", "unit": unit} if unit else {}


def _told(readings: Readings, refused: bool) -> Iterator[_Told]:
    columns: tuple[NDArray[Any], ...] = (readings.at_ms, readings.series, readings.value)
    for order, (at_ms, series, value) in enumerate(
        zip(*(c.tolist() for c in columns), strict=True)
    ):
        yield _Told(at_ms, order, refused, series, value)

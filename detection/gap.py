"""Gap: a metric that a device no longer says, while its rounds go on to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank
from detection.episodes import CLOSED, FIRING
from detection.findings import Finding, Phase
from detection.rules import read_gap
from devices.catalogue import Catalogue
from devices.readings import Readings

LOOK_MS = 60_000
ROUNDS = 2  # without it that fire
USUAL = 1.5  # intervals: a metric that is said more rarely than that has gaps of its own
NEVER = -1

BLANK = np.array(
    [(CLOSED, NEVER, NEVER, NEVER)],
    [
        ("phase", "i1"),
        ("refused", "i8"),  # newest event time of an impossible value: it was said
        ("bare", "i8"),  # newest event time of a round of its device that had no value at all
        ("missed", "i8"),  # event time of the first round without it, since it was said last
    ],
)


class Gap:
    """Looks once a minute for series that are older than the newest round of their device.

    The table names the metrics that a working device says in every round. An impossible value is
    no gap. A silence of the whole device is none either, however long.
    """

    rule = "gap"

    def __init__(self, catalogue: Catalogue, clock: Bank) -> None:
        """clock: by series, `at` (event time of the newest reading) and `spacing` (usual, ms)."""
        self._catalogue, self._clock = catalogue, clock
        self.bank = Bank(BLANK)
        self._applies = read_gap()
        self._series = np.zeros(0, np.intp)
        self._known = 0
        self.looked_ms = 0

    def refused(self, refused: Readings) -> None:
        """Take impossible values as said."""
        series = refused.series.astype(np.intp)
        rows = self.bank.take(series)
        rows["refused"] = np.maximum(rows["refused"], refused.at_ms)
        self.bank.put(series, rows)

    def bare(self, rounds: Sequence[tuple[int, int]]) -> None:
        """Take rounds without a single value, (device number, event ms): their devices go on."""
        self._grow()
        newest = np.full(len(self._catalogue.devices), NEVER)
        for device, at_ms in rounds:
            newest[device] = max(newest[device], at_ms)
        rows = self.bank.take(self._series)
        said = newest[self._catalogue.device_number[self._series]]
        rows["bare"] = np.maximum(rows["bare"], said)
        self.bank.put(self._series, rows)

    def tick(self, now_ms: int) -> Iterator[Finding]:
        """Gaps that began or ended."""
        if now_ms // LOOK_MS == self.looked_ms // LOOK_MS:
            return
        self.looked_ms = now_ms
        self._grow()
        series = self._series
        rows, clock = self.bank.take(series), self._clock.take(series)
        device = self._catalogue.device_number[series]
        said = np.maximum(clock["at"], rows["refused"])
        newest = self._newest_of_any()
        np.maximum.at(newest, device, np.maximum(rows["refused"], rows["bare"]))
        newest = newest[device]
        interval = np.array([one.interval_s * 1000 for one in self._catalogue.devices])[device]
        usual = (said >= 0) & (clock["spacing"] <= USUAL * interval)
        behind = usual & (said < newest - interval / 2)
        began = behind & (rows["missed"] < said)
        rows["missed"] = np.where(began, newest, np.where(behind, rows["missed"], NEVER))
        firing = rows["phase"] == FIRING
        lasted = newest - rows["missed"] >= (ROUNDS - 1.5) * interval
        fires = behind & lasted & ~firing
        ends = firing & ~behind
        onset = said + interval.astype(np.int64)
        rows["phase"] = np.where(fires, FIRING, np.where(ends, CLOSED, rows["phase"]))
        self.bank.put(series, rows)
        for n in (fires | ends).nonzero()[0].tolist():
            phase: Phase = "firing" if fires[n] else "clear"
            held_s = (now_ms - int(said[n])) / 1000
            yield self._finding(int(series[n]), phase, int(onset[n]), now_ms, held_s)

    def _newest_of_any(self) -> NDArray[np.int64]:
        """By device, event time of its newest reading of any metric, of the table or not."""
        newest = np.full(len(self._catalogue.devices), NEVER, np.int64)
        every = np.arange(len(self._catalogue))
        np.maximum.at(newest, self._catalogue.device_number, self._clock.take(every)["at"])
        return newest

    def _finding(
        self, number: int, phase: Phase, onset_ms: int, now_ms: int, held_s: float
    ) -> Finding:
        device, metric = self._catalogue[number]
        return Finding(
            device=device.device,
            metric=metric.name,
            rule=self.rule,
            phase=phase,
            nature="data_quality",
            severity="warning",
            onset_ms=onset_ms,
            at_ms=now_ms,
            value=None,
            expected=None,
            facts={"kind": device.kind, "held_s": held_s, "interval_s": device.interval_s},
        )

    def _grow(self) -> None:
        n = len(self._catalogue)
        if n != self._known:
            rows = self._catalogue.metric_row[:n]
            self._series = np.flatnonzero(self._applies[rows])
            self._known = n

"""The engine: every detector over every series, fed with batches of readings and with time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank
from detection.chatter import Chatter
from detection.company import Company
from detection.findings import Finding
from detection.gap import Gap
from detection.limits import Limits
from detection.loss import Loss
from detection.rules_bank import Rules
from detection.shift import Shift
from detection.silence import Silence
from detection.slow import Slow
from detection.snapshots import SnapshotError, pack, unpack
from detection.stuck import Stuck
from detection.waves import Step, Wave, waves
from devices.catalogue import Catalogue
from devices.kinds import METRICS
from devices.readings import Readings

__all__ = ["Engine", "SnapshotError"]

GAP = 5  # a series has a gap when it was quiet for this many times its usual spacing ...
APART = 1.5  # ... and readings so far apart are not in a row
BLANK = np.array([(-1, 0.0, np.nan)], [("at", "i8"), ("spacing", "f8"), ("value", "f8")])


class Engine:
    """Detectors over the series and devices of one catalogue. No clock, no I/O, not thread-safe.

    Findings on values depend on the readings and their event times only, not on how they are cut
    into batches; findings on silence depend on receive times and ticks.
    """

    def __init__(self, catalogue: Catalogue, rules: Collection[str] | None = None) -> None:
        """rules: names of the detectors that judge; None for all."""
        self._catalogue = catalogue
        self._clock = Bank(BLANK)
        every = (Limits(), Stuck(), Shift(catalogue), Loss(catalogue), Slow(), Chatter())
        self._detectors = [one for one in every if rules is None or one.rule in rules]
        self._rules = Rules(catalogue, self._clock) if rules is None else None
        self._company = Company(catalogue)
        self._gap = Gap(catalogue, self._clock)
        self._silence = Silence(catalogue.devices)
        self._row = np.zeros(0, np.intp)
        self._scale = np.ones(0)
        self._scaled: list[int] = []
        self._ended: list[Finding] = []

    def score(
        self,
        readings: Readings,
        refused: Readings | None = None,
        bare: Sequence[tuple[int, int]] = (),
    ) -> list[Finding]:
        """Findings on live readings in order of arrival, and the ends of silences since.

        refused: live readings of the same messages that have impossible values. bare: live rounds
        that had no value at all, as (device number, event ms). A batch holds whole rounds: all that
        a device said with one event time. A reading that is not newer than the last one scored of
        its series is skipped. Cost per reading falls with the number of series in the batch.
        """
        self._grow()
        findings, self._ended = self._ended, []
        if self._rules is not None:
            findings.extend(self._rules.refused(readings, refused))
        if refused is not None and len(refused):
            self._gap.refused(refused)
        if bare:
            self._gap.bare(bare)
        steps: list[tuple[int, int, Finding]] = []
        for places in waves(readings.series, self._catalogue.device_number, readings.at_ms):
            whole = len(places) == len(readings)
            self._score_wave(readings if whole else readings.take(places), places, steps)
        if not steps:
            return findings
        steps.sort(key=lambda step: step[:2])
        told = (finding for _, _, finding in steps)
        findings.extend(finding for finding in told if not self._company.keeps_back(finding))
        return findings

    def heard(
        self,
        device_numbers: NDArray[np.int32],
        event_ms: NDArray[np.int64],
        received_ms: NDArray[np.int64],
    ) -> None:
        """Rounds in order of arrival, live and late: signs of life, and of the devices' clocks.

        Columns of equal length; numbers index `catalogue.devices`. A silence that they end is
        reported by the next `score` or `tick`.
        """
        self._ended.extend(self._silence.heard(device_numbers, event_ms, received_ms))
        if self._rules is not None:
            self._ended.extend(self._rules.dated(device_numbers, event_ms, received_ms))

    def refused_round(self, device_number: int, event_ms: int | None, received_ms: int) -> None:
        """A round that was refused whole: its device is in touch, with a wrong clock.

        event_ms: the time that was refused; None where nothing of the round could be read.
        """
        number, received = np.array([device_number], np.int32), np.array([received_ms])
        self._ended.extend(self._silence.heard(number, received, received))
        if self._rules is None:
            return
        if event_ms is None:
            self._ended.extend(self._rules.unreadable(device_number, received_ms))
        else:
            self._ended.extend(self._rules.dated(number, np.array([event_ms]), received))

    def broke(self, device_number: int, received_ms: int) -> None:
        """The broker told that a device's session broke: it is believed to be silent sooner."""
        self._silence.broke(device_number, received_ms)

    def tick(self, now_ms: int) -> list[Finding]:
        """Silences that began, and ends not reported yet. Call it at fixed instants.

        Everything received up to now_ms must have been heard: see `resumed`. A device that was
        never heard is not silent.
        """
        self._grow()
        self._rescale(self._scaled)
        findings, self._ended = self._ended, []
        findings.extend(self._silence.tick(now_ms))
        findings.extend(self._gap.tick(now_ms))
        return findings

    def resumed(self, now_ms: int) -> None:
        """Nobody listened until now_ms, or the clock was set back to it: no device is silent yet.

        Every device has its whole timeout again from now_ms on. Open silences stay open.
        """
        self._silence.resume(now_ms)

    def snapshot(self) -> bytes:
        """All state as bytes for `restore`, by names of devices and metrics."""
        self._grow()
        notes = self._rules.state() if self._rules is not None else {}
        notes["company"] = self._company.state()
        notes["gap"] = self._gap.looked_ms
        return pack(self._catalogue, self._banks(), self._silence, self._ended, notes)

    def restore(self, state: bytes) -> None:
        """Go on exactly where the snapshot was taken, under the catalogue's numbers of today.

        What the catalogue does not know any more is left out. Raises SnapshotError, and changes
        nothing, when the bytes are damaged or of another version.
        """
        self._grow()
        self._ended, notes = unpack(state, self._catalogue, self._banks(), self._silence)
        self._company.restore(notes["company"])
        self._gap.looked_ms = notes["gap"]
        if self._rules is not None:
            self._rules.restore(notes)

    def _banks(self) -> dict[str, Bank]:
        rules = {} if self._rules is None else self._rules.banks
        own = {name: bank for one in self._detectors for name, bank in one.banks.items()}
        return {"clock": self._clock, "gap": self._gap.bank, **rules, **own}

    def _score_wave(
        self, readings: Readings, places: NDArray[np.intp], steps: list[tuple[int, int, Finding]]
    ) -> None:
        wave, newer = self._wave(readings)
        if not len(wave.series):
            return
        for order, detector in enumerate(self._detectors):
            for step in detector.judge(wave):
                finding = self._finding(step.rule or detector.rule, step, wave)
                steps.append((int(places[newer[step.place]]), order, finding))
        for step in self._rules.judge(wave) if self._rules else ():
            finding = self._finding(step.rule, step, wave)
            steps.append((int(places[newer[step.place]]), len(self._detectors), finding))

    def _wave(self, readings: Readings) -> tuple[Wave, NDArray[np.intp]]:
        """The readings that are newer than what was scored, and their places."""
        series = readings.series.astype(np.intp)
        rows = self._clock.take(series)
        newer = (readings.at_ms > rows["at"]).nonzero()[0]
        if len(newer) < len(series):
            readings, series, rows = readings.take(newer), series[newer], rows[newer]
        dt = (readings.at_ms - rows["at"]).astype(np.float64)
        spacing = rows["spacing"].copy()
        gap, apart = dt > GAP * spacing, dt > APART * spacing
        moved = spacing + np.where(dt < spacing, 0.5, 0.1) * (np.minimum(dt, 3 * spacing) - spacing)
        young = (spacing == 0).nonzero()[0]  # one reading was heard, or none
        if len(young):
            gap[young] = apart[young] = rows["at"][young] < 0
            moved[young] = np.where(gap[young], 0, dt[young])
        dt[gap] = 0
        value, before = readings.value / self._scale[series], rows["value"].copy()
        rows["at"], rows["spacing"], rows["value"] = readings.at_ms, moved, value
        self._clock.put(series, rows)
        wave = Wave(
            series=series,
            row=self._row[series],
            at_ms=readings.at_ms,
            gap=gap,
            apart=apart,
            dt_ms=dt,
            value=value,
            before=before,
        )
        return wave, newer

    def _finding(self, rule: str, step: Step, wave: Wave) -> Finding:
        number = int(wave.series[step.place]) if step.series is None else step.series
        device, metric = self._catalogue[number]
        scale = float(self._scale[number])
        expected = None
        if step.expected is not None:
            low = max(step.expected[0] * scale, float(self._catalogue.hard_min[number]))
            high = min(step.expected[1] * scale, float(self._catalogue.hard_max[number]))
            expected = low, high
        return Finding(
            device=device.device,
            metric=metric.name,
            rule=rule,
            phase=step.phase,
            nature=step.nature,
            severity=step.severity,
            onset_ms=step.onset_ms,
            at_ms=int(wave.at_ms[step.place]),
            value=None if step.value is None else step.value * scale,
            expected=expected,
            facts={"kind": device.kind, **step.facts},
        )

    def _grow(self) -> None:
        known, n = len(self._scale), len(self._catalogue)
        if n == known:
            return
        for bank in self._banks().values():
            bank.grow(n)
        if self._rules is not None:
            self._rules.grow()
        self._scale = np.concatenate([self._scale, np.ones(n - known)])
        self._row = self._catalogue.metric_row.astype(np.intp)
        self._scaled += (known + np.flatnonzero(np.isin(self._row[known:], SCALED))).tolist()
        self._rescale(self._scaled)

    def _rescale(self, numbers: list[int]) -> None:
        """Follow the registry: what a battery bank's voltage is a multiple of."""
        for number in numbers:
            device, metric = self._catalogue[number]
            given = metric.plausible_range(device.params)
            if given is not None and metric.plausible_max:
                self._scale[number] = given[1] / metric.plausible_max


SCALED = [m.row for m in METRICS if m.kind == "solar" and m.name == "battery_v"]

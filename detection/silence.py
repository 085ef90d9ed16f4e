"""Silence: a device of which nothing has been heard for several of its intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detection.findings import Finding, Phase
from detection.rules import read_silence
from devices.registry import Device

BLANK = np.array(
    [(-1, -1, -1, 0, 0)],
    [
        ("received", "i8"),  # receive time of the newest message; -1: never heard
        ("broke", "i8"),  # when the broker told last that the session broke; -1: never
        ("event", "i8"),  # newest event time, never after its receive time
        ("onset", "i8"),  # of the open silence; 0: not silent
        ("ended", "i8"),  # receive time at which the last silence ended
    ],
)


LOOK_MS = 60_000  # a changed interval counts after this time
RECONNECT_MS = 165_000  # a broken session may be back within this, with everything it missed


def after_broken_session(
    whole_ms: ArrayLike, broken_ms: ArrayLike
) -> np.float64 | NDArray[np.float64]:
    """How long to wait for devices whose session broke, before the grace for delivery.

    whole_ms: the wait where it did not break, which is never exceeded; broken_ms: the shorter one,
    but never less than a session may need to come back. Numbers or arrays of one length.
    """
    return np.minimum(whole_ms, np.maximum(broken_ms, RECONNECT_MS))


class Silence:
    """Liveness of devices by number. Any message proves life, also a late one."""

    rule = "silence"

    def __init__(self, devices: Sequence[Device]) -> None:
        """devices: by device number; may grow."""
        self._devices = devices
        self._rules = read_silence()
        self.rows = BLANK[:0].copy()
        self.resumed_ms = 0
        self._timeouts = np.zeros((2, 0))  # without and with the broker's word
        self._looked_ms = 0

    def heard(
        self,
        numbers: NDArray[np.int32],
        event_ms: NDArray[np.int64],
        received_ms: NDArray[np.int64],
    ) -> Iterator[Finding]:
        """Take messages in order of arrival; the ends of silences among them."""
        self.grow()
        silent = np.flatnonzero(self.rows["onset"][numbers])
        for n in silent.tolist():
            if self.rows["onset"][numbers[n]]:
                yield self._end(int(numbers[n]), int(received_ms[n]))
        np.maximum.at(self.rows["received"], numbers, received_ms)
        np.maximum.at(self.rows["event"], numbers, np.minimum(event_ms, received_ms))

    def broke(self, number: int, received_ms: int) -> None:
        """The broker told that the session of a device broke."""
        self.grow()
        self.rows["broke"][number] = max(int(self.rows["broke"][number]), received_ms)

    def tick(self, now_ms: int) -> Iterator[Finding]:
        """Silences that began: devices whose time since the last message has run out."""
        self.grow()
        rows = self.rows
        if self._timeouts.shape[1] < len(rows) or abs(now_ms - self._looked_ms) >= LOOK_MS:
            self._timeouts = np.array([self._timeouts_ms(device) for device in self._devices]).T
            self._looked_ms = now_ms
        timeouts = np.where(rows["broke"] > rows["received"], *self._timeouts[::-1])
        since = np.maximum(rows["received"], self.resumed_ms)
        waiting = (rows["received"] >= 0) & (rows["onset"] == 0)
        for number in np.flatnonzero(waiting & (now_ms - since > timeouts)).tolist():
            yield self._begin(number, now_ms)

    def resume(self, now_ms: int) -> None:
        """Count from now on; a later receive time is from before the clock was set back."""
        self.resumed_ms = now_ms
        self.rows["received"] = np.minimum(self.rows["received"], now_ms)

    def grow(self) -> None:
        """Have a row for every device that there is by now."""
        missing = len(self._devices) - len(self.rows)
        if missing > 0:
            self.rows = np.concatenate([self.rows, np.repeat(BLANK, missing)])

    def _timeouts_ms(self, device: Device) -> tuple[float, float]:
        rule, interval_ms = self._rules[device.kind], device.interval_s * 1000
        whole = rule.intervals * interval_ms
        broken = float(after_broken_session(whole, rule.broken_intervals * interval_ms))
        return whole + rule.grace_ms, broken + rule.grace_ms

    def _begin(self, number: int, now_ms: int) -> Finding:
        """An onset is never used twice, not even when only late messages came in between."""
        row, device = self.rows[number], self._devices[number]
        interval_ms = round(device.interval_s * 1000)
        row["onset"] = max(int(row["event"]) + interval_ms, int(row["ended"]) + 1)
        return self._finding(number, "firing", now_ms, now_ms - int(row["received"]))

    def _end(self, number: int, received_ms: int) -> Finding:
        row = self.rows[number]
        finding = self._finding(number, "clear", received_ms, received_ms - int(row["received"]))
        row["ended"] = received_ms
        row["onset"] = 0
        return finding

    def _finding(self, number: int, phase: Phase, at_ms: int, silent_ms: int) -> Finding:
        device = self._devices[number]
        return Finding(
            device=device.device,
            metric="",
            rule=self.rule,
            phase=phase,
            nature="connectivity",
            severity=self._rules[device.kind].severity,
            onset_ms=int(self.rows["onset"][number]),
            at_ms=at_ms,
            value=None,
            expected=None,
            facts={
                "kind": device.kind,
                "held_s": silent_ms / 1000,
                "interval_s": device.interval_s,
            },
        )

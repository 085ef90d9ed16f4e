"""The past: what rules that need no history say of readings that came too late to be live."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from detection.alerts import Episode
from detection.engine import Engine
from detection.findings import Finding
from devices.catalogue import Catalogue
from devices.readings import Readings

RULES = frozenset({"limits"})  # judge each reading by a table; the others need what came before
SETTLE_MS = 120_000  # a device's late readings are judged once none came for this long ...
MOST_WAITING = 200_000  # ... or, all together, once there are more than this many
ROW = np.dtype([("series", "i4"), ("at", "i8"), ("received", "i8"), ("value", "f8")])
EMPTY = Readings.of([], [], [], [])


class Past:
    """Late readings until their device has sent no more of them, then judged in event order.

    They are judged apart from live ones: neither changes what is said of the other. What is not
    newer than the last one judged of its series, such as one that is delivered again, is skipped.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._waiting: list[Readings] = []
        self._count = 0
        self._judged_to = np.zeros(0, np.int64)  # by series

    def hear(self, late: Readings) -> None:
        """Take late readings in order of arrival."""
        self._grow()
        late = late.take(late.at_ms > self._judged_to[late.series])
        if len(late):
            self._waiting.append(late)
            self._count += len(late)

    def tick(self, now_ms: int) -> list[Episode]:
        """Episodes among the readings that are due, in order of their beginning."""
        if not self._waiting:
            return []
        waiting = _joined(self._waiting)
        due = self._due(waiting, now_ms)
        self._waiting = [waiting.take(~due)] if not due.all() else []
        self._count = sum(map(len, self._waiting))
        return self._judge(waiting.take(due)) if due.any() else []

    def snapshot(self) -> bytes:
        """All state as bytes for `restore`, by names of devices and metrics."""
        self._grow()
        waiting = _joined(self._waiting)
        names = [(device, metric) for _, device, metric in self._catalogue.added(0)]
        head = json.dumps([names, len(waiting)]).encode()
        rows = np.empty(len(waiting), ROW)
        rows["series"], rows["at"] = waiting.series, waiting.at_ms
        rows["received"], rows["value"] = waiting.received_ms, waiting.value
        return b"".join([head, b"\n", self._judged_to.tobytes(), rows.tobytes()])

    def restore(self, state: bytes) -> None:
        """Go on where the snapshot was taken; what the catalogue does not know is left out."""
        self._grow()
        head, _, body = state.partition(b"\n")
        names, n = json.loads(head)
        found = [self._catalogue.find(device, metric) for device, metric in names]
        numbers = np.array([-1 if number is None else number for number in found], np.int32)
        judged_to = np.frombuffer(body, np.int64, len(names))
        self._judged_to[numbers[numbers >= 0]] = judged_to[numbers >= 0]
        rows = np.frombuffer(body, ROW, n, judged_to.nbytes)
        series = numbers[rows["series"]]
        columns = Readings(series, rows["at"], rows["received"], rows["value"])
        waiting = columns.take(series >= 0)
        self._waiting = [waiting] if len(waiting) else []
        self._count = len(waiting)

    def _due(self, waiting: Readings, now_ms: int) -> NDArray[np.bool_]:
        if self._count > MOST_WAITING:
            return np.ones(len(waiting), np.bool_)
        device = self._catalogue.device_number[waiting.series]
        last_ms = np.zeros(int(device.max()) + 1, np.int64)
        np.maximum.at(last_ms, device, waiting.received_ms)
        due: NDArray[np.bool_] = now_ms - last_ms[device] >= SETTLE_MS
        return due

    def _judge(self, late: Readings) -> list[Episode]:
        np.maximum.at(self._judged_to, late.series, late.at_ms)
        engine = Engine(self._catalogue, rules=RULES)
        in_order = late.take(np.argsort(late.at_ms, kind="stable"))
        fired: dict[tuple[str, str, str], Finding] = {}
        episodes = []
        for finding in engine.score(in_order):
            key = (finding.device, finding.metric, finding.rule)
            if finding.phase == "firing":
                fired[key] = finding
            elif finding.phase == "clear" and key in fired:
                episodes.append((fired.pop(key), finding))
        for finding in fired.values():  # it lasted as long as they reach
            number = self._catalogue.find(finding.device, finding.metric)
            last_ms = int(late.at_ms[late.series == number].max())
            episodes.append((finding, finding._replace(phase="clear", at_ms=last_ms)))
        return sorted(episodes, key=lambda one: (one[0].onset_ms, one[0][:3]))

    def _grow(self) -> None:
        missing = len(self._catalogue) - len(self._judged_to)
        if missing > 0:
            self._judged_to = np.concatenate([self._judged_to, np.zeros(missing, np.int64)])


def _joined(parts: list[Readings]) -> Readings:
    parts = [EMPTY, *parts]
    return Readings(
        np.concatenate([part.series for part in parts]),
        np.concatenate([part.at_ms for part in parts]),
        np.concatenate([part.received_ms for part in parts]),
        np.concatenate([part.value for part in parts]),
    )

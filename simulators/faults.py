"""Faults: what each type does to a device's rounds, and its line in the truth file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from devices.kinds import KINDS, Metric
from simulators.world.model import Value, rounded_value

RTT_PARTS = ("rtt_min_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_max_ms")
LOSS_PART = "loss_pct"

How = Literal["disconnect", "mute"]


class Cause(NamedTuple):
    """What truly lies behind a fault, in the words of alerts and incidents."""

    nature: str
    cause: str


class Size(NamedTuple):
    """How far a value is moved: by an amount in the metric's unit, or by a factor."""

    amount: float
    is_factor: bool

    def moved(self, value: float, share: float = 1.0) -> float:
        """The value moved by this size, or by a share of it."""
        if self.is_factor:
            return value * (1.0 + (self.amount - 1.0) * share)
        return value + self.amount * share


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault on one device. It covers the rounds at start_ms <= time < end_ms (event time).

    size: of spike, drift and level-shift. value: of a stuck metric, None to freeze the one at
    the start. how: of a silence. payload: kind of malformed payload. copies: extra deliveries
    of a duplicate.
    """

    fault: str
    type: str
    device: str
    site: str
    kind: str
    metric: str | None
    start_ms: int
    end_ms: int
    truth: Cause
    size: Size | None = None
    value: float | None = None
    how: How = "disconnect"
    payload: str = "any"
    copies: int = 1

    def covers(self, at_ms: int) -> bool:
        """Whether it is on at an event time."""
        return self.start_ms <= at_ms < self.end_ms

    def cut_at(self, end_ms: int) -> Fault:
        """The fault as it is in a run that ends at end_ms."""
        return replace(self, end_ms=min(self.end_ms, end_ms))

    def truth_line(self, run_end_ms: int) -> str:
        """Its line in the truth file, a JSON object, without the newline; cut at the run's end."""
        line = {
            "fault": self.fault,
            "type": self.type,
            "nature": self.truth.nature,
            "scope": {"type": "device", "id": self.device},
            "cause": self.truth.cause,
            "devices": [self.device],
            "sites": [self.site],
            "metric": self.metric,
            "start": self.start_ms,
            "end": min(self.end_ms, run_end_ms),
        }
        return json.dumps(line, separators=(",", ":"))


class Distortion:
    """What one value fault does to the rounds of its device, in order."""

    def __init__(self, fault: Fault) -> None:
        assert fault.metric is not None
        self._fault = fault
        self._metrics = KINDS[fault.kind].metrics
        self._name = fault.metric
        self._frozen: dict[str, Value] | None = None

    def apply(self, at_ms: int, values: dict[str, Value]) -> None:
        """Change the (rounded) values of a round that the fault covers, in place.

        The four round-trip metrics of a tier move together, and received packets follow a
        moved loss, so that a probe never contradicts itself.
        """
        if self._fault.type == "stuck":
            self._freeze(values)
        elif self._name.endswith(LOSS_PART):
            self._lose(at_ms, values)
        else:
            for name in family(self._name):
                self._move(name, at_ms, values)

    def _freeze(self, values: dict[str, Value]) -> None:
        if self._fault.value is not None:
            values[self._name] = rounded_value(self._metrics[self._name], self._fault.value)
            return
        if self._frozen is None:
            self._frozen = {name: values.get(name) for name in family(self._name)}
        values.update(self._frozen)

    def _move(self, name: str, at_ms: int, values: dict[str, Value]) -> None:
        value = values.get(name)
        if value is not None:
            values[name] = rounded_value(self._metrics[name], self._moved(float(value), at_ms))

    def _lose(self, at_ms: int, values: dict[str, Value]) -> None:
        tier = self._name.removesuffix(LOSS_PART)
        loss, sent = values.get(self._name), values.get(f"{tier}sent")
        if loss is None or not sent:
            return
        wanted = min(100.0, max(0.0, self._moved(float(loss), at_ms)))
        received = round(sent * (1.0 - wanted / 100.0))
        values[f"{tier}rcvd"] = received
        values[self._name] = rounded_value(
            self._metrics[self._name], 100.0 * (sent - received) / sent
        )
        if received == 0:
            values.update(dict.fromkeys([*(tier + part for part in RTT_PARTS), f"{tier}jitter_ms"]))

    def _moved(self, value: float, at_ms: int) -> float:
        fault = self._fault
        assert fault.size is not None
        share = 1.0
        if fault.type == "drift":
            share = (at_ms - fault.start_ms) / (fault.end_ms - fault.start_ms)
        return fault.size.moved(value, share)


def family(metric: str) -> Iterable[str]:
    """The metrics that cannot move without each other: a tier's round trips; else itself."""
    for part in RTT_PARTS:
        if metric.endswith("_" + part):
            tier = metric.removesuffix(part)
            return [tier + other for other in RTT_PARTS]
    return [metric]


def default_cause(kind: str, metric: Metric | None, fault_type: str) -> Cause:
    """What lies behind a fault of this type where the scenario does not say."""
    if fault_type == "silence":
        return Cause("connectivity", "probe" if kind == "connectivity-probe" else "sensor")
    if fault_type == "late-batch":
        return Cause("connectivity", "last-mile")
    if fault_type in ("malformed", "duplicate"):
        return Cause("data_quality", "agent")
    if fault_type == "stuck" or metric is None:
        return Cause("data_quality", "sensor")
    if kind == "connectivity-probe":
        return Cause("connectivity", "unknown")
    if fault_type == "level-shift":
        return Cause("condition", "facility")
    return Cause("data_quality", "sensor")

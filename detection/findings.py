"""What a detector says about one series or device at one time."""

from __future__ import annotations

from typing import Literal, NamedTuple

PLATFORM = "@platform"  # the device of alerts on govsense itself; no registered one has such an id

Phase = Literal["pending", "firing", "clear"]
Nature = Literal["data_quality", "condition", "connectivity", "security"]
Severity = Literal["info", "warning", "critical"]


def is_above(value: float, expected: tuple[float, float]) -> bool:
    """Whether a value lies above the middle of the range that was expected of it."""
    return value > sum(expected) / 2


class Finding(NamedTuple):
    """One step of one rule on one device's metric (metric "" is the device as a whole).

    pending: the condition holds, its dwell has not passed. firing: it has. clear: it no longer
    holds (after pending: it never fired). Detectors emit one finding per step, not per reading.
    """

    device: str
    metric: str
    rule: str
    phase: Phase
    nature: Nature
    severity: Severity
    onset_ms: int  # event time at which the condition began; the same in all its findings
    at_ms: int  # event time of the reading (or tick) that made this step
    value: float | None
    expected: tuple[float, float] | None  # lowest and highest value that would not be a finding
    facts: dict[str, float | int | str]  # what the rule's text needs besides

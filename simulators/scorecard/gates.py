"""The gates: what detection has to reach for each class of faults, from data/gates.csv."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files

from simulators.scorecard.alarms import Alarm
from simulators.scorecard.files import Fault


@dataclass(frozen=True, slots=True)
class Gate:
    """One class of faults with its targets.

    faults, rules: patterns of fault types ("type" or "type/metric") and of rules that belong to
    it: an alarm that no fault explains counts against the gate that owns its rule. least_sigmas,
    least_min: a smaller or shorter fault is not asked for; a fault that does not tell its size is.
    delay: in delay_unit ("intervals" or "s"), median. precision and recall: shares.
    """

    name: str
    faults: tuple[str, ...]
    rules: tuple[str, ...]
    least_sigmas: float
    least_min: float
    recall: float
    delay: float
    delay_unit: str
    precision: float
    false_per_device_day: float

    def wants(self, fault: Fault) -> bool:
        """Whether a fault is one that this gate asks for."""
        if fault.end - fault.start < self.least_min * 60_000:
            return False
        if fault.sigmas is not None and fault.sigmas < self.least_sigmas:
            return False
        names = (fault.type, f"{fault.type}/{fault.metric or ''}")
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.faults)

    def owns(self, alarm: Alarm) -> bool:
        """Whether an alarm is of a rule that this gate answers for."""
        names = (alarm.rule, f"{alarm.rule}/{alarm.metric}")
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.rules)


def read_gates() -> list[Gate]:
    """The gates in the order of their file."""
    text = (files("simulators.scorecard") / "data" / "gates.csv").read_text("utf-8")
    return [
        Gate(
            name=row["gate"],
            faults=tuple(row["faults"].split()),
            rules=tuple(row["rules"].split()),
            least_sigmas=float(row["least_sigmas"] or 0),
            least_min=float(row["least_min"] or 0),
            recall=float(row["recall"]),
            delay=float(row["delay"]),
            delay_unit=row["delay_unit"],
            precision=float(row["precision"]),
            false_per_device_day=float(row["false_per_device_day"]),
        )
        for row in csv.DictReader(text.splitlines())
    ]

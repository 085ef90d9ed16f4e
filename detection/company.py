"""Company: what many sensors of one quantity do at once is their surroundings, not a fault."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detection.findings import Finding, is_above
from devices.catalogue import Catalogue
from devices.kinds import METRICS

HOUR_MS = 3_600_000
AT_ONCE_MS = {"drift": 12 * HOUR_MS, "shift": HOUR_MS}  # how far apart onsets may lie, by rule
LEAST, SHARE = 2, 0.02  # others that make a company: so many, and share of all that there are
QUANTITIES = {  # of the weather, indoors and out
    "Cel": ("environment temperature_c", "air-quality temperature_c", "cold-chain ambient_c"),
    "%RH": ("environment humidity_pct", "air-quality humidity_pct"),
}


class Begun(NamedTuple):
    """An episode that began: its quantity, rule and side (1 above, -1 below), device and onset."""

    quantity: str
    rule: str
    side: int
    device: str
    onset_ms: int


class Company:
    """Keeps back what fires on one sensor while enough others began to do the same.

    It is told every finding in order of arrival, and depends on nothing else.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._begun: list[Begun] = []
        self._rows = {
            quantity: [m.row for m in METRICS if f"{m.kind} {m.name}" in names]
            for quantity, names in QUANTITIES.items()
        }

    def keeps_back(self, finding: Finding) -> bool:
        """Take a finding; whether it fires in company, so that it is not to be told."""
        one = self._of(finding)
        if one is None:
            return False
        oldest_ms = one.onset_ms - 2 * max(AT_ONCE_MS.values())
        self._begun = [other for other in self._begun if other.onset_ms >= oldest_ms]
        others = {
            other.device
            for other in self._begun
            if other[:3] == one[:3]
            and other.device != one.device
            and abs(other.onset_ms - one.onset_ms) <= AT_ONCE_MS[one.rule]
        }
        if one not in self._begun:
            self._begun.append(one)
        if finding.phase != "firing" or len(others) < LEAST:
            return False
        rows = self._catalogue.metric_row[: len(self._catalogue)]
        return bool(len(others) >= SHARE * np.isin(rows, self._rows[one.quantity]).sum())

    def state(self) -> list[Begun]:
        """What `restore` goes on with, as JSON can say it."""
        return self._begun

    def restore(self, state: list[list[str | int]]) -> None:
        """Go on where `state` was taken."""
        self._begun = [Begun(str(q), str(r), int(s), str(d), int(at)) for q, r, s, d, at in state]

    def _of(self, finding: Finding) -> Begun | None:
        if finding.rule not in AT_ONCE_MS or finding.phase == "clear":
            return None
        name = f"{finding.facts['kind']} {finding.metric}"
        quantity = next((unit for unit, names in QUANTITIES.items() if name in names), None)
        if quantity is None or finding.value is None or finding.expected is None:
            return None
        side = 1 if is_above(finding.value, finding.expected) else -1
        return Begun(quantity, finding.rule, side, finding.device, finding.onset_ms)

"""What an alert says about its cause, by its rule, its nature and its metric."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import cast

from detection.alerts import AlertChange
from detection.findings import PLATFORM
from detection.incidents.changes import Cause

# The rules that judge many metrics say little by their name: the metric decides. First match wins.
BY_METRIC: tuple[tuple[str, Cause], ...] = (
    ("clock_", "clock"),
    ("power_mains", "power"),
    ("mains_", "power"),
    ("ups_", "power"),
    ("frequency_hz", "power"),
    ("dns_", "dns"),
    ("int_", "international"),
    ("cert_", "agent"),
    ("content_ok", "blocked"),
    ("http_status", "blocked"),
    ("esno_", "rain-fade"),
    ("rsrp_", "radio"),
    ("rsrq_", "radio"),
    ("sinr_", "radio"),
)
BY_NATURE: dict[str, Cause] = {
    "data_quality": "sensor",
    "condition": "facility",
    "connectivity": "unknown",
    "security": "unknown",
}
GENERAL = ("limits", "shift", "stuck")
# A solar plant's battery is the facility; any other one is the sensor's own.
BATTERY, LEVELS = "battery_v", ("limits", "shift", "drift")
# A mains or a generator that does not hold still; no meter does that by itself.
UNSTEADY, SWINGING = ("noise", "spread"), ("mains_v", "frequency_hz")


def cause_of_alert(alert: AlertChange, kind: str) -> Cause:
    """What most likely is behind an alert of a device of a kind, taken alone."""
    if alert.device == PLATFORM:
        return "platform"
    if alert.metric == BATTERY and alert.rule in LEVELS:
        return "facility" if kind == "solar" else "sensor"
    if alert.rule in UNSTEADY and alert.metric in SWINGING:
        return "power"
    if alert.rule in RULES and alert.rule not in GENERAL:
        by_nature = RULES[alert.rule]
        return by_nature.get(alert.nature, next(iter(by_nature.values())))
    if alert.nature == "data_quality":
        return "clock" if alert.metric.startswith("clock_") else "sensor"
    for start, cause in BY_METRIC:
        if alert.metric.startswith(start):
            return cause
    return BY_NATURE[alert.nature]


def _rules() -> dict[str, dict[str, Cause]]:
    table = files("detection") / "data" / "rule_causes.csv"
    if not table.is_file():
        return {}
    rules: dict[str, dict[str, Cause]] = {}
    for row in csv.DictReader(table.read_text("utf-8").splitlines()):
        rules.setdefault(row["rule"], {})[row["nature"]] = cast(Cause, row["cause"])
    return rules


RULES = _rules()

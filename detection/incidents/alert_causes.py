"""What an alert says about its cause, by its rule, its nature and its metric."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple, cast

from detection.alerts import AlertChange
from detection.findings import PLATFORM, is_above
from detection.incidents.changes import Cause
from detection.rules import cells_of

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


class MetricCause(NamedTuple):
    """What some rules say by the metric that they find out. Patterns as of a shell; side: "high",
    "low", or "" for both; link: of the type of the device's link."""

    kind: str
    metric: str
    rules: tuple[str, ...]
    side: str
    link: str
    cause: Cause

    def fits(self, alert: AlertChange, kind: str, link: str) -> bool:
        """Whether an alert of a device of a kind, on a link of a type, is what it speaks of."""
        return (
            alert.rule in self.rules
            and fnmatchcase(alert.metric, self.metric)
            and fnmatchcase(kind, self.kind)
            and fnmatchcase(link, self.link or "*")
            and self.side in ("", _side(alert))
        )


def cause_of_alert(alert: AlertChange, kind: str, link: str = "") -> Cause:
    """What most likely is behind an alert of a device of a kind, taken alone.

    link: the type of the link that the device is behind, where it is known.
    """
    if alert.device == PLATFORM:
        return "platform"
    for row in BY_KIND:
        if row.fits(alert, kind, link):
            return row.cause
    if alert.rule in RULES and alert.rule not in GENERAL:
        by_nature = RULES[alert.rule]
        return by_nature.get(alert.nature, next(iter(by_nature.values())))
    if alert.nature == "data_quality":
        return "clock" if alert.metric.startswith("clock_") else "sensor"
    for start, cause in BY_METRIC:
        if alert.metric.startswith(start):
            return cause
    return BY_NATURE[alert.nature]


def _side(alert: AlertChange) -> str:
    """To which side of what was expected the value lies; "" where that is not known."""
    if alert.value is None or alert.expected is None:
        return ""
    return "high" if is_above(alert.value, alert.expected) else "low"


def _by_kind() -> tuple[MetricCause, ...]:
    """The table of causes by kind and metric; the first row that fits counts."""
    return tuple(
        MetricCause(
            row["kind"],
            row["metric"],
            tuple(row["rules"].split()),
            row["side"],
            row["link"],
            cast(Cause, row["cause"]),
        )
        for row in cells_of("metric_causes.csv")
    )


def _rules() -> dict[str, dict[str, Cause]]:
    rules: dict[str, dict[str, Cause]] = {}
    for row in cells_of("rule_causes.csv"):
        rules.setdefault(row["rule"], {})[row["nature"]] = cast(Cause, row["cause"])
    return rules


BY_KIND, RULES = _by_kind(), _rules()

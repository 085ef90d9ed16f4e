"""The tables of the deterministic rules: conditions, rates, zeros, dropouts, pairs, causes."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from detection.findings import Nature, Severity
from detection.rules import HIGH, LOW, cells_of, limit_of, rows_of, verdict_of
from devices.kinds import KINDS, METRICS, TIERS

Mode = Literal["consecutive", "cumulative", "mean"]


class ConditionRule(NamedTuple):
    """A limit with a dwell. limit and clear are shares of the highest possible value where
    `share`; readings and dwell_ms: how many outside and how long until it fires."""

    name: str
    row: int
    side: int
    limit: float
    clear: float
    share: bool
    mode: Mode
    readings: int
    dwell_ms: int
    good: int
    severity: Severity
    nature: Nature


class RateRule(NamedTuple):
    """The fastest change of a metric, in its unit per minute; a counter may not fall at all."""

    row: int
    per_min: float
    counter: bool
    severity: Severity


class ZeroRule(NamedTuple):
    """Zero is no value of this metric. least: it must have been above this before. unless_off:
    not while the named metric of the device says no."""

    row: int
    readings: int
    least: float
    unless_off: str


class DropoutRule(NamedTuple):
    """A single zero between two values of at least `least` is a lost one. unless_off: not while
    the named metric of the device says no."""

    row: int
    least: float
    unless_off: str


class PairRule(NamedTuple):
    """A metric never exceeds factor times the other one plus slack, in the same round."""

    row: int
    other: str
    factor: float
    slack: float
    readings: int


def read_conditions() -> tuple[ConditionRule, ...]:
    """The table of conditions."""
    found = []
    for metric, cells in rows_of("conditions.csv"):
        side = HIGH if cells["side"] == "high" else LOW
        verdict = verdict_of(cells)
        found.append(
            ConditionRule(
                name=cells["rule"],
                row=metric.row,
                side=side,
                limit=limit_of(metric, side, cells),
                clear=float(cells["clear"]),
                share=cells["share"] == "yes",
                mode=cast(Mode, cells["mode"]),
                readings=int(cells["readings"]),
                dwell_ms=int(cells["dwell_s"]) * 1000,
                good=int(cells["good"]),
                severity=verdict.severity,
                nature=verdict.nature,
            )
        )
    return tuple(found)


def read_rates() -> dict[int, RateRule]:
    """The table of rates, by row of the metric; an empty per_min is the metric's own."""
    found = {}
    for metric, cells in rows_of("rate.csv"):
        counter = cells["counter"] == "yes"
        per_min = float(cells["per_min"]) if cells["per_min"] else metric.max_rate_per_min
        if per_min is None and not counter:
            raise ValueError(f"rate.csv: {metric.kind} {metric.name} has no rate")
        severity = cast(Severity, cells["severity"])
        found[metric.row] = RateRule(metric.row, per_min or 0.0, counter, severity)
    return found


def read_zeros() -> dict[int, ZeroRule]:
    """The table of zeros, by row of the metric."""
    return {
        metric.row: ZeroRule(
            metric.row, int(cells["readings"]), float(cells["least"]), cells["unless_off"]
        )
        for metric, cells in rows_of("zero.csv")
    }


def read_dropouts() -> dict[int, DropoutRule]:
    """The table of dropouts, by row of the metric."""
    return {
        metric.row: DropoutRule(metric.row, float(cells["least"]), cells["unless_off"])
        for metric, cells in rows_of("dropout.csv")
    }


def read_pairs() -> dict[int, PairRule]:
    """The table of pairs, by row of the metric that may not exceed the other."""
    found = {}
    for cells in cells_of("pairs.csv"):
        for tier in TIERS if "{tier}" in cells["metric"] else ("",):
            metric = KINDS[cells["kind"]].metrics[cells["metric"].replace("{tier}", tier)]
            found[metric.row] = PairRule(
                metric.row,
                cells["other"].replace("{tier}", tier),
                float(cells["factor"]),
                float(cells["slack"]),
                int(cells["readings"]),
            )
    return found


def read_causes() -> dict[str, tuple[Nature, str]]:
    """What each rule says something about, and the cause that it points to."""
    return {
        cells["rule"]: (cast(Nature, cells["nature"]), cells["cause"])
        for cells in cells_of("rule_causes.csv")
    }


ROWS = len(METRICS)

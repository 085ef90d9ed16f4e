"""The rules' tables: which detector judges which metric, and with what parameters.

One CSV file per detector in detection/data, one row per metric (limits: per side of a metric);
a metric without a row is not judged. A new metric is one new row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from detection.findings import Nature, Severity
from devices.kinds import KINDS, METRICS, TIERS, Metric

LOW, HIGH = 0, 1
HALF_STEP = np.array([metric.resolution / 2 for metric in METRICS])  # less is no change


class Verdict(NamedTuple):
    """How serious a rule's finding on a metric is, and what it says something about."""

    severity: Severity
    nature: Nature


class LimitRules(NamedTuple):
    """Arrays over METRICS; the second axis is the side, LOW or HIGH.

    limit: the last value that is still good; -inf and +inf where that side has none. clear: how
    far inside a value must be to count as good again. readings, dwell_ms: how many readings and
    how long outside until it fires. good: how many good readings in a row until it clears.
    """

    limit: NDArray[np.float64]
    clear: NDArray[np.float64]
    readings: NDArray[np.int64]
    dwell_ms: NDArray[np.int64]
    good: NDArray[np.int64]
    verdicts: dict[tuple[int, int], Verdict]


class SlowTripsRules(NamedTuple):
    """Arrays over METRICS. tier: which of `tiers` tiers a median or shortest trip leads to, -1 for
    other metrics. shortest: it is the shortest one. counts: a full line lengthens the median. told:
    it is the median that is told of. least_ms: that it must be longer than usual."""

    tier: NDArray[np.intp]
    shortest: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    told: NDArray[np.bool_]
    least_ms: NDArray[np.float64]
    tiers: int


class StuckRules(NamedTuple):
    """Arrays over METRICS.

    least_run, least_ms: a run of equal values must have at least as many readings and last at
    least as long. saturates: the surroundings can take the sensor to the top of what it can say,
    wherever that is: fog, smoke.
    """

    least_run: NDArray[np.int64]
    least_ms: NDArray[np.int64]
    saturates: NDArray[np.bool_]
    applies: NDArray[np.bool_]


class ChatterRules(NamedTuple):
    """applies: bool over METRICS, whose changes are counted. verdicts: by row."""

    applies: NDArray[np.bool_]
    verdicts: dict[int, Verdict]


class SilenceRule(NamedTuple):
    """A device is silent after so many intervals and a grace for delivery.

    broken_intervals: where the broker has told that its session broke.
    """

    intervals: float
    broken_intervals: float
    grace_ms: int
    severity: Severity


class PlatformRule(NamedTuple):
    """A trouble of govsense itself fires after dwell_s seconds."""

    dwell_s: float
    severity: Severity
    nature: Nature


def read_limits() -> LimitRules:
    """The table of limits; an empty `limit` is the plausible range's end."""
    n = len(METRICS)
    rules = LimitRules(
        limit=np.tile([-np.inf, np.inf], (n, 1)),
        clear=np.tile([-np.inf, np.inf], (n, 1)),
        readings=np.ones((n, 2), np.int64),
        dwell_ms=np.zeros((n, 2), np.int64),
        good=np.ones((n, 2), np.int64),
        verdicts={},
    )
    for metric, cells in rows_of("limits.csv"):
        side = HIGH if cells["side"] == "high" else LOW
        at = metric.row, side
        rules.limit[at] = limit_of(metric, side, cells)
        rules.clear[at] = float(cells["clear"])
        rules.readings[at] = int(cells["readings"])
        rules.dwell_ms[at] = int(cells["dwell_s"]) * 1000
        rules.good[at] = int(cells["good"])
        rules.verdicts[at] = verdict_of(cells)
    return rules


def read_loss() -> NDArray[np.bool_]:
    """bool over METRICS: whose shares of packets lost are pooled."""
    return _named("loss.csv")


def read_slow() -> NDArray[np.bool_]:
    """bool over METRICS: what a speed test says of a link."""
    return _named("slow.csv")


def read_slow_trips() -> SlowTripsRules:
    """The table of round trips that are judged together, a row for each tier."""
    table = list(rows_of("slow_trips.csv"))
    rules = SlowTripsRules(
        tier=np.full(len(METRICS), -1, np.intp),
        shortest=np.zeros(len(METRICS), np.bool_),
        counts=np.zeros(len(METRICS), np.bool_),
        told=np.zeros(len(METRICS), np.bool_),
        least_ms=np.zeros(len(METRICS)),
        tiers=len(table),
    )
    for tier, (median, cells) in enumerate(table):
        shortest = KINDS[median.kind].metrics[cells["shortest"]]
        rules.tier[[median.row, shortest.row]] = tier
        rules.shortest[shortest.row] = True
        rules.counts[median.row] = cells["counts"] == "yes"
        rules.told[median.row] = cells["told"] == "yes"
        rules.least_ms[median.row] = float(cells["least_ms"] or 0)
    return rules


def read_gap() -> NDArray[np.bool_]:
    """bool over METRICS: what a working device says in every round."""
    return _named("gap.csv")


def read_stuck() -> StuckRules:
    """The table of the stuck detector."""
    n = len(METRICS)
    rules = StuckRules(
        least_run=np.ones(n, np.int64),
        least_ms=np.zeros(n, np.int64),
        saturates=np.zeros(n, np.bool_),
        applies=np.zeros(n, np.bool_),
    )
    for metric, cells in rows_of("stuck.csv"):
        rules.least_run[metric.row] = int(cells["least_run"])
        rules.least_ms[metric.row] = int(cells["least_s"]) * 1000
        rules.saturates[metric.row] = cells["saturates"] == "yes"
        rules.applies[metric.row] = True
    return rules


def read_chatter() -> ChatterRules:
    """The table of what is on or off."""
    verdicts = {metric.row: verdict_of(cells) for metric, cells in rows_of("chatter.csv")}
    return ChatterRules(applies=_named("chatter.csv"), verdicts=verdicts)


def read_silence() -> dict[str, SilenceRule]:
    """The silence rule of each kind."""
    return {
        cells["kind"]: SilenceRule(
            intervals=float(cells["intervals"]),
            broken_intervals=float(cells["broken_intervals"]),
            grace_ms=round(float(cells["grace_s"]) * 1000),
            severity=cast(Severity, cells["severity"]),
        )
        for cells in cells_of("silence.csv")
    }


def read_platform() -> dict[str, PlatformRule]:
    """The rules on govsense itself, by name."""
    return {
        cells["rule"]: PlatformRule(float(cells["dwell_s"]), *verdict_of(cells))
        for cells in cells_of("platform.csv")
    }


def _named(table: str) -> NDArray[np.bool_]:
    applies = np.zeros(len(METRICS), np.bool_)
    applies[[metric.row for metric, _ in rows_of(table)]] = True
    return applies


def limit_of(metric: Metric, side: int, cells: dict[str, str]) -> float:
    """The last value that is still good: the table's, or the plausible range's end."""
    plausible = metric.plausible_max if side == HIGH else metric.plausible_min
    limit = float(cells["limit"]) if cells["limit"] else plausible
    if limit is None:
        raise ValueError(f"limit: {metric.kind} {metric.name} has no limit")
    if cells["inclusive"] == "yes":  # the limit itself is already bad
        return float(np.nextafter(limit, -np.inf if side == HIGH else np.inf))
    return limit


def verdict_of(cells: dict[str, str]) -> Verdict:
    """Severity and nature of a row."""
    return Verdict(cast(Severity, cells["severity"]), cast(Nature, cells["nature"]))


def rows_of(name: str) -> Iterator[tuple[Metric, dict[str, str]]]:
    """The rows of a table in detection/data with their metric, those by tier once for each."""
    for cells in cells_of(name):
        for tier in TIERS if "{tier}" in cells["metric"] else ("",):
            yield KINDS[cells["kind"]].metrics[cells["metric"].replace("{tier}", tier)], cells


def cells_of(name: str) -> list[dict[str, str]]:
    """The rows of a table in detection/data."""
    text = (files("detection") / "data" / name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))

"""Kinds of devices and the metrics of each: unit, ranges, rate and resolution, from a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

# Where a connectivity probe measures to: LAN gateway, provider, in the country, abroad.
TIERS = ("gw", "isp", "nat", "int")


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity of one kind; its name is unique within the kind.

    hard_min, hard_max: outside is impossible and refused. plausible_min, plausible_max: outside
    is possible and flagged, both None where no range is known. max_rate_per_min: in the unit per
    minute. resolution: smallest step that a device reports. row: index in METRICS.
    """

    kind: str
    name: str
    unit: str
    hard_min: float
    hard_max: float
    plausible_min: float | None
    plausible_max: float | None
    max_rate_per_min: float | None
    resolution: float
    meaning: str
    row: int

    @property
    def is_bool(self) -> bool:
        """Whether its values are yes or no, stored as 1.0 and 0.0."""
        return self.unit == "bool"

    def hard_range(self, params: Mapping[str, Any]) -> tuple[float, float]:
        """Lowest and highest possible value at a device with these params.

        A tank's level ends at its own `height_m`.
        """
        if self.name == "level_m" and "height_m" in params:
            return self.hard_min, float(params["height_m"])
        return self.hard_min, self.hard_max

    def plausible_range(self, params: Mapping[str, Any]) -> tuple[float, float] | None:
        """Lowest and highest plausible value at a device with these params, None if not known.

        The table speaks of a 12 V solar bank; `bank_v` (24, 48) scales it.
        """
        if self.plausible_min is None or self.plausible_max is None:
            return None
        scale = 1.0
        if self.kind == "solar" and self.name == "battery_v":
            scale = float(params.get("bank_v", 12.0)) / 12.0
        return self.plausible_min * scale, self.plausible_max * scale


@dataclass(frozen=True, slots=True)
class Kind:
    """What a device of this kind may measure, by metric name."""

    name: str
    metrics: dict[str, Metric]


def _number(text: str) -> float | None:
    return float(text) if text else None


def _names(pattern: str) -> list[str]:
    if "{tier}" not in pattern:
        return [pattern]
    return [pattern.replace("{tier}", tier) for tier in TIERS]


def _read_metrics() -> tuple[Metric, ...]:
    text = (files("devices") / "data" / "metrics.csv").read_text("utf-8")
    metrics: list[Metric] = []
    for cells in csv.DictReader(text.splitlines()):
        for name in _names(cells["metric"]):
            metrics.append(
                Metric(
                    kind=cells["kind"],
                    name=name,
                    unit=cells["unit"],
                    hard_min=float(cells["hard_min"]),
                    hard_max=float(cells["hard_max"]),
                    plausible_min=_number(cells["plausible_min"]),
                    plausible_max=_number(cells["plausible_max"]),
                    max_rate_per_min=_number(cells["max_rate_per_min"]),
                    resolution=float(cells["resolution"]),
                    meaning=cells["meaning"],
                    row=len(metrics),
                )
            )
    return tuple(metrics)


def _group(metrics: tuple[Metric, ...]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for metric in metrics:
        kinds.setdefault(metric.kind, Kind(metric.kind, {})).metrics[metric.name] = metric
    return kinds


METRICS: tuple[Metric, ...] = _read_metrics()
KINDS: dict[str, Kind] = _group(METRICS)

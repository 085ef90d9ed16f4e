"""The table of metrics: complete, consistent and reachable by kind and name."""

from __future__ import annotations

import pytest

from devices.kinds import KINDS, METRICS, TIERS, Metric


def test_there_are_nine_kinds() -> None:
    """Every kind of the vocabulary has metrics."""
    assert set(KINDS) == {
        "connectivity-probe",
        "environment",
        "air-quality",
        "water-level",
        "water-quality",
        "power",
        "solar",
        "cold-chain",
        "presence",
    }


def test_tiered_metrics_are_there_for_each_tier() -> None:
    """A row with {tier} is one metric for each of the four targets."""
    probe = KINDS["connectivity-probe"].metrics
    assert TIERS == ("gw", "isp", "nat", "int")
    assert {f"{tier}_rtt_p50_ms" for tier in TIERS} <= set(probe)
    assert not [name for name in probe if "{" in name]
    assert len(probe) == 4 * 9 + 30


def test_rows_are_indexes() -> None:
    """A metric's row is its place in METRICS, and its kind finds it by name."""
    for row, metric in enumerate(METRICS):
        assert metric.row == row
        assert KINDS[metric.kind].metrics[metric.name] is metric


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: f"{m.kind}/{m.name}")
def test_ranges_are_nested(metric: Metric) -> None:
    """The plausible range has both ends or none, and lies within the hard range."""
    assert metric.hard_min < metric.hard_max
    assert (metric.plausible_min is None) == (metric.plausible_max is None)
    if metric.plausible_min is not None and metric.plausible_max is not None:
        assert metric.hard_min <= metric.plausible_min <= metric.plausible_max <= metric.hard_max
    assert metric.resolution > 0


def test_a_metric_holds_its_row_of_the_table() -> None:
    """Unit, ranges, rate and resolution are those of metrics.csv."""
    metric = KINDS["environment"].metrics["temperature_c"]
    assert (metric.unit, metric.hard_min, metric.hard_max) == ("Cel", -15, 60)
    assert (metric.plausible_min, metric.plausible_max) == (0, 45)
    assert (metric.max_rate_per_min, metric.resolution) == (3, 0.01)
    assert not metric.is_bool
    assert KINDS["power"].metrics["mains_on"].is_bool


def test_a_tank_ends_at_its_own_height() -> None:
    """height_m bounds level_m, and nothing else."""
    water = KINDS["water-level"].metrics
    assert water["level_m"].hard_range({}) == (0, 30)
    assert water["level_m"].hard_range({"height_m": 4}) == (0, 4)
    assert water["pressure_bar"].hard_range({"height_m": 4}) == (0, 16)


def test_a_larger_bank_has_a_higher_voltage() -> None:
    """bank_v scales the plausible voltage of a solar battery, and of no other battery."""
    assert KINDS["solar"].metrics["battery_v"].plausible_range({}) == (11.5, 14.8)
    assert KINDS["solar"].metrics["battery_v"].plausible_range({"bank_v": 24}) == (23.0, 29.6)
    assert KINDS["presence"].metrics["battery_v"].plausible_range({"bank_v": 24}) == (2.5, 14.6)
    assert KINDS["solar"].metrics["pv_w"].plausible_range({}) is None

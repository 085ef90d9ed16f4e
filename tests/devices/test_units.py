"""Units of SenML become those of the table of metrics."""

from __future__ import annotations

import pytest

from devices.kinds import KINDS, METRICS, Metric
from devices.wire.units import CONVERSIONS, KNOWN_UNITS, UnitError, to_metric_unit

EXAMPLES = [
    ("connectivity-probe", "nat_rtt_p50_ms", 0.0214, "s", 21.4),
    ("connectivity-probe", "nat_loss_pct", 0.25, "/", 25.0),
    ("connectivity-probe", "down_mbps", 2e6, "bit/s", 2.0),
    ("connectivity-probe", "rsrp_dbm", -130.0, "dBW", -100.0),
    ("connectivity-probe", "cert_days_left", 172_800.0, "s", 2.0),
    ("connectivity-probe", "os_uptime_s", 1.5, "h", 5400.0),
    ("connectivity-probe", "test_bytes", 2.0, "KiB", 2048.0),
    ("environment", "temperature_c", 298.15, "K", 25.0),
    ("environment", "co2_ppm", 0.0005, "/", 500.0),
    ("environment", "battery_v", 3600.0, "mV", 3.6),
    ("air-quality", "pm2_5_ugm3", 3.5e-8, "kg/m3", 35.0),
    ("water-level", "level_m", 1500.0, "mm", 1.5),
    ("water-level", "flow_m3h", 0.5, "l/s", 1.8),
    ("water-level", "pressure_bar", 350_000.0, "Pa", 3.5),
    ("water-quality", "chlorine_mgl", 0.0005, "kg/m3", 0.5),
    ("water-quality", "conductivity_uscm", 0.05, "S/m", 500.0),
    ("power", "energy_kwh", 7.2e6, "J", 2.0),
    ("power", "current_a", 250.0, "mA", 0.25),
    ("solar", "pv_w", 1.2, "kW", 1200.0),
]


@pytest.mark.parametrize(("kind", "name", "value", "unit", "expected"), EXAMPLES)
def test_a_value_is_converted(
    kind: str, name: str, value: float, unit: str, expected: float
) -> None:
    """A value in a unit of the same quantity is the same quantity in the metric's unit."""
    metric = KINDS[kind].metrics[name]
    assert to_metric_unit(value, unit, metric) == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: f"{m.kind}/{m.name}")
def test_the_metrics_own_unit_changes_nothing(metric: Metric) -> None:
    """Every metric may be given in its own unit, to the last bit."""
    assert to_metric_unit(0.1, metric.unit, metric) == 0.1


def test_conversions_are_between_known_units() -> None:
    """The table converts to units of metrics only, and from units that SenML has."""
    units = {metric.unit for metric in METRICS}
    assert set(CONVERSIONS) <= units
    assert {unit for others in CONVERSIONS.values() for unit in others} <= KNOWN_UNITS


def test_other_units_are_refused() -> None:
    """A unit of another quantity is wrong; one that SenML does not have is unknown."""
    metric = KINDS["environment"].metrics["temperature_c"]
    for unit, reason in (("V", "wrong-unit"), ("°C", "unknown-unit"), ("", "unknown-unit")):
        with pytest.raises(UnitError) as caught:
            to_metric_unit(1.0, unit, metric)
        assert caught.value.reason == reason

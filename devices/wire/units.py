"""Units in SenML records: which are known, and how they turn into a metric's own unit.

Units of RFC 8428 section 12.1 and the secondary units of RFC 8798, and the units of the table of
metrics, which a device may always use.
"""

from __future__ import annotations

from devices.kinds import METRICS, Metric
from devices.wire import reasons

_RFC_8428 = (
    "m kg g s A K cd mol Hz rad sr N Pa J W C V F Ohm S Wb T H Cel lm lx Bq Gy Sv kat m2 m3 l m/s "
    "m/s2 m3/s l/s W/m2 cd/m2 bit bit/s lat lon pH dB dBW Bspl count / % %RH %EL EL 1/s 1/min "
    "beat/min beats S/m"
)
_RFC_8798 = (
    "B VA VAs var vars J/m kg/m3 deg NTU ms min h MHz kW kVA kvar Ah Wh kWh varh kvarh kVAh Wh/km "
    "KiB GB Mbit/s B/s MB/s mV mA dBm ug/m3 mm/h m/h ppm /100 /1000 hPa mm cm km km/h"
)
SENML_UNITS = frozenset((*_RFC_8428.split(), *_RFC_8798.split()))
KNOWN_UNITS = SENML_UNITS | {metric.unit for metric in METRICS}

# metric's unit: {unit on the wire: (factor, offset)}; value * factor + offset is in metric's unit
CONVERSIONS: dict[str, dict[str, tuple[float, float]]] = {
    "%": {"/": (100, 0), "/100": (1, 0), "/1000": (0.1, 0)},
    "A": {"mA": (0.001, 0)},
    "B": {"bit": (0.125, 0), "KiB": (1024, 0), "GB": (1e9, 0)},
    "Cel": {"K": (1, -273.15)},
    "Hz": {"1/s": (1, 0), "MHz": (1e6, 0)},
    "Mbit/s": {"bit/s": (1e-6, 0), "B/s": (8e-6, 0), "MB/s": (8, 0)},
    "V": {"mV": (0.001, 0)},
    "W": {"kW": (1000, 0)},
    "bar": {"Pa": (1e-5, 0), "hPa": (0.001, 0)},
    "bool": {"/": (1, 0)},  # RFC 8428 names the state of a switch as a use of "/"
    "d": {"s": (1 / 86_400, 0), "min": (1 / 1440, 0), "h": (1 / 24, 0)},
    "dBm": {"dBW": (1, 30)},
    "kWh": {"J": (1 / 3.6e6, 0), "Wh": (0.001, 0)},
    "m": {"mm": (0.001, 0), "cm": (0.01, 0), "km": (1000, 0)},
    "m3/h": {"m3/s": (3600, 0), "l/s": (3.6, 0)},
    "mg/L": {"kg/m3": (1000, 0), "ug/m3": (1e-6, 0)},
    "ms": {"s": (1000, 0)},
    "ppm": {"/": (1e6, 0)},
    "s": {"ms": (0.001, 0), "min": (60, 0), "h": (3600, 0)},
    "uS/cm": {"S/m": (1e4, 0)},
    "ug/m3": {"kg/m3": (1e9, 0)},
}


class UnitError(ValueError):
    """The unit cannot be turned into the metric's. reason: unknown-unit or wrong-unit."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def to_metric_unit(value: float, unit: str, metric: Metric) -> float:
    """A value in the metric's unit, which may be infinite when the value is huge; UnitError."""
    if unit == metric.unit:
        return value
    conversion = CONVERSIONS.get(metric.unit, {}).get(unit)
    if conversion is not None:
        factor, offset = conversion
        return value * factor + offset
    if unit not in KNOWN_UNITS:
        raise UnitError(reasons.UNKNOWN_UNIT, f"{unit[:40]!r} is not a unit of SenML")
    allowed = ", ".join((metric.unit, *CONVERSIONS.get(metric.unit, {})))
    raise UnitError(reasons.WRONG_UNIT, f"{unit!r} for {metric.name}; allowed: {allowed}")

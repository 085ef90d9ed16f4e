"""What makes an entry of the registry valid."""

from __future__ import annotations

from typing import Any

import pytest

from devices.registry import Registry, RegistryError, Uplink
from tests.devices.registries import a_device, a_site


def test_a_device_is_in_the_province_of_its_site() -> None:
    """province_of follows the device to its site; a device that is not there is a KeyError."""
    registry = Registry({"s1": a_site()}, {"d1": a_device()})
    assert registry.province_of("d1") == "LA-PH"
    with pytest.raises(KeyError):
        registry.province_of("d2")


FAULTY_SITES: list[tuple[str, dict[str, Any]]] = [
    ("site", {"site": "a/b"}),
    ("name_en", {"name_en": " "}),
    ("class", {"site_class": "Big Office"}),
    ("province", {"province": "LA-XN"}),
    ("district", {"district": "pakse"}),
    ("lat", {"lat": 91.0}),
    ("lon", {"lon": float("nan")}),
    ("agency", {"agency": ""}),
    ("priority", {"priority": "high"}),
    ("provider", {"uplinks": ()}),
    ("provider", {"uplinks": (Uplink("", "fibre", None, None),)}),
    ("link_type", {"uplinks": (Uplink("ETL", "fiber", None, None),)}),
    ("contracted_up_mbps", {"uplinks": (Uplink("ETL", "fibre", 1.0, -1.0),)}),
    ("link_type2", {"uplinks": (Uplink("ETL", "dsl", 1.0, 1.0), Uplink("ETL", "", 1.0, 1.0))}),
]


@pytest.mark.parametrize(("column", "changes"), FAULTY_SITES)
def test_a_faulty_site_is_refused_by_column(column: str, changes: dict[str, Any]) -> None:
    """A registry with a faulty site is refused, and the one problem names the column."""
    site = a_site(**changes)
    with pytest.raises(RegistryError) as caught:
        Registry({site.site: site}, {})
    assert [problem.column for problem in caught.value.problems] == [column]


FAULTY_DEVICES: list[tuple[str, dict[str, Any]]] = [
    ("device", {"device": "Probe_1"}),
    ("device", {"device": "p" * 64}),
    ("site", {"site": "nowhere"}),
    ("kind", {"kind": "probe"}),
    ("interval_s", {"interval_s": 0.0}),
    ("interval_s", {"interval_s": 86_401.0}),
    ("uplink", {"uplink": 2}),
    ("params", {"kind": "water-level", "params": {"height_m": "4"}}),
    ("params", {"kind": "water-level", "params": {"height_m": 31}}),
    ("params", {"kind": "water-level", "params": {"height_m": True}}),
    ("params", {"kind": "solar", "params": {"bank_v": 13}}),
]


@pytest.mark.parametrize(("column", "changes"), FAULTY_DEVICES)
def test_a_faulty_device_is_refused_by_column(column: str, changes: dict[str, Any]) -> None:
    """A registry with a faulty device is refused, and the one problem names the column."""
    device = a_device(**changes)
    with pytest.raises(RegistryError) as caught:
        Registry({"s1": a_site()}, {device.device: device})
    assert [problem.column for problem in caught.value.problems] == [column]
    assert caught.value.problems[0].allowed

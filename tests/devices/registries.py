"""Small registries for the tests, and strategies that make any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from devices.geography import DISTRICTS
from devices.kinds import KINDS
from devices.registry import LINK_TYPES, PRIORITIES, Device, Registry, Site, Uplink


def a_site(site: str = "s1", **changes: Any) -> Site:
    """A valid site with some facts changed."""
    facts: dict[str, Any] = {
        "site": site,
        "name_en": "Khua District Office",
        "name_lo": "ຫ້ອງວ່າການເມືອງຂວາ",
        "site_class": "office",
        "province": "LA-PH",
        "district": "khua",
        "lat": 21.052,
        "lon": 102.422,
        "agency": "Office of the Governor",
        "uplinks": (Uplink("Unitel", "4g", 20.0, 10.0),),
        "feeder": "PH-F1",
        "priority": "normal",
    }
    return Site(**(facts | changes))


def a_device(device: str = "d1", **changes: Any) -> Device:
    """A valid device at site s1 with some facts changed."""
    facts: dict[str, Any] = {
        "device": device,
        "site": "s1",
        "kind": "connectivity-probe",
        "interval_s": 60.0,
        "uplink": 1,
        "params": {},
    }
    return Device(**(facts | changes))


_texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1
).map(str.strip)
_names = _texts.filter(bool)
_speeds = st.none() | st.floats(0, 10_000)
_uplinks = st.builds(Uplink, _names, st.sampled_from(LINK_TYPES), _speeds, _speeds)
_site_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    """Any valid registry of a few sites and devices."""
    sites = {}
    for site in draw(st.lists(_site_ids, min_size=1, max_size=4, unique=True)):
        province, district = draw(st.sampled_from(sorted(DISTRICTS)))
        sites[site] = a_site(
            site,
            name_en=draw(_names),
            name_lo=draw(_texts),
            province=province,
            district=district,
            lat=draw(st.none() | st.floats(-90, 90)),
            lon=draw(st.none() | st.floats(-180, 180)),
            agency=draw(_names),
            uplinks=tuple(draw(st.lists(_uplinks, min_size=1, max_size=2))),
            feeder=draw(_texts),
            priority=draw(st.sampled_from(PRIORITIES)),
        )
    devices = {}
    for device in draw(st.lists(st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True), unique=True)):
        site = draw(st.sampled_from(sorted(sites)))
        devices[device] = a_device(
            device,
            site=site,
            kind=draw(st.sampled_from(sorted(KINDS))),
            interval_s=draw(st.floats(0.5, 86_400)),
            uplink=draw(st.integers(1, len(sites[site].uplinks))),
            params=draw(st.dictionaries(st.sampled_from("abc"), st.integers() | _texts)),
        )
    return Registry(sites, devices)

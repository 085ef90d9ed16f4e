"""A small registry for tests."""

from __future__ import annotations

from collections.abc import Sequence

from devices.registry import Device, Registry, Site, Uplink


def registered(sites: Sequence[tuple[str, str, str]]) -> Registry:
    """(site, province, district), each with one probe and one tank named after it."""
    uplink = Uplink("LTC", "fibre", None, None)
    made = {
        name: Site(
            name,
            name,
            "",
            "office",
            province,
            district,
            None,
            None,
            "MPTC",
            (uplink,),
            "",
            "normal",
        )
        for name, province, district in sites
    }
    kinds = {"probe": "connectivity-probe", "tank": "water-level"}
    return Registry(
        made,
        {
            f"{kind}-{name}": Device(f"{kind}-{name}", name, long, 60.0, 1, {})
            for name in made
            for kind, long in kinds.items()
        },
    )

"""A small country to simulate: one site with a device of every kind, and probes on every link."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from devices.kinds import KINDS
from devices.registry import LINK_TYPES, Device, Registry, Site, Uplink
from simulators.run import Run, prepare
from simulators.scenario import parse_scenario

START_MS = 1_772_409_600_000  # 2026-03-02T00:00:00Z, a Monday, 07:00 in Vientiane
FACILITY = Site(
    site="hospital-1",
    name_en="Hospital",
    name_lo="ໂຮງໝໍ",
    site_class="hospital",
    province="LA-VT",
    district="chanthabuly",
    lat=17.97,
    lon=102.6,
    agency="Health",
    uplinks=(Uplink("LTC", "fibre", 50.0, 20.0),),
    feeder="",
    priority="critical",
)


def country(interval_s: float = 60.0) -> Registry:
    """`facility-KIND` at one hospital; `probe-LINK` at an office for each link type."""
    sites = {FACILITY.site: FACILITY}
    devices: dict[str, Device] = {}
    for kind in KINDS:
        name = f"facility-{kind}"
        params = {"height_m": 4.0} if kind == "water-level" else {}
        devices[name] = Device(name, FACILITY.site, kind, interval_s, 1, params)
    for link in LINK_TYPES:
        office = f"office-{link}"
        uplinks = (Uplink("Unitel", link, None, None),)
        sites[office] = replace(FACILITY, site=office, province="LA-LP", uplinks=uplinks,
                                district="luangprabang", lat=19.9, lon=102.1)  # fmt: skip
        name = f"probe-{link}"
        devices[name] = Device(name, office, "connectivity-probe", interval_s, 1, {})
    return Registry(sites, devices)


def run_of(
    *faults: dict[str, Any], seed: int = 1, minutes: float = 30, interval_s: float = 60.0
) -> Run:
    """A run of the small country with these faults (each needs no id)."""
    named = [{"fault": f"f{n}", **fault} for n, fault in enumerate(faults, 1)]
    return prepare(
        country(interval_s),
        parse_scenario({"faults": named}, "test.yaml"),
        seed=seed,
        start_ms=START_MS,
        end_ms=START_MS + round(minutes * 60_000),
    )

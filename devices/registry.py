"""The registry: which sites exist, which devices stand at them, and what makes an entry valid."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from devices.geography import DISTRICTS, PROVINCES
from devices.kinds import KINDS

LINK_TYPES = ("fibre", "dsl", "fixed-wireless", "3g", "4g", "5g", "vsat-geo", "vsat-leo")
PRIORITIES = ("normal", "critical")
MAX_INTERVAL_S = 86_400.0  # a device that speaks less than once a day cannot be called silent
DEVICE_ID = re.compile(r"[a-z0-9-]{1,63}")
SITE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
SITE_CLASS = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Uplink:
    """One way from a site to the network; contracted speeds in Mbit/s, None where unknown."""

    provider: str
    link_type: str
    contracted_down_mbps: float | None
    contracted_up_mbps: float | None


@dataclass(frozen=True, slots=True)
class Site:
    """An office or facility. lat, lon in degrees, None where unknown; feeder "" if unknown."""

    site: str
    name_en: str
    name_lo: str
    site_class: str
    province: str
    district: str
    lat: float | None
    lon: float | None
    agency: str
    uplinks: tuple[Uplink, ...]
    feeder: str
    priority: str


@dataclass(frozen=True, slots=True)
class Device:
    """A probe or sensor. uplink: 1 or 2, which of its site's uplinks it reports through."""

    device: str
    site: str
    kind: str
    interval_s: float
    uplink: int
    params: dict[str, Any]


class Fault(NamedTuple):
    """What is wrong with one field: its column in the registry files, what it holds, what may."""

    column: str
    got: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault with its place in a file. Unknown places are "" and 0: file, line or column."""

    file: str
    line: int
    column: str
    got: str
    allowed: str

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        parts = (f"{self.file}{line}" if self.file else "", self.column, self.got)
        return f"{': '.join(part for part in parts if part)} (allowed: {self.allowed})"


class RegistryError(ValueError):
    """The registry was refused as a whole; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Registry:
    """Sites by id and devices by id. Raises RegistryError when any entry is not valid."""

    sites: dict[str, Site] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [fault for site in self.sites.values() for fault in site_faults(site)]
        for device in self.devices.values():
            faults += device_faults(device, self.sites)
        if faults:
            raise RegistryError([Problem("", 0, *fault) for fault in faults])

    def province_of(self, device: str) -> str:
        """Province code of the site where a device stands; KeyError for an unknown device."""
        return self.sites[self.devices[device].site].province


def site_faults(site: Site) -> Iterator[Fault]:
    """What is wrong with a site by itself."""
    if not SITE_ID.fullmatch(site.site):
        yield Fault("site", repr(site.site), "letters, digits, '.', '_', '-', at most 63")
    if not site.name_en.strip():
        yield Fault("name_en", repr(site.name_en), "a name")
    if not SITE_CLASS.fullmatch(site.site_class):
        yield Fault("class", repr(site.site_class), "a word such as office or health-centre")
    if site.province not in PROVINCES:
        yield Fault("province", repr(site.province), ", ".join(PROVINCES))
    elif (site.province, site.district) not in DISTRICTS:
        names = ", ".join(d for p, d in DISTRICTS if p == site.province)
        yield Fault("district", repr(site.district), f"districts of {site.province}: {names}")
    yield from _range_fault("lat", site.lat, -90, 90)
    yield from _range_fault("lon", site.lon, -180, 180)
    if not site.agency.strip():
        yield Fault("agency", repr(site.agency), "a name")
    if site.priority not in PRIORITIES:
        yield Fault("priority", repr(site.priority), ", ".join(PRIORITIES))
    if not 1 <= len(site.uplinks) <= 2:
        yield Fault("provider", f"{len(site.uplinks)} uplinks", "one or two uplinks")
    for uplink, suffix in zip(site.uplinks, ("", "2"), strict=False):
        yield from _uplink_faults(uplink, suffix)


def device_faults(device: Device, sites: Mapping[str, Site]) -> Iterator[Fault]:
    """What is wrong with a device, given the sites that there are."""
    if not DEVICE_ID.fullmatch(device.device):
        yield Fault("device", repr(device.device), "a-z, 0-9, '-', at most 63")
    if device.kind not in KINDS:
        yield Fault("kind", repr(device.kind), ", ".join(KINDS))
    if not 0 < device.interval_s <= MAX_INTERVAL_S:
        yield Fault("interval_s", f"{device.interval_s:g}", f"above 0, up to {MAX_INTERVAL_S:g}")
    site = sites.get(device.site)
    if site is None:
        yield Fault("site", repr(device.site), "a site of the registry")
    elif not 1 <= device.uplink <= len(site.uplinks):
        allowed = "1" if len(site.uplinks) == 1 else "1 or 2"
        yield Fault("uplink", str(device.uplink), f"{allowed} (uplinks of site {site.site})")
    yield from _param_faults(device)


def _uplink_faults(uplink: Uplink, suffix: str) -> Iterator[Fault]:
    if not uplink.provider.strip():
        yield Fault(f"provider{suffix}", repr(uplink.provider), "a name")
    if uplink.link_type not in LINK_TYPES:
        yield Fault(f"link_type{suffix}", repr(uplink.link_type), ", ".join(LINK_TYPES))
    for column in ("contracted_down_mbps", "contracted_up_mbps"):
        yield from _range_fault(f"{column}{suffix}", getattr(uplink, column), 0, 1_000_000)


def _range_fault(column: str, value: float | None, low: float, high: float) -> Iterator[Fault]:
    if value is not None and not low <= value <= high:
        yield Fault(column, f"{value:g}", f"{low:g} to {high:g}")


def _param_faults(device: Device) -> Iterator[Fault]:
    if device.kind == "water-level" and "height_m" in device.params:
        height = device.params["height_m"]
        highest = KINDS["water-level"].metrics["level_m"].hard_max
        if not _is_number(height) or not 0 < height <= highest:
            yield Fault("params", f"height_m {height!r}", f"a number above 0, up to {highest:g}")
    if device.kind == "solar" and device.params.get("bank_v", 12) not in (12, 24, 48):
        yield Fault("params", f"bank_v {device.params['bank_v']!r}", "12, 24, 48")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""Premises: a site as faults see it, with its devices, its battery and what its router does."""

from __future__ import annotations

from dataclasses import dataclass

from devices.registry import Device, Registry, Site
from simulators.world.chance import stream

ON_MAINS = ("water-quality", "air-quality")  # dead at once when the mains are
PROBE = "connectivity-probe"


@dataclass(frozen=True, slots=True)
class Premises:
    """One site. ups_ms: how long probe and router live without mains, 0 without a UPS.

    fails_over: its router moves everything to the second uplink when the first fails.
    """

    site: Site
    devices: tuple[Device, ...]
    ups_ms: int
    fails_over: bool

    @property
    def name(self) -> str:
        """Id of the site."""
        return self.site.site

    @property
    def probes(self) -> list[Device]:
        """Its probes."""
        return [device for device in self.devices if device.kind == PROBE]

    def behind(self, uplink: int) -> list[Device]:
        """Devices that report over one of its uplinks, 1 or 2."""
        return [device for device in self.devices if device.uplink == uplink]

    def link_type(self, uplink: int = 1) -> str:
        """Type of one of its uplinks."""
        return self.site.uplinks[uplink - 1].link_type


def premises(registry: Registry, seed: int) -> dict[str, Premises]:
    """Every site that has a device, by id; battery and router are drawn by the seed."""
    devices: dict[str, list[Device]] = {}
    for name in sorted(registry.devices):
        device = registry.devices[name]
        devices.setdefault(device.site, []).append(device)
    return {
        site: _place(registry.sites[site], tuple(devices[site]), seed) for site in sorted(devices)
    }


def _place(site: Site, devices: tuple[Device, ...], seed: int) -> Premises:
    draw = stream(seed, site.site, "premises")
    ups_ms = round(draw.uniform(8, 120) * 60_000) if draw.random() < 0.35 else 0
    fails_over = len(site.uplinks) > 1 and draw.random() < 0.7
    return Premises(site, devices, ups_ms, fails_over)

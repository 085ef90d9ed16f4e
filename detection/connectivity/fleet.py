"""The fleet: devices by number with the site and uplink that each reports for, as columns."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.catalogue import Catalogue
from devices.registry import Device, Registry, Site

UPLINKS = 2


class Quality(NamedTuple):
    """Beyond what a round's service is poor: share of packets lost, milliseconds."""

    loss: float
    rtt_ms: float
    dns_ms: float


def read_quality() -> dict[str, Quality]:
    """Limits of a good service by link type, from data/bin_quality.csv."""
    text = (files("detection") / "data" / "bin_quality.csv").read_text("utf-8")
    return {
        row["link_type"]: Quality(
            float(row["max_loss_pct"]) / 100, float(row["max_rtt_ms"]), float(row["max_dns_ms"])
        )
        for row in csv.DictReader(text.splitlines())
    }


ROW = np.dtype(
    [
        ("site", "i4"),  # number of the site in `sites`, -1: not in the registry any more
        ("uplink", "i1"),  # 0 or 1
        ("interval_ms", "i8"),
        ("probe", "?"),
        ("loss", "f8"),
        ("rtt_ms", "f8"),
        ("dns_ms", "f8"),
    ]
)


class Fleet:
    """Devices of the catalogue by number, and their sites in order of first sight."""

    def __init__(self, catalogue: Catalogue, registry: Registry) -> None:
        self._catalogue = catalogue
        self._quality = read_quality()
        self.rows = np.zeros(0, ROW)
        self.sites: list[str] = []
        self.members: list[list[int]] = []  # by site: numbers of its devices
        self._site_number: dict[str, int] = {}
        self.registry = registry
        self._derived: tuple[NDArray[np.bool_], NDArray[np.int64]] | None = None

    def use(self, registry: Registry) -> None:
        """Follow the registry: intervals, and devices that moved or are gone."""
        self.registry = registry
        for number in range(len(self.rows)):
            self._place(number)

    def grow(self) -> bool:
        """Have a row for every device that there is by now; whether there were new ones."""
        known, n = len(self.rows), len(self._catalogue.devices)
        if n == known:
            return False
        self.rows = np.concatenate([self.rows, np.zeros(n - known, ROW)])
        self.rows["site"][known:] = -1
        for number in range(known, n):
            self._place(number)
        return True

    def device(self, number: int) -> Device:
        """The device as the catalogue knows it."""
        return self._catalogue.devices[number]

    def number_of(self, device: str) -> int | None:
        """The number of a device id, None where the catalogue does not know it."""
        number = self._catalogue.device_number_of(device)
        return None if number is None or number >= len(self.rows) else number

    def site_number(self, site: str) -> int:
        """The number of a site id, a new one where it has none yet."""
        number = self._site_number.get(site)
        if number is None:
            number = self._site_number[site] = len(self.sites)
            self.sites.append(site)
            self.members.append([])
        return number

    def site_of(self, number: int) -> Site | None:
        """The site as the registry has it, by number."""
        return self.registry.sites.get(self.sites[number])

    def _place(self, number: int) -> None:
        self._derived = None
        device = self.device(number)
        row = self.rows[number]
        if row["site"] >= 0:
            self.members[row["site"]].remove(number)
        device = self.registry.devices.get(device.device, device)
        site = self.registry.sites.get(device.site)
        row["interval_ms"] = round(device.interval_s * 1000)
        row["uplink"] = device.uplink - 1
        row["probe"] = device.kind == "connectivity-probe"
        if site is None or device.device not in self.registry.devices:
            row["site"] = -1
            return
        row["site"] = self.site_number(site.site)
        self.members[row["site"]].append(number)
        limits = self._quality[site.uplinks[device.uplink - 1].link_type]
        row["loss"], row["rtt_ms"], row["dns_ms"] = limits

    def reports(self, sites: NDArray[np.int64], uplink: int) -> NDArray[np.bool_]:
        """bool[k]: whether any device reports through this uplink (0 or 1) of these sites."""
        reports: NDArray[np.bool_] = self._by_site()[0][sites, uplink]
        return reports

    def waits_ms(self) -> NDArray[np.int64]:
        """int64[sites]: shortest interval of the devices of each site."""
        return self._by_site()[1]

    def _by_site(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        if self._derived is None:
            here = self.rows[self.rows["site"] >= 0]
            reports = np.zeros((len(self.sites), UPLINKS), np.bool_)
            reports[here["site"], here["uplink"]] = True
            waits = np.full(len(self.sites), np.iinfo(np.int64).max // 2, np.int64)
            np.minimum.at(waits, here["site"], here["interval_ms"])
            self._derived = reports, waits
        return self._derived

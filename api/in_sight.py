"""The sites and devices that a limited caller sees, and what that leaves of an incident."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from storage.ledger.migrations import Ledger
from storage.ledger.registry import device_names, registry_version, site_names
from storage.ledger.sight import Sight

CHECK_S = 1.0  # how long a change of the registry may go unnoticed
MOST = 1000  # sights that are remembered
NARROW = ("site", "device")


class Seen(NamedTuple):
    """Ids of sites and devices."""

    sites: frozenset[str]
    devices: frozenset[str]


class InSight:
    """Remembers for each sight what it holds, until the registry changes."""

    def __init__(self) -> None:
        self._known: dict[Sight, tuple[float, int, Seen]] = {}

    def of(self, ledger: Ledger, sight: Sight) -> Seen | None:
        """What a sight holds; None: all. ledger: as it is seen by it."""
        if sight.is_whole:
            return None
        now_s = time.monotonic()
        checked_s, version, seen = self._known.get(sight, (float("-inf"), -1, None))
        if seen is not None and now_s - checked_s < CHECK_S:
            return seen
        current = registry_version(ledger)
        if seen is None or current != version:
            seen = Seen(site_names(ledger), device_names(ledger))
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[sight] = (now_s, current, seen)
        return seen


def part_of(incident: Mapping[str, Any], seen: Seen) -> dict[str, Any]:
    """The facts of an incident with the sites and devices that are seen.

    Its evidence speaks of all of them, so it stays only where all are seen. The id of a narrow
    scope that is not seen is empty.
    """
    sites = [site for site in incident["sites"] if site in seen.sites]
    devices = [device for device in incident["devices"] if device in seen.devices]
    is_whole = (sites, devices) == (list(incident["sites"]), list(incident["devices"]))
    part = {**incident, "sites": sites, "devices": devices}
    if not is_whole:
        part.update(evidence=[], evidence_lo=[])
    here = seen.sites if incident["scope_type"] == "site" else seen.devices
    if incident["scope_type"] in NARROW and incident["scope_id"] not in here:
        part["scope_id"] = ""
    return part

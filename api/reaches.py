"""What a window may be about: that there is such a thing, where it lies, and who may touch it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from api.callers import Caller
from api.problems import ProblemError, invalid, unknown
from detection.texts import RULES
from devices.geography import DISTRICTS, PROVINCES
from devices.registry import Registry
from storage.ledger.migrations import Ledger
from storage.ledger.registry import load_registry

NATIONAL = ("country", "provider", "rule")  # of which a second person must approve


class Place(NamedTuple):
    """The province and the agency in which something lies as a whole; None: in no single one."""

    province: str | None
    agency: str | None


def place_of(ledger: Ledger, reach: str, name: str) -> Place:
    """Where a site, a device, a district, ... lies; a 422 for one that there is not."""
    registry = load_registry(ledger)
    if reach == "country" and name:
        raise invalid("scope.id", "names nothing in a country", got=name, allowed='"" or nothing')
    known = _known(registry, reach)
    if known is not None and name not in known:
        if len(known) > MOST_NAMED:
            raise invalid("scope.id", "is unknown", got=name, allowed=f"the id of a {reach}")
        raise unknown("scope.id", name, known)
    if reach in ("site", "device"):
        site = registry.sites[name if reach == "site" else registry.devices[name].site]
        return Place(site.province, site.agency)
    if reach in ("province", "district"):
        return Place(name.partition("/")[0], None)
    return Place(None, name if reach == "agency" else None)


MOST_NAMED = 200  # that a problem lists


def check_may_reach(caller: Caller, reach: str, place: tuple[str | None, str | None]) -> None:
    """A 403 for who may not see all that a window would be about."""
    province, agency = place
    if caller.provinces is not None and province not in caller.provinces:
        raise ProblemError(403, f"the {reach} is not within your provinces")
    if caller.agencies is not None and agency not in caller.agencies:
        raise ProblemError(403, f"the {reach} is not within your agencies")


def _known(registry: Registry, reach: str) -> Collection[str] | None:
    sites = registry.sites.values()
    match reach:
        case "site":
            return registry.sites
        case "device":
            return registry.devices
        case "province":
            return PROVINCES
        case "district":
            return {f"{province}/{district}" for province, district in DISTRICTS}
        case "provider":
            return {uplink.provider for site in sites for uplink in site.uplinks}
        case "agency":
            return {site.agency for site in sites}
        case "feeder":
            return {site.feeder for site in sites if site.feeder}
        case "rule":
            return RULES
    return None

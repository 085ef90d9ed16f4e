"""Groups: what sites have in common that may fail for all of them at once."""

from __future__ import annotations

from typing import Literal, NamedTuple

from detection.incidents.causes import MOBILE, SATELLITE
from detection.incidents.changes import Scope, ScopeType
from devices.registry import Registry, Site

GroupType = Literal[
    "feeder", "provider", "district", "uplink", "link-provider", "link-province", "province",
    "ground-district", "ground-province", "platform",
]  # fmt: skip
# From the most to the least telling where two groups explain the same equally well.
ORDER: tuple[GroupType, ...] = (
    "feeder", "provider", "district", "uplink", "link-provider", "link-province", "province",
    "ground-district", "ground-province", "platform",
)  # fmt: skip
POWER: tuple[GroupType, ...] = ("feeder", "district", "province")
LINKS: tuple[GroupType, ...] = ("provider", "uplink", "link-provider", "link-province")
PLACES: tuple[GroupType, ...] = ("district", "province")
GROUND: tuple[GroupType, ...] = ("ground-district", "ground-province")
WHOLE_COUNTRY = "platform"


class Key(NamedTuple):
    """A group. id: of an uplink "provider|province", of links "link type|provider or province".

    The generations of mobile links are one type, "mobile". ground: what a cable that is cut may
    take in a district or province, all links but those by satellite.
    """

    type: GroupType
    id: str


class Groups:
    """The groups of a registry; every site that has a device is in those of its attributes.

    members: sites by group, of groups with at least two. different: how many of these sets of
    sites differ from each other. of_site: groups of a site. interval_ms: how often the fastest
    probe of a site reports; of any device where it has no probe. with_kind: sites with a device of
    a kind.
    """

    def __init__(self, registry: Registry) -> None:
        self.sites: dict[str, Site] = {}
        self.interval_ms: dict[str, int] = {}
        self.with_kind: dict[str, frozenset[str]] = {}
        self._uplinks: dict[str, set[int]] = {}
        self.members: dict[Key, frozenset[str]] = {}
        self.different = 0
        self.of_site: dict[str, tuple[Key, ...]] = {}
        self.links: dict[tuple[str, int], tuple[Key, ...]] = {}
        self._take_sites(registry)
        self._take_groups()

    def keys_of(self, site: str, uplink: int) -> tuple[Key, ...]:
        """The groups that may explain why a site (uplink 0) or one of its uplinks fails.

        A power feeder takes the whole site, so it does not explain one uplink of two.
        """
        keys = self.of_site.get(site, ())
        if not uplink or len(self.sites[site].uplinks) == 1:
            return keys
        others = set(self.links.get((site, 3 - uplink), ()))
        mine = set(self.links.get((site, uplink), ()))
        return tuple(k for k in keys if k.type != "feeder" and (k in mine or k not in others))

    def scope(self, key: Key) -> Scope:
        """The scope that is published for a group."""
        if key.type == "platform":
            return Scope("platform", WHOLE_COUNTRY)
        if key.type in ("uplink", "link-province"):
            return Scope("province", key.id.split("|")[1])
        if key.type == "link-provider":
            return Scope("provider", key.id.split("|")[1])
        kind: dict[str, ScopeType] = {
            "feeder": "feeder", "provider": "provider", "district": "district",
            "province": "province", "ground-district": "district", "ground-province": "province",
        }  # fmt: skip
        return Scope(kind[key.type], key.id)

    def link_type(self, site: str, uplink: int = 0) -> str:
        """Of an uplink (0: the first one); "" for a site that is not in the registry."""
        if site not in self.sites:
            return ""
        uplinks = self.sites[site].uplinks
        return uplinks[max(uplink, 1) - 1].link_type if uplink <= len(uplinks) else ""

    def _take_sites(self, registry: Registry) -> None:
        probes: dict[str, float] = {}
        others: dict[str, float] = {}
        kinds: dict[str, set[str]] = {}
        for device in registry.devices.values():
            kinds.setdefault(device.kind, set()).add(device.site)
            fastest = probes if device.kind == "connectivity-probe" else others
            known = fastest.get(device.site, device.interval_s)
            fastest[device.site] = min(known, device.interval_s)
            self._uplinks.setdefault(device.site, {1}).add(device.uplink)
        self.with_kind = {kind: frozenset(sites) for kind, sites in kinds.items()}
        for name in sorted(registry.sites):
            if name in probes or name in others:
                self.sites[name] = registry.sites[name]
                self.interval_ms[name] = round(1000 * probes.get(name, others.get(name, 0)))

    def _take_groups(self) -> None:
        found: dict[Key, set[str]] = {}
        for name, site in self.sites.items():
            keys = _place_keys(site)
            for uplink in sorted(self._uplinks[name]):
                self.links[name, uplink] = tuple(_link_keys(site, uplink))
                keys += self.links[name, uplink]
            self.of_site[name] = tuple(dict.fromkeys(keys))
            for key in keys:
                found.setdefault(key, set()).add(name)
        self.members = {key: frozenset(sites) for key, sites in found.items() if len(sites) > 1}
        self.different = len(set(self.members.values()))
        for name, keys_of_site in self.of_site.items():
            kept = sorted((k for k in keys_of_site if k in self.members), key=order)
            self.of_site[name] = tuple(kept)


def order(key: Key) -> tuple[int, str]:
    """For sorting: the most telling first."""
    return ORDER.index(key.type), key.id


def _place_keys(site: Site) -> list[Key]:
    keys = [
        Key("province", site.province),
        Key("district", f"{site.province}/{site.district}"),
        Key("platform", WHOLE_COUNTRY),
    ]
    return [*keys, Key("feeder", site.feeder)] if site.feeder else keys


def _link_keys(site: Site, uplink: int) -> list[Key]:
    link = site.uplinks[uplink - 1]
    network = "mobile" if link.link_type in MOBILE else link.link_type  # one core for all of them
    keys = [
        Key("provider", link.provider),
        Key("uplink", f"{link.provider}|{site.province}"),
        Key("link-provider", f"{network}|{link.provider}"),
        Key("link-province", f"{network}|{site.province}"),
    ]
    if link.link_type in SATELLITE:
        return keys
    district = Key("ground-district", f"{site.province}/{site.district}")
    return [*keys, district, Key("ground-province", site.province)]

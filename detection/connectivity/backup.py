"""Backup: whether a device says that it speaks over another way than its usual one."""

from __future__ import annotations

from collections.abc import Mapping

from devices.registry import Site

PRIMARY = frozenset(("1", "primary", "main", "uplink1", "uplink-1", "wan1"))
BACKUP = frozenset(("2", "backup", "secondary", "failover", "uplink2", "uplink-2", "wan2"))


def speaks_over_backup(attributes: Mapping[str, str], site: Site, uplink: int) -> bool | None:
    """What `link_active` and `provider` say; None where they say nothing that the site knows.

    uplink: 1 or 2, through which the registry has the device. A link type that is not the one of
    its uplink is another way, be it registered or not.
    """
    own = site.uplinks[uplink - 1]
    active = attributes.get("link_active", "").strip().lower().replace("_", "-")
    if active in PRIMARY:
        return uplink != 1
    if active in BACKUP:
        return uplink != 2
    providers = [one.provider.lower() for one in site.uplinks]
    provider = attributes.get("provider", "").strip().lower()
    if active:
        if active != own.link_type:
            return True
        if len(site.uplinks) == 1 or site.uplinks[0].link_type != site.uplinks[1].link_type:
            return False
    if provider in providers and len(set(providers)) > 1:
        return provider != own.provider.lower()
    return None

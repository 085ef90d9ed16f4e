"""The registry in the ledger."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, select, update

from devices.registry import Device, Problem, Registry, RegistryError, Site, Uplink
from storage.ledger.migrations import Ledger
from storage.ledger.schema import devices, meta, series, sites
from storage.ledger.upsert import upsert

IS_VERSION = meta.c.key == "registry_version"


def add_registry(ledger: Ledger, added: Registry) -> int:
    """Add sites and devices, or replace those of the same id: all of them or none.

    Returns the new version of the registry; a running ingest takes it up within a second. Raises
    RegistryError where what is registered would contradict what is added, or where a device that
    has reported would become another kind: its readings would change their meaning.
    """
    with ledger.begin() as connection:
        known = _load(connection)
        Registry({**known.sites, **added.sites}, {**known.devices, **added.devices})
        _refuse_other_kinds(connection, known, added)
        upsert(connection, sites, [_site_row(site) for site in added.sites.values()])
        upsert(connection, devices, [asdict(device) for device in added.devices.values()])
        return _raise_version(connection)


def add_device(connection: Connection, device: Device) -> int:
    """Add a device of a new id within a transaction; returns the new version of the registry.

    Raises RegistryError where anything of it is not valid, or the id is taken.
    """
    known = _load(connection)
    if device.device in known.devices:
        taken = (
            f"an id that is not taken; {device.device} is at {known.devices[device.device].site}"
        )
        raise RegistryError([Problem("", 0, "device", repr(device.device), taken)])
    Registry(known.sites, {device.device: device})
    upsert(connection, devices, [asdict(device)])
    return _raise_version(connection)


def _raise_version(connection: Connection) -> int:
    version = int(connection.execute(select(meta.c.value).where(IS_VERSION)).scalar_one()) + 1
    connection.execute(update(meta).where(IS_VERSION).values(value=str(version)))
    return version


def _refuse_other_kinds(connection: Connection, known: Registry, added: Registry) -> None:
    changed = [
        device
        for name, device in added.devices.items()
        if name in known.devices and known.devices[name].kind != device.kind
    ]
    if not changed:
        return
    reported = set(connection.execute(select(series.c.device).distinct()).scalars())
    problems = [
        Problem(
            "", 0, "kind", f"{device.kind!r} of {device.device}",
            f"{known.devices[device.device].kind}, as it has reported; another id for another kind",
        )
        for device in changed
        if device.device in reported
    ]  # fmt: skip
    if problems:
        raise RegistryError(problems)


def load_registry(ledger: Ledger) -> Registry:
    """Every site and device."""
    with ledger.read() as connection:
        return _load(connection)


def _load(connection: Connection) -> Registry:
    loaded = {}
    for row in connection.execute(select(sites)).mappings():
        facts = dict(row)
        facts["site_class"] = facts.pop("class")
        facts["uplinks"] = tuple(Uplink(**uplink) for uplink in facts["uplinks"])
        loaded[facts["site"]] = Site(**facts)
    device_rows = connection.execute(select(devices)).mappings()
    return Registry(loaded, {row["device"]: Device(**row) for row in device_rows})


def _site_row(site: Site) -> dict[str, Any]:
    row = asdict(site)
    row["class"] = row.pop("site_class")
    return row


def registry_version(ledger: Ledger) -> int:
    """Rises with every change of the registry."""
    with ledger.read() as connection:
        return int(connection.execute(select(meta.c.value).where(IS_VERSION)).scalar_one())


def site_names(ledger: Ledger) -> frozenset[str]:
    """The id of every site."""
    with ledger.read() as connection:
        return frozenset(connection.execute(select(sites.c.site)).scalars())


def device_names(ledger: Ledger) -> frozenset[str]:
    """The id of every device."""
    with ledger.read() as connection:
        return frozenset(connection.execute(select(devices.c.device)).scalars())

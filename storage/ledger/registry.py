"""The registry in the ledger."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import select, update

from devices.registry import Device, Registry, Site, Uplink
from storage.ledger.migrations import Ledger
from storage.ledger.schema import devices, meta, sites
from storage.ledger.upsert import upsert

IS_VERSION = meta.c.key == "registry_version"


def add_registry(ledger: Ledger, added: Registry) -> int:
    """Add sites and devices, or replace those of the same id: all of them or none.

    Returns the new version of the registry; a running ingest takes it up within a second.
    """
    site_rows = []
    for site in added.sites.values():
        row = asdict(site)
        row["class"] = row.pop("site_class")
        site_rows.append(row)
    with ledger.begin() as connection:
        upsert(connection, sites, site_rows)
        upsert(connection, devices, [asdict(device) for device in added.devices.values()])
        version = int(connection.execute(select(meta.c.value).where(IS_VERSION)).scalar_one()) + 1
        connection.execute(update(meta).where(IS_VERSION).values(value=str(version)))
    return version


def load_registry(ledger: Ledger) -> Registry:
    """Every site and device."""
    with ledger.read() as connection:
        site_rows = connection.execute(select(sites)).mappings().all()
        device_rows = connection.execute(select(devices)).mappings().all()
    loaded = {}
    for row in site_rows:
        facts = dict(row)
        facts["site_class"] = facts.pop("class")
        facts["uplinks"] = tuple(Uplink(**uplink) for uplink in facts["uplinks"])
        loaded[facts["site"]] = Site(**facts)
    return Registry(loaded, {row["device"]: Device(**row) for row in device_rows})


def registry_version(ledger: Ledger) -> int:
    """Rises with every change of the registry."""
    with ledger.read() as connection:
        return int(connection.execute(select(meta.c.value).where(IS_VERSION)).scalar_one())

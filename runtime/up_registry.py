"""What `govsense up` registers before it starts."""

from __future__ import annotations

from devices.registry import Device, Registry, Site, Uplink
from devices.registry_files import write_registry
from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger.registry import add_registry, load_registry

OWN_SITE, OWN_PROBE = "this-machine", "this-machine-probe"
SIMULATED = "simulated"  # directory of the registry files that the simulator reads


def register(settings: Settings, *, country: Registry | None, own_probe: bool) -> Registry:
    """Add the country to simulate and this machine's own probe; returns all that is registered.

    The country's files are left in the data directory.
    """
    ledger = open_ledger(settings)
    known = load_registry(ledger)
    sites, devices = dict(known.sites), dict(known.devices)
    if country is not None:
        write_registry(country, settings.data_dir / SIMULATED)
        sites.update(country.sites)
        devices.update(country.devices)
    if own_probe:
        sites[OWN_SITE], devices[OWN_PROBE] = _this_machine()
    registry = Registry(sites, devices)
    if registry != known:
        add_registry(ledger, registry)
    ledger.close()
    return registry


def _this_machine() -> tuple[Site, Device]:
    site = Site(
        site=OWN_SITE,
        name_en="This machine",
        name_lo="ເຄື່ອງນີ້",
        site_class="office",
        province="LA-VT",
        district="chanthabuly",
        lat=None,
        lon=None,
        agency="govsense",
        uplinks=(Uplink("unknown", "fibre", None, None),),
        feeder="",
        priority="normal",
    )
    return site, Device(OWN_PROBE, OWN_SITE, "connectivity-probe", 10.0, 1, {})

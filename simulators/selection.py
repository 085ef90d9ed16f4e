"""Makes a registry fit for a run: fewer devices, other intervals."""

from __future__ import annotations

from dataclasses import replace

from devices.registry import Registry
from simulators.world.chance import stream


def limited(registry: Registry, count: int, *, seed: int) -> Registry:
    """At most `count` devices, drawn by the seed, of every kind as evenly as there are."""
    kinds: dict[str, list[str]] = {}
    for name in sorted(registry.devices):
        kinds.setdefault(registry.devices[name].kind, []).append(name)
    for kind, names in kinds.items():
        stream(seed, "limit", kind).shuffle(names)
    chosen: list[str] = []
    while len(chosen) < count and any(kinds.values()):
        for names in kinds.values():
            if names and len(chosen) < count:
                chosen.append(names.pop())
    return Registry(registry.sites, {name: registry.devices[name] for name in sorted(chosen)})


def at_interval(registry: Registry, interval_s: float) -> Registry:
    """The same devices, all with one reporting interval."""
    devices = {
        name: replace(device, interval_s=interval_s) for name, device in registry.devices.items()
    }
    return Registry(registry.sites, devices)

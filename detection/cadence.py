"""Cadence: a device that says that it reports less often than the registry has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from detection.findings import Finding, Phase
from detection.quality_devices import DeviceEpisodes
from devices.catalogue import Catalogue
from devices.registry import Registry

LONGER = 1.5  # times the registry's interval, from which on the device's word differs from it
MOST_S = 3600.0  # an interval that a device is believed at most: its word must not hide its death


@dataclass(slots=True)
class Said:
    """What a device says of its interval, and when it first did."""

    interval_s: float
    onset_ms: int


class Cadence:
    """What devices say of their intervals, where that is much longer than what is registered.

    Such a device is waited for as long as it says, or it would be called silent between its
    rounds; that the two differ is told (rule interval) until they agree.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.episodes = DeviceEpisodes(catalogue, "interval", Said)

    def hear(
        self, device: int, interval_s: float, registered_s: float, at_ms: int
    ) -> Iterator[Finding]:
        """Findings on a device's word of its interval."""
        opened = self.episodes.open
        held = opened.get(device)
        if interval_s >= LONGER * registered_s:
            if held:
                held.interval_s = interval_s
                return
            opened[device] = Said(interval_s, at_ms)
            yield self._finding(device, opened[device], registered_s, at_ms, "firing")
        elif held:
            del opened[device]
            yield self._finding(device, held, registered_s, at_ms, "clear")

    def follow(self, registry: Registry, now_ms: int) -> Iterator[Finding]:
        """Findings on a registry that has changed: what agrees with it by now."""
        for number, said in list(self.episodes.open.items()):
            device = registry.devices.get(self._catalogue.devices[number].device)
            if device is not None:
                yield from self.hear(number, said.interval_s, device.interval_s, now_ms)

    def applied(self, registry: Registry) -> Registry:
        """The registry with the intervals that devices are waited for."""
        devices = dict(registry.devices)
        for number in self.episodes.open:
            device = devices.get(self._catalogue.devices[number].device)
            if device is not None:
                waited_s = self.waited_s(number, device.interval_s)
                devices[device.device] = replace(device, interval_s=waited_s)
        return Registry(registry.sites, devices)

    def waited_s(self, device: int, registered_s: float) -> float:
        """The interval in seconds that it is waited for."""
        said = self.episodes.open.get(device)
        return max(registered_s, min(said.interval_s, MOST_S)) if said else registered_s

    def _finding(
        self, device: int, said: Said, registered_s: float, at_ms: int, phase: Phase
    ) -> Finding:
        facts = {"said_s": said.interval_s, "interval_s": registered_s}
        return self.episodes.finding(device, phase, said.onset_ms, at_ms, **facts)

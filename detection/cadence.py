"""Cadence: a device that says that it reports less often than the registry has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from detection.findings import Finding, Phase
from devices.registry import Device, Registry

LONGER = 1.5  # times the registry's interval, from which on the device's word differs from it
MOST_S = 3600.0  # an interval that a device is believed at most: its word must not hide its death


class Cadence:
    """What devices say of their intervals, where that is much longer than what is registered.

    Such a device is waited for as long as it says, or it would be called silent between its
    rounds; that the two differ is told (rule interval) until they agree.
    said: the interval in seconds and receive time of the first such word, by device.
    """

    def __init__(self) -> None:
        self.said: dict[str, tuple[float, int]] = {}

    def hear(self, device: Device, interval_s: float, received_ms: int) -> Iterator[Finding]:
        """Findings on a birth. device: as it is registered."""
        known = self.said.get(device.device)
        if interval_s >= LONGER * device.interval_s:
            since_ms = known[1] if known else received_ms
            self.said[device.device] = (interval_s, since_ms)
            if not known:
                yield self._finding(device, interval_s, since_ms, received_ms, "firing")
        elif known:
            del self.said[device.device]
            yield self._finding(device, *known, received_ms, "clear")

    def follow(self, registry: Registry, now_ms: int) -> Iterator[Finding]:
        """Findings on a registry that has changed: what agrees with it by now."""
        for name, (interval_s, _) in list(self.said.items()):
            if name in registry.devices:
                yield from self.hear(registry.devices[name], interval_s, now_ms)

    def applied(self, registry: Registry) -> Registry:
        """The registry with the intervals that devices are waited for."""
        if not self.said:
            return registry
        devices = dict(registry.devices)
        for name, (interval_s, _) in self.said.items():
            if name in devices:
                longer_s = max(devices[name].interval_s, min(interval_s, MOST_S))
                devices[name] = replace(devices[name], interval_s=longer_s)
        return Registry(registry.sites, devices)

    def _finding(
        self, device: Device, interval_s: float, since_ms: int, at_ms: int, phase: Phase
    ) -> Finding:
        return Finding(
            device=device.device,
            metric="",
            rule="interval",
            phase=phase,
            nature="data_quality",
            severity="warning",
            onset_ms=since_ms,
            at_ms=at_ms,
            value=None,
            expected=None,
            facts={"kind": device.kind, "said_s": interval_s, "interval_s": device.interval_s},
        )

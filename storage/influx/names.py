"""What series numbers stand for, from the ledger."""

from __future__ import annotations

import time

from storage.influx.lines import SeriesName
from storage.ledger.migrations import Ledger
from storage.ledger.registry import load_registry, registry_version
from storage.ledger.series import load_series

LOOK_EVERY_S = 1.0


class Names:
    """Series number to its name, at most a second behind a change of the registry."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._names: dict[int, SeriesName] = {}
        self._version = -1
        self._look_at = 0.0

    def __call__(self, number: int) -> SeriesName:
        """The name of a series whose number is committed. Raises KeyError for any other."""
        if number not in self._names or self._has_changed():
            self._load()
        return self._names[number]

    def _has_changed(self) -> bool:
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_EVERY_S
        return registry_version(self._ledger) != self._version

    def _load(self) -> None:
        self._version = registry_version(self._ledger)
        registry = load_registry(self._ledger)
        self._names = {
            number: SeriesName(
                kind=device.kind,
                metric=metric,
                province=registry.sites[device.site].province,
                site=device.site,
                device=device.device,
                interval_ms=round(device.interval_s * 1000),
            )
            for number, name, metric in load_series(self._ledger)
            if (device := registry.devices.get(name))
        }

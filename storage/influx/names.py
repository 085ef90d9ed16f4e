"""What series numbers stand for, from the ledger."""

from __future__ import annotations

from storage.influx.lines import SeriesName
from storage.ledger.migrations import Ledger
from storage.ledger.registry import load_registry
from storage.ledger.series import load_series


class Names:
    """Series number to its name. What is unknown, or forgotten, is read from the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._names: dict[int, SeriesName] = {}

    def __call__(self, number: int) -> SeriesName:
        """The name of a series whose number is committed. Raises KeyError for any other."""
        if number not in self._names:
            self.reload()
        return self._names[number]

    def reload(self) -> None:
        """Read all names again: the registry has changed, or a series is new."""
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

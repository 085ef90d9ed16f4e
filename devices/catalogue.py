"""The catalogue: a dense number for every (device, metric) that has ever reported."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.kinds import Metric
from devices.registry import Device

GROWTH = 1024  # slots added at a time, so that adding a series is amortised O(1)


class Series(NamedTuple):
    """One series: what one device says of one metric."""

    device: Device
    metric: Metric


class Catalogue:
    """Series numbers 0, 1, 2, ... in order of first sight, with their facts as columns.

    The ledger keeps the numbers, so that they are the same after a restart: a caller commits
    `added` before it writes a reading under a new number.
    """

    def __init__(self) -> None:
        self._series: list[Series] = []
        self._numbers: dict[str, dict[str, int]] = {}
        self._device_numbers: dict[str, int] = {}
        self._devices: list[Device] = []
        self._metric_row = np.zeros(GROWTH, np.int16)
        self._device_number = np.zeros(GROWTH, np.int32)
        self._hard_min = np.zeros(GROWTH)
        self._hard_max = np.zeros(GROWTH)
        self._interval_ms = np.zeros(GROWTH, np.int64)

    def __len__(self) -> int:
        return len(self._series)

    def __getitem__(self, number: int) -> Series:
        return self._series[number]

    def find(self, device: str, metric: str) -> int | None:
        """The number of a series, None when it has not been seen yet."""
        return self._numbers.get(device, {}).get(metric)

    def numbers_of(self, device: str) -> dict[str, int]:
        """Metric name to number of a device's series; the catalogue keeps it up to date."""
        return self._numbers.setdefault(device, {})

    def device_number_of(self, device: str) -> int | None:
        """Index of a device in `devices`, None while neither it nor a series of it was added."""
        return self._device_numbers.get(device)

    def add(self, device: Device, metric: Metric) -> int:
        """The number of a series, a new one (the next) when it has none yet."""
        numbers = self.numbers_of(device.device)
        number = numbers.get(metric.name)
        if number is not None:
            return number
        number = numbers[metric.name] = len(self._series)
        self._series.append(Series(device, metric))
        device_number = self.add_device(device)
        if number >= len(self._metric_row):
            self._grow()
        self._metric_row[number] = metric.row
        self._device_number[number] = device_number
        self._set_facts(number, device, metric)
        return number

    def add_device(self, device: Device) -> int:
        """The number of a device, the next one when it has none yet."""
        number = self._device_numbers.setdefault(device.device, len(self._devices))
        if number == len(self._devices):
            self._devices.append(device)
        return number

    def added(self, since: int) -> list[tuple[int, str, str]]:
        """(number, device, metric) of every series numbered `since` or later."""
        return [
            (n, self._series[n].device.device, self._series[n].metric.name)
            for n in range(since, len(self._series))
        ]

    def replace_device(self, device: Device) -> None:
        """Take a device's new facts (interval, params) after the registry has changed."""
        number = self._device_numbers.get(device.device)
        if number is None:
            return
        self._devices[number] = device
        for n in np.flatnonzero(self.device_number == number):
            metric = self._series[n].metric
            self._series[n] = Series(device, metric)
            self._set_facts(int(n), device, metric)

    @property
    def devices(self) -> list[Device]:
        """Devices by device number, in the order in which they were added."""
        return self._devices

    @property
    def metric_row(self) -> NDArray[np.int16]:
        """int16[n]: row of each series' metric in devices.kinds.METRICS."""
        return self._metric_row[: len(self)]

    @property
    def device_number(self) -> NDArray[np.int32]:
        """int32[n]: index of each series' device in `devices`."""
        return self._device_number[: len(self)]

    @property
    def hard_min(self) -> NDArray[np.float64]:
        """float64[n]: lowest possible value, in the metric's unit."""
        return self._hard_min[: len(self)]

    @property
    def hard_max(self) -> NDArray[np.float64]:
        """float64[n]: highest possible value; a tank's own height where its params give one."""
        return self._hard_max[: len(self)]

    @property
    def interval_ms(self) -> NDArray[np.int64]:
        """int64[n]: reporting interval of each series' device, milliseconds."""
        return self._interval_ms[: len(self)]

    def _set_facts(self, number: int, device: Device, metric: Metric) -> None:
        low, high = metric.hard_range(device.params)
        self._hard_min[number] = low
        self._hard_max[number] = high
        self._interval_ms[number] = round(device.interval_s * 1000)

    def _grow(self) -> None:
        for name in ("_metric_row", "_device_number", "_hard_min", "_hard_max", "_interval_ms"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(len(column), column.dtype)]))

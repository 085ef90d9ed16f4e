"""What is wrong with devices as a whole: few at a time, so their episodes are kept one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from detection.findings import Finding, Phase
from devices.catalogue import Catalogue

T = TypeVar("T")  # of an episode: a dataclass with slots


class DeviceEpisodes(Generic[T]):
    """The open episodes of a rule, by device number. made: an episode of its fields in order."""

    def __init__(self, catalogue: Catalogue, rule: str, made: Callable[..., T]) -> None:
        self._catalogue = catalogue
        self._rule = rule
        self._made = made
        self.open: dict[int, T] = {}

    def of(self, device: NDArray[np.int32]) -> NDArray[np.bool_]:
        """bool[n]: whether these devices have one."""
        if not self.open:
            return np.zeros(len(device), np.bool_)
        return np.isin(device, np.fromiter(self.open, np.int32, len(self.open)))

    def state(self) -> list[tuple[str, list[Any]]]:
        """(device, fields) of every episode, in order of names."""
        return sorted(
            (self._catalogue.devices[d].device, [getattr(one, f) for f in one.__slots__])  # type: ignore[attr-defined]
            for d, one in self.open.items()
        )

    def restore(self, state: list[tuple[str, list[Any]]]) -> None:
        """Hold exactly these, but for devices that are not known any more."""
        numbered = ((self._catalogue.device_number_of(name), fields) for name, fields in state)
        self.open = {d: self._made(*fields) for d, fields in numbered if d is not None}

    def finding(
        self, device: int, phase: Phase, onset_ms: int, at_ms: int, **facts: float | int | str
    ) -> Finding:
        """A warning that the device's data is not to be trusted."""
        known = self._catalogue.devices[device]
        return Finding(
            device=known.device,
            metric="",
            rule=self._rule,
            phase=phase,
            nature="data_quality",
            severity="warning",
            onset_ms=onset_ms,
            at_ms=at_ms,
            value=None,
            expected=None,
            facts={"kind": known.kind, **facts},
        )

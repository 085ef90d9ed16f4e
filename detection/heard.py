"""What a batch brought, for everything that detects: readings, rounds and what devices said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings


@dataclass(frozen=True, slots=True)
class Rounds:
    """r rounds as columns, in order of arrival.

    device: int32[r], number in the catalogue's `devices`. at_ms: int64[r], event time.
    received_ms: int64[r], receive time. late: bool[r], beyond its device's lateness bound.
    boot: r names of the device's run, None where it does not say. seq: int64[r], -1 where the
    device does not count. uptime_s: float64[r], of the message, NaN where it does not say.
    attributes: by place in these columns, of the rounds that have any (link_active, provider, ...).
    """

    device: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    received_ms: NDArray[np.int64]
    late: NDArray[np.bool_]
    boot: list[str | None]
    seq: NDArray[np.int64]
    uptime_s: NDArray[np.float64]
    attributes: dict[int, dict[str, str]]

    def __len__(self) -> int:
        return len(self.device)


class StatusHeard(NamedTuple):
    """A birth or a Last Will. at_ms: event time where it says one."""

    device: int  # number in the catalogue's `devices`
    online: bool
    boot: str | None
    at_ms: int | None
    received_ms: int
    uptime_s: float | None
    interval_s: float | None = None


class RefusedRound(NamedTuple):
    """A round that was refused whole: it says nothing, but its device was in touch."""

    device: int  # number in the catalogue's `devices`
    at_ms: int | None  # the event time that was refused; None where nothing could be read
    received_ms: int


@dataclass(frozen=True, slots=True)
class Heard:
    """One batch, in order of arrival.

    live: bool[n], the readings that are not late. round_of: int32[n], place in `rounds` of each
    reading, never falling. impossible: refused as outside the hard range, of rounds that are not
    late; impossible_round: the place of each in `rounds`.
    """

    readings: Readings
    live: NDArray[np.bool_]
    round_of: NDArray[np.int32]
    rounds: Rounds
    statuses: list[StatusHeard]
    refused_rounds: list[RefusedRound] = field(default_factory=list)
    impossible: Readings = field(default_factory=lambda: Readings.of([], [], [], []))
    impossible_round: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

"""What ingest and the API ask of a series store, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings
from storage.series.batches import Applied
from storage.series.retention import Retention
from storage.series.roll_ups import Bucket
from storage.series.sqlite import Row


class SeriesStore(Protocol):
    """SqliteSeries documents the questions; tests/influx/test_contract.py asks every store."""

    def close(self) -> None: ...

    def write(self, readings: Readings, *, first: int, last: int) -> NDArray[np.bool_]: ...

    def applied(self) -> Applied | None: ...

    def highest(self) -> int: ...

    def forget_names(self) -> None: ...

    def latest(self, numbers: Iterable[int]) -> dict[int, tuple[int, float]]: ...

    def rows(
        self,
        numbers: Iterable[int],
        from_ms: int,
        to_ms: int,
        *,
        limit: int,
        after: tuple[int, int] | None = None,
    ) -> list[Row]: ...

    def edges(
        self, numbers: Iterable[int], from_ms: int, to_ms: int
    ) -> dict[int, tuple[Row, Row]]: ...

    def buckets(
        self,
        numbers: Iterable[int],
        from_ms: int,
        to_ms: int,
        *,
        bucket_ms: int,
        interval_ms: int,
        p95: bool = False,
    ) -> list[Bucket]: ...

    def roll_up(self, now_ms: int, *, budget_s: float) -> int: ...

    def retain(self, now_ms: int, retention: Retention, *, budget_s: float) -> int: ...

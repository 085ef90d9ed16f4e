"""Silence while the machine's clock is set: a clock that was wrong once does not blind us."""

from __future__ import annotations

import time
from pathlib import Path

from storage.ledger.alerts import open_alerts
from tests.ingest.stores import T0_MS, Stores, drain, rounds

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def test_silence_is_found_after_the_clock_was_set_back(tmp_path: Path) -> None:
    """A clock that was a day ahead and is set right costs one timeout, not a day."""
    stores = Stores(tmp_path)
    processor = stores.processor()
    stores.now_ms = T0_MS + DAY_MS
    _look(stores)
    processor.step()
    early = [entry._replace(received_ms=stores.now_ms) for entry in rounds(0, 5)]
    stores.arrive(early)
    drain(processor)
    processor.step()
    for at_ms in range(T0_MS, T0_MS + HOUR_MS, 10_000):
        stores.now_ms = at_ms
        _look(stores)
        processor.step()
    assert [(alert.device, alert.rule) for alert in open_alerts(stores.ledger)] == [
        ("p0", "silence")
    ]


def _look(stores: Stores) -> None:
    """The receiver is connected, all the time by the same connection."""
    stores.writer.head.beat(connection=1, monotonic_ns=time.monotonic_ns())

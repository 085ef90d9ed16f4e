"""From messages to incidents and bins in the ledger, through the processor and its restarts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ingest.journal import Entry
from ingest.processor import Processor
from storage.ledger import bins, events, incidents
from storage.ledger.alerts import AlertFilter, list_alerts
from tests.ingest.stores import T0_MS, Stores, drain
from tests.path.platform import reading

MINUTE_MS = 60_000
DEVICES = ("p0", "p1", "p2")


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


def play(stores: Stores, processor: Processor, first: int, last: int, *, heard: bool) -> None:
    """Minutes of the office: its probes report, or nobody does."""
    for at_ms in range(T0_MS + first * MINUTE_MS, T0_MS + last * MINUTE_MS, 10_000):
        stores.now_ms = at_ms + 500
        stores.writer.head.beat(connection=1, monotonic_ns=time.monotonic_ns())
        n = (at_ms - T0_MS) // MINUTE_MS
        if heard and at_ms % MINUTE_MS == T0_MS % MINUTE_MS:
            said = reading(at_ms, n, nat_rtt_p50_ms=20.0 + n % 7, nat_loss_pct=0.0, dns_ms=9.0)
            topics = [f"gov/v1/LA-LP/{device}/telemetry" for device in DEVICES]
            stores.arrive([Entry(at_ms + 100, topic, said) for topic in topics])
        drain(processor)
        processor.step()


def test_an_office_that_falls_silent_is_one_incident(stores: Stores) -> None:
    """Its alerts hang below it, its bins say DOWN, and all of it ends when it is back."""
    processor = stores.processor()
    play(stores, processor, 0, 20, heard=True)
    play(stores, processor, 20, 60, heard=False)
    [row] = incidents.open_incidents(stores.ledger)
    assert (row.scope_type, row.scope_id, row.sites) == ("site", "office", ["office"])
    assert abs(row.started_ms - (T0_MS + 19 * MINUTE_MS)) <= 2 * MINUTE_MS
    alerts = list_alerts(stores.ledger, AlertFilter(state="firing"), limit=99)
    assert {alert.device for alert in alerts} >= set(DEVICES)
    assert {alert.incident for alert in alerts} == {row.incident}
    found = bins.bins_of(stores.ledger, "office", T0_MS + 25 * MINUTE_MS, T0_MS + 50 * MINUTE_MS)
    assert {one.state for one in found} == {"DOWN"}
    play(stores, processor, 60, 130, heard=True)
    assert incidents.open_incidents(stores.ledger) == []
    told = [e.data["state"] for e in events.since(stores.ledger, 0, 999) if e.type == "incident"]
    assert (told[0], told[-1]) == ("open", "resolved")


def test_detectors_that_start_afresh_leave_nothing_open(stores: Stores) -> None:
    """Where kept state cannot be used, what was open is ended; what still holds opens anew."""
    processor = stores.processor()
    play(stores, processor, 0, 20, heard=True)
    play(stores, processor, 20, 60, heard=False)
    [before] = incidents.open_incidents(stores.ledger)
    with stores.ledger.begin() as connection:
        connection.exec_driver_sql("UPDATE snapshots SET state = x'00'")
    stores.processor()
    assert incidents.open_incidents(stores.ledger) == []
    ended = incidents.get_incident(stores.ledger, before.incident)
    assert ended is not None
    assert ended.state == "resolved"

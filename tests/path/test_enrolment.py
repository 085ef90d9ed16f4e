"""An unregistered device through the real processes: pending, accepted, and nothing is lost."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from tests.path.platform import one_office, reading, running
from tests.project.broker import Client, wait_for

pytestmark = pytest.mark.mosquitto
TOPIC = "gov/v1/LA-LP/newcomer"
BIRTH = b'{"v":1,"state":"online","kind":"connectivity-probe","boot":"b1","interval_s":60}'


def test_what_a_pending_device_sent_is_stored_exactly_once(tmp_path: Path) -> None:
    """Published unregistered, seen as pending, accepted while it goes on publishing."""
    with (
        running(tmp_path, one_office()) as platform,
        platform.client as api,
        Client().connected(platform.port) as client,
    ):
        base = time.time_ns() // 1_000_000
        sent = 0

        def publish(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                at_ms = base - 100_000 + sent
                client.publish(f"{TOPIC}/telemetry", reading(at_ms, seq=sent, dns_ms=float(sent)))
                sent += 1

        client.publish(f"{TOPIC}/status", BIRTH, retain=True)
        publish(20)
        wait_for(lambda: [one.messages for one in api.enrolment()] == [21], "all is held")
        pending = api.newcomer("newcomer")
        assert pending.said.kind == "connectivity-probe"
        assert pending.metrics == ["dns_ms"]

        enough = threading.Event()

        def go_on() -> None:
            while not enough.wait(0.01):
                publish(1)

        publisher = threading.Thread(target=go_on)
        publisher.start()
        try:
            api.accept("newcomer", site="office", kind="connectivity-probe", interval_s=60)
            wait_for(lambda: api.stats().readings_stored >= 20, "what was held is stored")
        finally:
            enough.set()
            publisher.join()
        wait_for(lambda: api.stats().readings_stored == sent, "all is stored")
        assert list(api.enrolment()) == []
        assert list(api.quarantine(device="newcomer", state="held")) == []
        counts = platform.metrics()
        assert counts["govsense_messages_quarantined_total"] == 0
        assert api.device("newcomer").state == "online"
        platform.stop("ingest")
        with sqlite3.connect(tmp_path / "series.db") as series:
            assert series.execute("SELECT count(*) FROM raw").fetchone() == (sent,)

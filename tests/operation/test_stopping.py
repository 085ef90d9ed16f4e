"""SIGTERM under load: out within 10 s, nothing lost, and nothing that was committed comes again."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from ingest.journal import JournalReader
from tests.influx.influxd import Influxd
from tests.operation.load import Load, stored
from tests.path.platform import one_office, running
from tests.project.broker import Client, wait_for

pytestmark = pytest.mark.mosquitto
STOP_WITHIN_S = 10.0
BURST = 3000  # more than the broker sends before an acknowledgement


def test_what_was_acknowledged_stays_and_nothing_committed_is_delivered_again(
    tmp_path: Path,
) -> None:
    """Two stops under 1,000 messages/s, each with a full window of the broker underway."""
    with (
        running(tmp_path, one_office(), "broker", "ingest") as platform,
        Client().connected(platform.port) as client,
    ):
        wait_for(lambda: "connected to the broker" in platform.log("ingest"), "ingest is there", 30)
        load = Load(client, rate_hz=1000)
        journal = JournalReader(tmp_path / "journal", 0)
        with load.running():
            for _ in range(2):
                before = journal.head.position
                wait_for(lambda at=before: journal.head.position > at + 500, "it receives", 30)  # type: ignore[misc]
                client.publish_burst("gov/v1/LA-LP/nobody/telemetry", BURST)
                began = time.monotonic()
                code = platform.stop("ingest")
                assert (code, time.monotonic() - began < STOP_WITHIN_S) == (0, True)
                platform.start("ingest")
        journal.close()
        platform.start("api")
        expected = load.published + 2 * BURST
        wait_for(
            lambda: platform.metrics()["govsense_messages_received_total"] >= expected,
            "all is received",
            60,
        )
        wait_for(lambda: platform.metrics()["govsense_messages_pending"] == 0, "processed", 30)
        counts = platform.metrics()
        assert counts["govsense_messages_received_total"] == expected  # nothing came twice
        assert counts["govsense_messages_duplicate_total"] == 0
        platform.stop("ingest")
        assert stored(tmp_path / "series.db", load) == list(range(load.published))


@pytest.mark.influx
def test_a_database_that_does_not_answer_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    """A drainer that waits for an answer is killed: what it was sending stays in the spool."""
    influxd = Influxd(tmp_path / "influxd")
    influxd.start()
    environment = {"GOVSENSE_STORAGE__SERIES": "influxdb", "GOVSENSE_INFLUX__URL": influxd.url}
    try:
        with (
            running(tmp_path / "data", one_office(), "broker", **environment) as platform,
            Client().connected(platform.port) as client,
        ):
            assert platform.run("influx", "init").returncode == 0
            platform.start("ingest", "api")
            assert influxd.process is not None
            influxd.process.send_signal(19)  # SIGSTOP: it takes connections and says nothing
            load = Load(client, rate_hz=1000)
            load.publish(100)
            client.wait_published()
            wait_for(lambda: platform.get("/stats")["readings_stored"] == 100, "it is spooled", 30)
            began = time.monotonic()
            try:
                code = platform.stop("ingest")
            except subprocess.TimeoutExpired:
                pytest.fail(f"it does not stop: {platform.log('ingest')}")
            assert (code, time.monotonic() - began < STOP_WITHIN_S) == (0, True)
    finally:
        influxd.stop()

"""InfluxDB on a full disk: everything waits, no line is given up, all arrives after its restart."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from storage.ledger import stats
from storage.ledger.migrations import open_ledger
from tests.faults.guarantees import size
from tests.faults.small_disk import small_disk
from tests.influx.influxd import Influxd
from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import Client, wait_for

pytestmark = [pytest.mark.influx, pytest.mark.mosquitto, pytest.mark.guarantee]

P0, P1 = "gov/v1/LA-LP/p0/telemetry", "gov/v1/LA-LP/p1/backfill"
SHARD_MS = 14 * 86_400_000  # readings this far apart are in different shards


def test_a_full_disk_under_influxdb(tmp_path: Path) -> None:
    """1.6.7 answers 500 for a shard until it is restarted, while another one takes lines.

    Not a line may be taken for the cause. The alert comes after a minute: in the long run only.
    """
    base_ms = time.time_ns() // 1_000_000 - 600_000
    with small_disk(tmp_path / "influxd", mib=48) as disk:
        influxd = Influxd(disk.path)
        influxd.start()
        environment = {
            "GOVSENSE_STORAGE__SERIES": "influxdb",
            "GOVSENSE_INFLUX__URL": influxd.url,
        }
        try:
            with running(tmp_path / "data", one_office(), "broker", **environment) as platform:
                made = platform.run("influx", "init")
                assert made.returncode == 0, made.stderr
                platform.start("ingest", "api")
                with Client().connected(platform.port) as client:
                    send(client, P0, base_ms, range(50))
                    wait_for(lambda: count(platform, "p0") == 50, "the first are in InfluxDB", 30)
                    disk.fill()
                    send(client, P0, base_ms, range(50, 100))
                    wait_for(lambda: drainer(platform)["state"] == "waiting", "it waits", 30)
                    assert "no space left" in drainer(platform)["problem"]
                    for _ in range(size(quick=0, long=1)):
                        wait_for(lambda: is_told(platform), "the alert", 90)
                    disk.free()
                    send(client, P1, base_ms - SHARD_MS, range(50))
                wait_for(lambda: platform.get("/stats")["messages_stored"] == 150, "all taken", 30)
                influxd.stop()
                influxd.start()
                wait_for(lambda: count(platform, "p0") == 100, "live ones have arrived", 90)
                wait_for(lambda: count(platform, "p1") == 50, "the others too", 90)
                assert drainer(platform)["lines_refused"] == 0
        finally:
            influxd.stop()


def send(client: Client, topic: str, base_ms: int, numbers: range) -> None:
    for n in numbers:
        client.publish_soon(topic, reading(base_ms + n * 1000, n, dns_ms=float(n)))
    client.wait_published()


def drainer(platform: Platform) -> dict[str, Any]:
    """What the drainer said last."""
    ledger = open_ledger(f"sqlite:///{platform.data / 'ledger.db'}")
    beat = stats.read(ledger).get("drainer")
    ledger.close()
    return beat.data if beat else {"state": ""}


def is_told(platform: Platform) -> bool:
    return [
        (alert["rule"], alert["state"]) for alert in platform.items("/alerts", device="@platform")
    ] == [("sink-away", "firing")]


def count(platform: Platform, device: str) -> int:
    """How many readings InfluxDB holds of a device."""
    span = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    return len(platform.items(f"/devices/{device}/telemetry", metric="dns_ms", **span))

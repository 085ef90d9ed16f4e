"""The path of a message with InfluxDB behind it: read back, and nothing lost while it is away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.influx.influxd import Influxd
from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import Client, wait_for

pytestmark = [pytest.mark.influx, pytest.mark.mosquitto]
TOPIC = "gov/v1/LA-LP/p0/telemetry"


def test_telemetry_goes_to_influxdb_and_waits_while_it_is_away(tmp_path: Path) -> None:
    """With InfluxDB killed, intake and latest readings go on; when it is back, all is there."""
    influxd = Influxd(tmp_path / "influxd")
    influxd.start()
    environment = {
        "GOVSENSE_STORAGE__SERIES": "influxdb",
        "GOVSENSE_INFLUX__URL": influxd.url,
    }
    base_ms = time.time_ns() // 1_000_000 - 60_000
    try:
        with running(tmp_path / "data", one_office(), "broker", **environment) as platform:
            made = platform.run("influx", "init")
            assert made.returncode == 0, made.stderr
            platform.start("ingest", "api")
            with Client().connected(platform.port) as client:
                for n in range(30):
                    if n == 10:
                        influxd.stop()
                    client.publish(TOPIC, reading(base_ms + n * 1000, seq=n, dns_ms=float(n)))
            wait_for(lambda: latest(platform) == [29.0], "the latest is known without InfluxDB")
            influxd.start()
            wait_for(
                lambda: values(platform) == [float(n) for n in range(30)],
                f"all is there: {platform.log('ingest')}",
                60,
            )
    finally:
        influxd.stop()


def latest(platform: Platform) -> list[float]:
    return [row["value"] for row in platform.get("/devices/p0/latest")["readings"]]


def values(platform: Platform) -> list[float]:
    rows = platform.items(
        "/devices/p0/telemetry",
        metric="dns_ms",
        **{"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"},
    )
    return [row["value"] for row in rows]

"""Receipts and requests to send again, through the real processes and a real broker."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.path.platform import Platform, one_office, running
from tests.project.broker import Client, wait_for

pytestmark = pytest.mark.mosquitto
START_MS = 1_791_158_400_000
SPEED = 60


class Device:
    """A probe that numbers its rounds and listens to what it is told."""

    def __init__(self, platform: Platform, client: Client, origin_ms: int) -> None:
        self._platform = platform
        self._client = client
        self._origin_ms = origin_ms
        client.subscribe("gov/v1/LA-LP/p0/receipt", "gov/v1/LA-LP/p0/resend")

    def send(self, *numbers: int) -> None:
        for number in numbers:
            passed_ms = (time.time_ns() // 1_000_000 - self._origin_ms) * SPEED
            said = {"v": 1, "boot": "b1", "seq": number, "ts": START_MS + passed_ms + number,
                    "m": {"dns_ms": 1.0}}  # fmt: skip
            self._client.publish("gov/v1/LA-LP/p0/telemetry", json.dumps(said).encode())

    def told(self, channel: str) -> list[Any]:
        return [json.loads(p) for t, p in self._client.received if t.endswith(channel)]


def test_a_device_gets_receipts_and_is_asked_for_what_is_missing(tmp_path: Path) -> None:
    """Receipts are cumulative, survive a kill of ingest, and never pass what has not come."""
    origin_ms = time.time_ns() // 1_000_000
    clock = {
        "GOVSENSE_CLOCK__START": "2026-10-05T00:00:00Z",
        "GOVSENSE_CLOCK__SPEED": str(SPEED),
        "GOVSENSE_CLOCK__ORIGIN_MS": str(origin_ms),
    }
    with (
        running(tmp_path, one_office(), **clock) as platform,
        Client("p0").connected(platform.port) as client,
    ):
        device = Device(platform, client, origin_ms)
        device.send(1, 2, 3, 7)
        wait_for(lambda: {"boot": "b1", "seq": 3} in device.told("receipt"), "a receipt for 3", 20)
        wait_for(
            lambda: {"boot": "b1", "from": 4, "to": 6} in device.told("resend"), "asked for 4-6", 20
        )
        platform.kill("ingest")
        platform.start("ingest")
        device.send(4, 5, 6)
        wait_for(lambda: {"boot": "b1", "seq": 7} in device.told("receipt"), "a receipt for 7", 20)
        device.send(9)
        wait_for(
            lambda: (
                platform.get("/devices/p0/sequences")["boots"]
                == [{"boot": "b1", "highest": 9, "waiting": [], "lost": [{"first": 8, "last": 8}]}]
            ),
            "what never came is known as lost",
            40,
        )
        assert all(receipt["seq"] in (3, 7, 9) for receipt in device.told("receipt"))

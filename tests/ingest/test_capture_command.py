"""Recording from a real broker, and what a replay makes of the recording."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from ingest.captures import read_capture
from tests.ingest.test_captures import Desk, summary
from tests.path.platform import reading
from tests.project.broker import Client, free_port, wait_for
from tests.simulators.test_fleet import mosquitto

pytestmark = pytest.mark.mosquitto

P0 = "gov/v1/LA-LP/p0"


@contextmanager
def recorder(directory: Path, port: int, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`govsense capture`, once it records."""
    call = [sys.executable, "-m", "runtime", "capture", "--out", str(directory / "C.jsonl"), *more]
    said = directory / "capture.log"
    environment = {**os.environ, "GOVSENSE_MQTT__PORT": str(port)}
    with said.open("wb") as log, subprocess.Popen(call, env=environment, stderr=log) as process:
        try:
            wait_for(lambda: b"recording what comes" in said.read_bytes(), "it records")
            yield process
        finally:
            process.kill()


def test_what_a_broker_passed_on_is_replayed(tmp_path: Path) -> None:
    """Every message once, in order: retained or not, right or wrong, ours or not."""
    desk, port = Desk(tmp_path), free_port()
    now_ms = time.time_ns() // 1_000_000
    with mosquitto(tmp_path, port), Client().connected(port) as device:
        device.publish(f"{P0}/status", b'{"v":1,"state":"online"}', retain=True)
        with recorder(tmp_path, port, "--messages", "5") as capture:
            device.publish(f"{P0}/telemetry", reading(now_ms, 1, nat_rtt_p50_ms=20.0))
            device.publish(f"{P0}/telemetry", reading(now_ms + 9, 2, nat_rtt_p50_ms=21.0))
            device.publish(f"{P0}/telemetry", b"\xff")
            device.publish(f"{P0}/receipt", b'{"boot":"b","seq":2}')
            assert capture.wait(10) == 0
    records = list(read_capture(tmp_path / "C.jsonl"))
    channels = [record.topic.rpartition("/")[2] for record in records]
    assert channels == ["status", "telemetry", "telemetry", "telemetry", "receipt"]
    assert [record.retained for record in records] == [True, False, False, False, False]
    assert all(now_ms <= record.received_ms <= now_ms + 60_000 for record in records)
    said = summary(desk.replay())
    assert (said["messages"], said["stored"], said["quarantined"]) == (5, 2, {"bad-utf8": 1})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_told_and_goes_on_in_the_same_file(tmp_path: Path, number: int) -> None:
    """Whole lines are appended; nothing that was taken is missing."""
    port = free_port()
    file = tmp_path / "C.jsonl"
    with mosquitto(tmp_path, port), Client().connected(port) as device:
        for payload in (b"first", b"second"):
            with recorder(tmp_path, port) as capture:
                device.publish(f"{P0}/telemetry", payload)
                wait_for(partial(_holds, file, payload), "it is on disk")
                capture.send_signal(number)
                assert capture.wait(10) == 0
    payloads = [json.loads(line)["payload"] for line in file.read_bytes().splitlines()]
    assert payloads == ["first", "second"]


def _holds(file: Path, payload: bytes) -> bool:
    return payload in file.read_bytes()


def test_a_broker_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Nothing is recorded, and the exit code says so."""
    call = [sys.executable, "-m", "runtime", "capture", "--out", str(tmp_path / "C.jsonl")]
    environment = {**os.environ, "GOVSENSE_MQTT__PORT": str(free_port())}
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "refused" in done.stderr

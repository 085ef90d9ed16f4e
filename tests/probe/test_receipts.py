"""The probe against the whole platform: what it measured arrives, whatever is killed on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.path.platform import Platform, one_office, running
from tests.probe.kept import kept_in
from tests.project.broker import wait_for

pytestmark = pytest.mark.mosquitto
SPEED = 60
INTERVAL_S = 10.0


@contextmanager
def probe(file: Path, port: int, clock: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "runtime", "probe", "--device", "p0", "--province", "LA-LP"]
    command += ["--interval-s", str(INTERVAL_S), "--outbox", str(file)]
    environment = {**os.environ, **clock, "GOVSENSE_MQTT__PORT": str(port)}
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def boots(platform: Platform) -> list[Any]:
    return list(platform.get("/devices/p0/sequences")["boots"])


def emptied(file: Path, boot: str) -> bool:
    kept = kept_in(file)
    return bool(kept) and not any(name == boot for name, _ in kept)


def highest(platform: Platform) -> int:
    return max((boot["highest"] for boot in boots(platform)), default=0)


def test_nothing_is_lost_when_broker_and_probe_are_killed(tmp_path: Path) -> None:
    """The broker loses its memory, then the probe is killed: all rounds come, and it lets go."""
    clock = {
        "GOVSENSE_CLOCK__START": "2026-10-05T00:00:00Z",
        "GOVSENSE_CLOCK__SPEED": str(SPEED),
        "GOVSENSE_CLOCK__ORIGIN_MS": str(time.time_ns() // 1_000_000),
    }
    file = tmp_path / "outbox.db"
    with running(tmp_path / "platform", one_office(interval_s=INTERVAL_S), **clock) as platform:
        with probe(file, platform.port, clock):
            wait_for(lambda: highest(platform) >= 10, "rounds are known", 20)
            platform.kill("ingest")
            platform.kill("broker")
            platform.start("broker", "ingest")
            seen = highest(platform)
            wait_for(lambda: highest(platform) >= seen + 8, "rounds after the kill", 40)
        first = boots(platform)[0]["boot"]
        with probe(file, platform.port, clock):
            wait_for(lambda: len(boots(platform)) == 2, "the second boot", 20)
            wait_for(lambda: highest(platform) >= 10, "live again", 20)
            wait_for(lambda: not any(boot["waiting"] for boot in boots(platform)), "no gap", 30)
            wait_for(lambda: emptied(file, first), "the boot that has ended is let go", 60)
        assert not any(boot["lost"] for boot in boots(platform))

"""Every device comes back at once: the broker was away, and so was all that it remembered."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.fleet import playing, probes, run_of, world
from tests.faults.guarantees import record, size
from tests.project.broker import wait_for

pytestmark = [pytest.mark.guarantee, pytest.mark.mosquitto]
SPEED = 10.0


def test_a_storm_of_reconnects_loses_nothing(tmp_path: Path) -> None:
    """All devices reconnect by themselves, and each round is stored in the end."""
    devices = size(quick=200, long=2000)
    registry = probes(devices, interval_s=60.0)
    with world(tmp_path, registry, speed=SPEED) as country:
        begin_ms = country.clock.now_ms() + round(devices / 200 * 1000 * SPEED)
        run = run_of(registry, begin_ms, size(quick=3, long=8))
        total = sum(len(step.rounds) for step in run.steps())
        with playing(country, run) as fleet:
            wait_for(lambda: fleet.connected == devices, "all are connected", 180)
            wait_for(lambda: country.received() > devices, "rounds are stored", 60)
            country.platform.kill("broker")
            wait_for(lambda: fleet.connected == 0, "all notice", 60)
            country.platform.start("broker")
            began = time.monotonic()
            wait_for(lambda: fleet.connected == devices, "all are back", 120)
            took_s = time.monotonic() - began
            wait_for(lambda: country.received() == total, f"{total} rounds are stored", 120)
            lost = total - country.received()
            assert fleet.tally.dropped == 0
    figure = f"{lost} of {total:,}; all {devices:,} back within {took_s:.1f} s"
    record("storm", figure, met=lost == 0)
    assert lost == 0

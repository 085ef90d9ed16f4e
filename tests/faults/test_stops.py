"""Parts that stand still for a while, and parts that are told to end: nothing is lost."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.deployments import Deployment
from tests.faults.guarantees import seed, size
from tests.faults.storms import storm
from tests.project.broker import wait_for

pytestmark = [pytest.mark.guarantee, pytest.mark.mosquitto]
RATE = 200.0
STOP_WITHIN_S = 10.0


def test_parts_that_stand_still_go_on_where_they_were(deployment: Deployment) -> None:
    """SIGSTOP of every part that a message passes, one soon after the other, each for a time."""
    still_s = size(quick=5.0, long=60.0)
    apart = size(quick=100, long=400)  # rounds between two of them
    chance = random.Random(seed())
    parts = ["receiver", "processor", *deployment.servers, "broker"]
    until: dict[str, float] = {}
    with storm(deployment, rate=RATE, chance=chance) as during:
        for part in parts:
            deployment.pause(part)
            until[part] = time.monotonic() + still_s
            if part != parts[-1]:
                during.load.wait_sent(apart)
        for part in parts:
            wait_until(until[part])
            deployment.go_on(part)
        found = during.over()
    during.law.record(f"stops of {still_s:.0f} s")
    assert found.is_exact, found
    assert found.taken == during.load.sent


def test_parts_that_are_told_to_end_finish_what_they_have(deployment: Deployment) -> None:
    """SIGTERM under load: code 0 within 10 s; what was acknowledged is not delivered again."""
    chance = random.Random(seed())
    with storm(deployment, rate=RATE, chance=chance) as during:
        for part in deployment.loops:
            during.load.wait_sent(chance.randrange(50, 150))
            began = time.monotonic()
            assert deployment.stop(part) == 0, deployment.log(part)
            assert time.monotonic() - began < STOP_WITHIN_S
            during.load.wait_sent(20)
            deployment.start(part)
        found = during.over()
    assert found.is_exact, found
    assert found.taken == during.load.sent
    assert found.repeated == 0


def wait_until(moment_s: float) -> None:
    """Wait until a moment of the monotonic clock."""
    left_s = moment_s - time.monotonic()
    wait_for(lambda: time.monotonic() >= moment_s, "its time is over", max(0.0, left_s) + 1)

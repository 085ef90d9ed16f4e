"""A bad network between ingest and its servers: nothing is lost, and it recovers by itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.faults.conftest import SERVERS
from tests.faults.deployments import Deployment
from tests.faults.guarantees import seed, size
from tests.faults.storms import storm

pytestmark = [pytest.mark.guarantee, pytest.mark.mosquitto]
RATE = 300.0
BAD: dict[str, dict[str, Any]] = {
    "500 ms": {"latency_s": 0.5},
    "7 bytes at a time": {"slice_bytes": 7},
    "resets": {"reset_chance": 0.05},
    "64 kbit/s": {"bytes_per_s": 8000.0},
    "nothing comes through": {"blackhole": True},
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_way_to_the_broker_loses_nothing(proxied: Deployment, bad: str) -> None:
    """Whatever the way does for a while, every message is stored exactly once in the end."""
    proxy = proxied.proxies["broker"]
    lasts_s = size(quick=1.5, long=20.0 if bad == "nothing comes through" else 6.0)
    with storm(proxied, rate=RATE, chance=random.Random(seed())) as during:
        during.load.wait_sent(50)
        proxy.suffer(**BAD[bad])
        during.load.wait_sent(round(RATE * lasts_s))
        proxy.mend()
        found = during.over()
    assert found.is_exact, found
    assert found.taken == during.load.sent


def test_a_broker_that_forgot_the_connection_is_found_again(proxied: Deployment) -> None:
    """Half-open under load: the first acknowledgement is answered with RST, ingest comes back."""
    with storm(proxied, rate=RATE, chance=random.Random(seed())) as during:
        during.load.wait_sent(50)
        connection = proxied.connection
        proxied.proxies["broker"].half_open()
        proxied.wait_connected(after=connection)
        found = during.over()
    assert found.is_exact, found
    assert found.taken == during.load.sent


@pytest.mark.parametrize("deployment", [SERVERS], indirect=True)
@pytest.mark.parametrize("part", ["postgresql", "influxdb"])
def test_bad_ways_to_a_database_lose_nothing(proxied: Deployment, part: str) -> None:
    """Reset, half-open, refused and swallowed connections, in random order, cost no reading."""
    chance = random.Random(seed())
    proxy = proxied.proxies[part]
    ways: list[Callable[[], None]] = [
        proxy.reset,
        proxy.half_open,
        proxy.cut,
        partial(proxy.suffer, blackhole=True),
    ]
    lasts = round(RATE * size(quick=1.0, long=4.0))
    with storm(proxied, rate=RATE, chance=chance) as during:
        for make_bad in chance.sample(ways, len(ways)):
            during.load.wait_sent(lasts)
            make_bad()
            during.load.wait_sent(lasts // 2)
            proxy.mend()
        found = during.over()
    assert found.is_exact, found
    assert found.taken == during.load.sent

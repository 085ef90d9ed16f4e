"""A bad network between ingest and its servers: nothing is lost, and it recovers by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.conftest import SERVERS
from tests.faults.deployments import Deployment, deployed
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


@pytest.fixture(scope="module", params=["embedded", SERVERS])
def proxied(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A deployment whose ingest reaches its servers through proxies."""
    parts = ("broker", "influxdb", "postgresql")
    with deployed(
        request.param, tmp_path_factory.mktemp("proxied"), proxied=parts, seed=seed()
    ) as deployment:
        yield deployment


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_way_to_the_broker_loses_nothing(proxied: Deployment, bad: str) -> None:
    """Whatever the way does for a while, every message is stored exactly once in the end."""
    proxy = proxied.proxies["broker"]
    lasts_s = size(quick=1.5, long=20.0)
    with storm(proxied, rate=RATE, chance=random.Random(seed())) as during:
        during.load.wait_sent(50)
        proxy.suffer(**BAD[bad])
        during.load.wait_sent(round(RATE * lasts_s))
        proxy.mend()
        found = during.over()
    assert found.is_exact, found
    assert found.taken == during.load.sent


def test_a_half_open_connection_to_the_broker_is_noticed(proxied: Deployment) -> None:
    """Where the broker's end is gone and ours does not know, ingest finds out and comes back."""
    with storm(proxied, rate=RATE, chance=random.Random(seed())) as during:
        during.load.wait_sent(50)
        connection = proxied.connection
        proxied.proxies["broker"].half_open()
        proxied.wait_connected(after=connection)
        found = during.over()
    assert found.is_exact, found
    assert found.taken == during.load.sent


@pytest.mark.parametrize("part", ["postgresql", "influxdb"])
@pytest.mark.parametrize("bad", ["reset", "half-open", "refused", "nothing comes through"])
def test_a_bad_way_to_a_database_loses_nothing(proxied: Deployment, part: str, bad: str) -> None:
    """Connections to a database that end, in every way, cost time and no reading."""
    if part not in proxied.proxies:
        pytest.skip("the embedded stores are files")
    proxy = proxied.proxies[part]
    lasts = round(RATE * size(quick=0.5, long=8.0))
    with storm(proxied, rate=RATE, chance=random.Random(seed())) as during:
        during.load.wait_sent(50)
        if bad == "reset":
            proxy.reset()
        elif bad == "half-open":
            proxy.half_open()
        elif bad == "refused":
            proxy.cut()
        else:
            proxy.suffer(blackhole=True)
        during.load.wait_sent(lasts)
        proxy.mend()
        found = during.over()
    assert found.is_exact, found
    assert found.taken == during.load.sent

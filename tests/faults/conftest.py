"""One deployment of each kind for all tests of the suite; every test has a load of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.deployments import Deployment, deployed
from tests.faults.guarantees import seed

SERVERS = pytest.param("servers", marks=[pytest.mark.influx, pytest.mark.postgresql])
Started = dict[str, tuple[Deployment, ExitStack]]


@pytest.fixture(scope="package")
def started() -> Iterator[Started]:
    """The deployments that run, by kind."""
    started: Started = {}
    yield started
    for _, stack in started.values():
        stack.close()


@pytest.fixture(params=["embedded", SERVERS])
def deployment(
    request: pytest.FixtureRequest, started: Started, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """A deployment that runs; a new one where the storm before did not end well."""
    kind: str = request.param
    if kind in started and started[kind][0].in_storm:
        started.pop(kind)[1].close()
    if kind not in started:
        stack = ExitStack()
        deployment = deployed(kind, tmp_path_factory.mktemp(kind), seed=seed())
        started[kind] = stack.enter_context(deployment), stack
    started[kind][0].take_way(through_proxies="proxied" in request.fixturenames)
    return started[kind][0]


@pytest.fixture
def proxied(deployment: Deployment) -> Deployment:
    """A deployment whose ingest reaches its servers through proxies."""
    return deployment

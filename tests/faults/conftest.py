"""One deployment of each kind for the tests of a file; every test has a load of its own on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.deployments import Deployment, deployed

SERVERS = pytest.param("servers", marks=[pytest.mark.influx, pytest.mark.postgresql])


@pytest.fixture(scope="module", params=["embedded", SERVERS])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A deployment that runs when a test begins, and is to run when it ends."""
    with deployed(request.param, tmp_path_factory.mktemp(request.param)) as deployment:
        yield deployment

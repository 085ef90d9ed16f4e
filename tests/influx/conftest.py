"""One InfluxDB for all tests of a worker, and a database of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.influx.server import FIRST_WITH_V2, Address, Server
from tests.api.world import World
from tests.influx import influxd
from tests.influx.country import Country, opened_country
from tests.influx.servers import shim


@pytest.fixture(scope="session")
def influx_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an InfluxDB that runs."""
    with influxd.running(tmp_path_factory.mktemp("influxd")) as url:
        yield url


@pytest.fixture(scope="session")
def api_2_url(influx_url: str) -> Iterator[str]:
    """The same server, written to by the client library and /api/v2/write."""
    server = Server(Address(influx_url))
    is_new = server.version() >= FIRST_WITH_V2
    server.close()
    if is_new:
        yield influx_url
        return
    with shim(influx_url) as url:
        yield url


@pytest.fixture(scope="module")
def country(
    influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Country, World]]:
    """The API over InfluxDB, and over the same readings in SQLite."""
    with opened_country(influx_url, tmp_path_factory.mktemp("country")) as country:
        yield country


@pytest.fixture
def address(influx_url: str, tmp_path: Path) -> Iterator[Address]:
    """A database that is set up, and empty."""
    with influxd.database(influx_url, tmp_path) as address:
        yield address


@pytest.fixture
def store(address: Address, tmp_path: Path) -> Iterator[influxd.Store]:
    """A store in front of it."""
    with influxd.opened(address, tmp_path / "spool.db") as store:
        yield store

"""One InfluxDB for all tests of a worker, and a database of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.influx.server import Address
from tests.influx import influxd


@pytest.fixture(scope="session")
def influx_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an InfluxDB that runs."""
    with influxd.running(tmp_path_factory.mktemp("influxd")) as url:
        yield url


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


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of tests that need a server."""
    config.addinivalue_line("markers", "influx: needs InfluxDB (Debian package, or INFLUX_URL)")

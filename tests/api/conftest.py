"""One world for the tests that only read, and a new one for those that write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.world import World, world_in


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Shared: do not change it."""
    with world_in(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """This test's own."""
    with world_in(tmp_path) as world:
        yield world

"""A ledger of its own for every test, in SQLite and in PostgreSQL; and one that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage.ledger.migrations import Ledger, open_ledger
from tests.reports.world import fill
from tests.storage.conftest import ledger_url, postgresql_server

__all__ = ["ledger_url", "postgresql_server"]


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """The month, to be changed."""
    opened = open_ledger(ledger_url)
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """The month, only to be read."""
    opened = open_ledger(f"sqlite:///{tmp_path_factory.mktemp('month') / 'ledger.db'}")
    fill(opened)
    yield opened
    opened.close()

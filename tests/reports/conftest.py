"""A month in a ledger: one that tests share, and a copy for every test that changes it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.ledger.migrations import Ledger, open_ledger
from tests.reports.world import fill
from tests.storage.conftest import postgresql_server

__all__ = ["postgresql_server"]


@pytest.fixture(scope="session")
def month_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The month in a closed file."""
    file = tmp_path_factory.mktemp("month") / "ledger.db"
    made = open_ledger(f"sqlite:///{file}")
    fill(made)
    made.close()
    return file


@pytest.fixture
def ledger(month_file: Path, tmp_path: Path) -> Iterator[Ledger]:
    """The month, to be changed."""
    shutil.copy(month_file, tmp_path / "ledger.db")
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def month(month_file: Path) -> Iterator[Ledger]:
    """The month, only to be read; reports of it may be issued."""
    copy = month_file.with_name("shared.db")
    shutil.copy(month_file, copy)
    opened = open_ledger(f"sqlite:///{copy}")
    yield opened
    opened.close()

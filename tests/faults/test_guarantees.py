"""Figures of the fault suite: they are recorded, and the page shows each and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.guarantees import FIGURES, PROMISES, SEED, read_figures, record, seed, size
from tests.faults.report import page


def test_a_long_run_records_figures_with_their_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows what was measured, what was missed and what was not measured."""
    path = tmp_path / "figures"
    monkeypatch.setenv(FIGURES, str(path))
    assert size(quick=1, long=100) == 100
    record("kills", "0 of 120,000", met=True, of="embedded")
    record("fuzz", "1 of 50,000", met=False)
    rows = page(read_figures(path), date="today", machine="two cores").splitlines()
    kills = next(row for row in rows if "embedded" in row)
    assert "0 of 120,000 | yes | `tests/faults/test_guarantees.py::" in kills
    assert any("1 of 50,000 | **no** |" in row for row in rows)
    assert sum("not measured in this run | **no** |" in row for row in rows) == len(PROMISES) - 2


def test_a_quick_run_records_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the file for figures, sizes are small and nothing is written."""
    monkeypatch.delenv(FIGURES, raising=False)
    assert size(quick=1, long=100) == 1
    record("kills", "0", met=True)
    assert not list(tmp_path.iterdir())


def test_a_seed_is_given_or_made_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A seed from the environment is used, and every seed is printed."""
    monkeypatch.setenv(SEED, "4711")
    assert seed() == 4711
    monkeypatch.delenv(SEED)
    assert f"{SEED}={seed()}" in capsys.readouterr().out

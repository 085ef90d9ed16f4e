"""Speed tests against the contract, with nothing said of too few."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.speeds import SpeedColumns, medians, speeds_of

NAN = float("nan")
numbers = st.floats(0, 1000) | st.just(NAN)


def columns_of(*rows: tuple[float, float, float, float]) -> SpeedColumns:
    """SpeedColumns of site 0 from (down, up, contracted down, contracted up)."""
    down, up, contracted_down, contracted_up = np.array(rows, np.float64).reshape(-1, 4).T
    n = len(rows)
    nothing = np.full(n, NAN)
    zeros = np.zeros(n, np.int64)
    return SpeedColumns(
        zeros, zeros + 1, down, up,
        nothing, np.full(n, 10.0), np.arange(n, dtype=np.float64), contracted_down, contracted_up,
    )  # fmt: skip


def test_shares_and_medians() -> None:
    """80 % of the contract is enough; both ways must reach it; without a contract no judgement."""
    tests = columns_of(
        (40.0, 20.0, 50.0, 25.0),  # exactly at the floor
        (39.9, 25.0, 50.0, 25.0),
        (50.0, 19.9, 50.0, 25.0),
        (50.0, NAN, 50.0, 25.0),  # one way measured
        (50.0, 1.0, 50.0, NAN),  # one way contracted
        (99.0, 99.0, NAN, NAN),
    )
    (one,) = speeds_of(tests, tests.site, 1, floor_pct=80.0, least_tests=6)
    assert (one.tests, one.judged, one.met) == (6, 5, 3)
    assert one.share == 0.6
    assert (one.down_p50_mbps, one.up_p50_mbps, one.rtt_p50_ms) == (50.0, 20.0, None)
    assert one.loss_pct == pytest.approx(100 * (1 - 15 / 60))
    (few,) = speeds_of(tests, tests.site, 1, floor_pct=80.0, least_tests=7)
    assert (few.enough, few.share) == (False, None)
    (none,) = speeds_of(tests, tests.site - 1, 1, floor_pct=80.0, least_tests=1)
    assert (none.tests, none.share, none.loss_pct) == (0, None, None)


@given(st.lists(st.tuples(st.integers(0, 3), numbers), max_size=40))
def test_medians_are_those_of_the_textbook(rows: list[tuple[int, float]]) -> None:
    """Group by group, without what was not measured."""
    found = medians(np.array([v for _, v in rows]), np.array([g for g, _ in rows], np.int64), 4)
    for group in range(4):
        known = [value for g, value in rows if g == group and value == value]
        expected = statistics.median(known) if known else None
        assert found[group] == (expected if expected is None else pytest.approx(expected))

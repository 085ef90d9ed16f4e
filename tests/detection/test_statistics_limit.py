"""The limits of the statistical channels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detection.bank import Bank, columns
from detection.rules_shift import read_shift
from detection.statistics_limit import ChannelLimits
from detection.statistics_rows import BLANK, N
from detection.waves import Wave

RULES = read_shift()
ROWS = np.flatnonzero(RULES.applies)


def readings(rng: np.random.Generator) -> Wave:
    """One of each metric that is judged, anything between -100 and 2,000 after such a one."""
    n = len(ROWS)
    never, times = np.zeros(n, np.bool_), np.zeros(n, np.int64)
    value, before = rng.uniform(-100, 2000, (2, n))
    return Wave(np.arange(n), ROWS, times, never, never, np.zeros(n), value, before)


@given(st.integers(0, 2**32 - 1))
def test_a_limit_is_never_below_what_is_sure_of_it(seed: int) -> None:
    rng, n = np.random.default_rng(seed), len(ROWS)
    rows = Bank(BLANK)
    rows.grow(n)
    series = rows.take(np.arange(n))
    series["high"] = rng.uniform(0, 12, (n, N))
    series["low"] = -rng.uniform(0, 12, (n, N))
    series["usual"][:, 2] = rng.uniform(0, 4, n)
    series["caution"] = rng.uniform(1, 6, (n, 1))
    series["least"] = rng.choice([1, 3, 5], n)
    series["bar"] = rng.choice([0, np.inf], (n, N), p=[0.8, 0.2])
    series["restless"] = rng.uniform(0, 10_000, n)
    unit = np.ones((n, N))
    unit[:, :3] = rng.uniform(0.01, 10, (n, 3))
    limits, past = ChannelLimits(RULES), columns(series, "ready", "high")
    sure = limits.sure(series, ROWS, past, np.arange(n)).T
    limit = np.maximum(limits.limit(series, readings(rng), unit), series["bar"])
    assert (sure <= limit).all()
    assert (sure[np.isfinite(limit)] > 0).any()

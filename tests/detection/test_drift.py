"""Drift: when an alert of a level that moved away slowly ends."""

from __future__ import annotations

import numpy as np

from detection.engine import Engine
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from tests.detection.feed import START_MS, device

DAY_S, HOUR_S = 86_400, 3600
TEMPERATURE = KINDS["environment"].metrics["temperature_c"]
BACK_S = 8 * DAY_S


def test_a_drift_that_is_mended_ends_with_the_first_mean_within_the_bound() -> None:
    """Twelve hours after the return at the latest."""
    made = Catalogue()
    made.add(device("d0", interval_s=600), TEMPERATURE)
    times_s = np.arange(0, BACK_S + 18 * HOUR_S, 600)
    level = np.clip((times_s - 6 * DAY_S) / DAY_S, 0, 1) * 4
    level[times_s >= BACK_S] = 0
    values = 25 + np.random.default_rng(4).normal(0, 0.2, len(times_s)) + level
    engine, series, found = Engine(made), np.zeros(1, np.int32), []
    for at_s, value in zip(times_s.tolist(), values.tolist(), strict=True):
        at_ms = np.array([START_MS + at_s * 1000])
        found += engine.score(Readings(series, at_ms, at_ms, np.array([value])))
    told = [f for f in found if f.rule == "drift" and f.phase in ("firing", "clear")]
    assert [f.phase for f in told] == ["firing", "clear"]
    assert BACK_S < (told[1].at_ms - START_MS) / 1000 <= BACK_S + 12 * HOUR_S

"""Drift: when an alert of a level that moved away slowly ends."""

from __future__ import annotations

import numpy as np
import pytest

from detection.drift import BLOCK_MS, follow
from detection.engine import Engine
from detection.episodes import PHASES
from detection.statistics_rows import BLANK
from detection.waves import Wave
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
    into_block_s = (START_MS // 1000 + times_s + 7 * HOUR_S) % (BLOCK_MS // 1000)
    level[into_block_s < 3600] = 0  # whatever the single reading is with which it is told
    values = 25 + np.random.default_rng(4).normal(0, 0.2, len(times_s)) + level
    engine, series, found = Engine(made), np.zeros(1, np.int32), []
    for at_s, value in zip(times_s.tolist(), values.tolist(), strict=True):
        at_ms = np.array([START_MS + at_s * 1000])
        found += engine.score(Readings(series, at_ms, at_ms, np.array([value])))
    told = [f for f in found if f.rule == "drift" and f.phase in ("firing", "clear")]
    assert [f.phase for f in told] == ["firing", "clear"]
    assert told[0].expected is not None
    assert told[0].value is not None
    assert told[0].expected[1] < told[0].value < 29
    assert BACK_S < (told[1].at_ms - START_MS) / 1000 <= BACK_S + 12 * HOUR_S


def steps_of(*means: float) -> list[str]:
    """What is told of a series that was quiet for five days, then had these six-hour means.

    A distance of 1 is the least that counts.
    """
    rows, told = BLANK.copy(), []
    for n, mean in enumerate([0.05, -0.05] * 10 + list(means)):
        rows["block_mean"] = mean
        zero, one = np.zeros(1, np.intp), np.ones(1)
        never = one < 0
        wave = Wave(zero, zero, zero + n * BLOCK_MS, never, never, one * BLOCK_MS, one, one)
        steps, *_ = follow(rows, wave, one)
        told += [PHASES.get(step, "clear") for step in steps.tolist() if step]
    return [phase for phase in told if phase != "pending"]


def test_a_mean_just_within_the_bound_is_back() -> None:
    """It need not come all the way: what is no drift is no drift that goes on."""
    assert steps_of(2, 2) == ["firing"]
    assert steps_of(2, 2, 1.05) == ["firing"]
    assert steps_of(2, 2, 0.9) == ["firing", "clear"]


@pytest.mark.parametrize(("again", "is_told"), [(1.35, False), (1.7, True)])
def test_the_next_drift_must_go_clearly_farther_than_the_bound(again: float, is_told: bool) -> None:
    """Half as far again as what was a drift the first time."""
    assert steps_of(2, 2, 0, again, again) == ["firing", "clear", *["firing"] * is_told]


def test_six_hours_without_a_reading_are_no_new_normal() -> None:
    """What lasted three days is accepted with a mean, not with none: nothing is known of it."""
    nan = float("nan")
    lasts = [2.0] * 12
    assert steps_of(*lasts, nan) == ["firing"]
    assert steps_of(*lasts, nan, 2.0, 2.0) == ["firing", "clear"]
    assert steps_of(*lasts, nan, 2.0, 2.0, 4.0, 4.0) == ["firing", "clear", "firing"]

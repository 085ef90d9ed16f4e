"""The shipped tables on synthetic lives of every shape: nearly silent, and faults are found."""

from __future__ import annotations

import numpy as np
import pytest

from tests.detection.measure import beyond, found, harm, live, play
from tests.detection.shapes import SHAPES

STEP_S = 300
LEAST_FOUND = {
    "three spikes": 0.7,
    "step": 0.85,
    "stuck": 0.9,
    "out of limits": 0.95,
    "drift": 0.9,
}


def test_healthy_lives_are_nearly_silent() -> None:
    """Two weeks of every shape, beginning on any hour of the week: under one warning in 50 days."""
    rng = np.random.default_rng(11)
    lives = [live(s, days=14, step_s=STEP_S, rng=rng) for s in SHAPES for _ in range(2)]
    fired = play(lives, STEP_S)
    days = 14 * len(lives)
    warnings = [f for own in fired for _, f in own if f.severity != "info"]
    assert len(warnings) / days <= 0.02
    assert sum(len(beyond(life)) for life in lives) / days > 0.5


def test_the_first_day_of_a_fast_fleet_is_nearly_silent() -> None:
    """Eight hours at ten seconds, from the first reading on: at most one alarm in 40 lives."""
    rng = np.random.default_rng(12)
    lives = [live(s, days=1, step_s=10, rng=rng) for s in SHAPES for _ in range(2)]
    lives = [life._replace(values=life.values[:2880]) for life in lives]
    assert sum(map(len, play(lives, 10))) <= 1


@pytest.mark.parametrize("fault", LEAST_FOUND)
def test_faults_are_found(fault: str) -> None:
    """One fault in two weeks of each shape that can have it: nearly all are found."""
    rng = np.random.default_rng(13)
    made = [
        harm(live(s, days=14, step_s=STEP_S, rng=rng), fault, step_s=STEP_S, rng=rng)
        for s in SHAPES
        for _ in range(2)
    ]
    lives = [life for life in made if life is not None]
    hits = [found(life, own, STEP_S) for life, own in zip(lives, play(lives, STEP_S), strict=True)]
    assert np.mean([hit is not None for hit in hits]) >= LEAST_FOUND[fault]

"""Company: what many sensors do at once is not told of each; what one does alone is."""

from __future__ import annotations

import numpy as np

from detection.engine import Engine
from detection.findings import Finding
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from tests.detection.feed import START_MS, device

N = 20
DAYS_S = np.arange(0, 9 * 86_400, 600)


def moved(who: list[int], cut: int | None = None) -> list[Finding]:
    """Drifts that fire where these of N rooms warm by 4 degrees within two days, from day 6 on.

    cut: the engine is restored from a snapshot after so many rounds.
    """
    made = Catalogue()
    for n in range(N):
        made.add(device(f"d{n}", interval_s=600), KINDS["environment"].metrics["temperature_c"])
    rng = np.random.default_rng(4)
    rise = np.clip((DAYS_S - 6 * 86_400) / (2 * 86_400), 0, 1) * 4
    engine, series, found = Engine(made), np.arange(N, dtype=np.int32), []
    for k, (at_s, warmer) in enumerate(zip(DAYS_S, rise, strict=True)):
        values = 25 + rng.normal(0, 0.2, N) + warmer * np.isin(np.arange(N), who)
        at_ms = np.full(N, START_MS + at_s * 1000)
        found += engine.score(Readings(series, at_ms, at_ms, values))
        if k == cut:
            state, engine = engine.snapshot(), Engine(made)
            engine.restore(state)
    return [f for f in found if f.rule == "drift" and f.phase == "firing"]


def test_one_that_drifts_alone_is_told() -> None:
    """A sensor whose neighbours stay as they were has drifted."""
    assert [f.device for f in moved([3])] == ["d3"]


def test_a_crowd_is_the_weather() -> None:
    """All rooms that warm together are not faulty sensors."""
    assert moved(list(range(N))) == []


def test_company_outlives_a_restart() -> None:
    """What began before a snapshot still counts after it."""
    assert moved(list(range(N)), cut=int(6.9 * 144)) == []

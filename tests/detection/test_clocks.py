"""Wrong clocks, told from late data by receive times."""

from __future__ import annotations

import numpy as np
import pytest

from detection.engine import Engine
from detection.findings import Finding
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from tests.detection.feed import START_MS, device, steps

HOUR_MS = 3_600_000


def engine() -> Engine:
    """An engine that knows one device, of a minute's interval."""
    catalogue = Catalogue()
    catalogue.add(device(), KINDS["environment"].metrics["temperature_c"])
    return Engine(catalogue)


def hear(made: Engine, lags_ms: list[int], every_ms: int = 60_000) -> list[Finding]:
    """Rounds that are received so far apart, each so long after its event time."""
    found = []
    for n, lag_ms in enumerate(lags_ms):
        received = START_MS + n * every_ms
        made.heard(np.array([0], np.int32), np.array([received - lag_ms]), np.array([received]))
        found += made.tick(received)
    return [f for f in found if f.rule == "clock-skew"]


@pytest.mark.parametrize(
    ("lag_ms", "why"),
    [(7 * HOUR_MS, "zone"), (-7 * HOUR_MS, "zone"), (400_000, "behind"), (-100_000, "ahead")],
)
def test_a_clock_that_is_off_fires_with_the_fifth_round(lag_ms: int, why: str) -> None:
    """Five rounds off by the same: a wrong clock; seven hours are a wrong time zone."""
    assert hear(engine(), [lag_ms] * 4) == []
    (fired,) = hear(engine(), [lag_ms + 1000 * n for n in range(5)])
    assert (fired.phase, fired.facts["why"]) == ("firing", why)


def test_it_ends_with_three_right_rounds() -> None:
    """A clock that is set again is told once."""
    assert steps(hear(engine(), [HOUR_MS] * 6 + [500] * 5)) == ["firing", "clear"]


def test_backfill_does_not_end_it() -> None:
    """What was buffered under a wrong clock is off by more than before, and no right round."""
    made, minutes = engine(), 60_000
    found = hear(made, [HOUR_MS] * 6)
    back = START_MS + 66 * minutes
    lags = [2 * HOUR_MS - n * minutes for n in range(60)] + [HOUR_MS] * 5 + [500] * 3
    at = [back + 50 * n for n in range(60)] + [back + n * minutes for n in range(1, 9)]
    for lag_ms, received in zip(lags, at, strict=True):
        made.heard(np.array([0], np.int32), np.array([received - lag_ms]), np.array([received]))
        found += [f for f in made.tick(received) if f.rule == "clock-skew"]
    assert steps(found) == ["firing", "clear"]
    assert found[1].at_ms == at[-1]


def test_backfill_is_no_wrong_clock() -> None:
    """Buffered rounds arrive together, each less late than the one before."""
    lags = [3 * HOUR_MS - 60_000 * n for n in range(180)]
    assert hear(engine(), lags, every_ms=50) == []


def test_a_queue_that_is_worked_off_is_no_wrong_clock() -> None:
    """Rounds that wait longer and longer are late, not misdated."""
    assert hear(engine(), [130_000 + 45_000 * n for n in range(60)]) == []


def test_a_clock_that_stands_still_is_told() -> None:
    """Every round has the time of the first one; it ends when the clock goes on."""
    found = hear(engine(), [60_000 * n for n in range(30)] + [500] * 5)
    assert [(f.phase, f.facts["why"]) for f in found] == [("firing", "still"), ("clear", "still")]
    assert found[0].at_ms == START_MS + 7 * 60_000


def test_refused_times_count() -> None:
    """What intake refuses as seven hours ahead tells of the clock, and that the device lives."""
    made = engine()
    found = hear(made, [500])
    for n in range(1, 20):
        received = START_MS + n * 60_000
        made.refused_round(0, received + 7 * HOUR_MS, received)
        found += made.tick(received)
    assert [(f.rule, f.facts["why"]) for f in found] == [("clock-skew", "zone")]

"""The bench of reports against the truth counts what is wrong, and what may be either not."""

from __future__ import annotations

import numpy as np
import pytest

from bench.truth_found import Found, compare
from detection.outages import BIN_MS
from reports.grids import Grid
from reports.periods import period_between
from simulators.scorecard.files import Dark, Fault, Scope
from tests.reports.world import START, registry

BINS = 288
PERIOD = period_between(START, START + BINS * BIN_MS)


def fault(first: float, last: float, *, down: bool, back: float | None = None) -> Fault:
    """A fault at the site a, in bins from the start. back: when the router has booted."""
    start, end = (START + round(n * BIN_MS) for n in (first, last))
    dark_ms = end if back is None else START + round(back * BIN_MS)
    dark = (Dark("a", start, dark_ms),) if down else ()
    cause = "power" if down else "probe"
    scope = Scope("site", "a")
    return Fault("f", "cut" if down else "probe-dead", "connectivity", scope, cause, ("p-a",),
                 ("a",), None, start, end, down, dark)  # fmt: skip


def found(down: set[int], *faults: Fault, said: int | None = None) -> Found:
    """What is found where these bins of the site a are down."""
    row = "".join("D" if n in down else "U" for n in range(BINS))
    letters = np.frombuffer(row.encode(), np.uint8).reshape(1, BINS)
    grid = Grid(["a"], START, letters, np.array([False]))
    minutes = 5 * len(down) if said is None else said
    report = {"sites": [{"id": "a", "minutes": {"down": minutes}}]}
    return compare(report, grid, registry(), faults, (), PERIOD)


@pytest.mark.parametrize(
    ("down", "wrong"),
    [
        ({11, 12, 13}, 0),
        ({10, 11, 12, 13, 14}, 0),  # the outage touches the first and the last in part
        ({11, 12}, 1),
        ({9, 11, 12, 13}, 1),
        ({11, 12, 13, 15, 16}, 2),
        (set(), 3),
    ],
)
def test_bins_of_an_outage(down: set[int], wrong: int) -> None:
    """Those that it fills must be down, those that it does not touch must not."""
    one = found(down, fault(10.5, 14.5, down=True))
    assert (one.outages, one.most, one.wrong[wrong]) == (1, wrong, 1)
    assert (one.true_minutes, one.minutes) == (20.0, 5 * len(down))
    assert one.differing == (wrong > 0)


def test_what_is_far_from_an_outage() -> None:
    """Is told apart by whether anything was the matter there."""
    one = found({100, 200}, fault(10, 12, down=True), fault(99, 102, down=False))
    assert (one.most, one.lesser, one.apart) == (2, 1, 1)
    assert one.classes["said down in probe-dead"] == 1
    assert one.classes["said down in nothing"] == 1


def test_a_router_that_boots() -> None:
    """A bin in which it did is neither right nor wrong."""
    one = found({10}, fault(10, 11.2, down=True, back=12))
    assert (one.most, one.returning) == (0, 1)


def test_minutes_that_are_no_sum_of_bins() -> None:
    """Are refused: the report cannot add."""
    with pytest.raises(ValueError, match="is not the sum of its bins"):
        found({11}, said=10)


def test_sums() -> None:
    """Outages are added up by how wrong they are."""
    total = Found()
    for down in ({11, 12, 13}, {11, 12}, set[int]()):
        total.add(found(down, fault(10.5, 14.5, down=True)))
    assert (total.outages, total.most, dict(total.wrong)) == (3, 3, {0: 1, 1: 1, 3: 1})
    assert "4 bins wrong, 1.333 an outage, at most 3" in str(total)

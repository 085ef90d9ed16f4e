"""Availability: the formulas, their bounds, and outages as runs of bins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.availability import (
    Availability,
    availability_by_site,
    availability_of,
    summed,
    worst,
)
from detection.outages import BIN_MS, Bin, BinState

LETTERS: dict[str, BinState] = {
    "U": "UP",
    "G": "DEGRADED",
    "D": "DOWN",
    "K": "UNKNOWN",
    "X": "EXCLUDED",
}


def bins(letters: str, site: str = "s1") -> list[Bin]:
    """A site's bins, one a letter."""
    return [
        Bin(site, 3_000_000 + n * BIN_MS, LETTERS[letter], False, 1)
        for n, letter in enumerate(letters)
    ]


def of(letters: str) -> Availability:
    """The availability of bins, one a letter."""
    return availability_of(bins(letters))


def test_the_formulas_of_a_day() -> None:
    """Known shares by hand: 6 up, 2 degraded, 1 down, 1 unknown, 2 excluded."""
    one = of("UUUUUUGGDKXX")
    assert one.scheduled == 10
    assert one.availability == 8 / 9
    assert (one.lower, one.upper, one.coverage) == (0.8, 0.9, 0.9)
    assert one.quality_ok == 0.75
    assert one.sufficient
    assert (one.meets(0.88), one.meets(0.9)) == (True, False)


def test_no_data_is_neither_up_nor_down() -> None:
    """Of unknown bins nothing is claimed, and no target is met or missed."""
    one = of("KKKK")
    assert (one.availability, one.lower, one.upper, one.coverage) == (None, 0.0, 1.0, 0.0)
    assert one.meets(0.5) is None
    assert of("UUUUUUUUKK").meets(0.5) is None
    assert of("XX").availability is None
    assert availability_of([]).coverage is None


@pytest.mark.parametrize(
    ("letters", "minutes", "is_open"),
    [
        ("UUDDUU", [10.0], [False]),
        ("UDUDUU", [10.0], [False]),  # one bin between: one outage
        ("UDUUDU", [5.0, 5.0], [False, False]),
        ("UDKDUU", [10.0], [False]),
        ("UUUDDD", [15.0], [True]),
        ("UUUU", [], []),
    ],
)
def test_outages_closer_than_two_bins_are_one(
    letters: str, minutes: list[float], is_open: list[bool]
) -> None:
    """Runs of DOWN, merged over fewer than two bins; the last may still be open."""
    outages = of(letters).outages
    assert [outage.minutes for outage in outages] == minutes
    assert [outage.open for outage in outages] == is_open


def test_repair_and_failure_times() -> None:
    """Open outages lengthen the mean time to repair and do not count as repaired."""
    one = of("UUUU" + "DD" + "UUUU" + "DDDD")
    assert one.mttr_minutes == 30.0
    assert one.mtbf_minutes == 20.0
    assert of("UUDD").mttr_minutes is None
    assert of("UU").mtbf_minutes is None


def test_several_sites_are_minutes_over_minutes() -> None:
    """A site with ten times the bins weighs ten times as much."""
    both = summed([of("UD"), of("U" * 20)])
    assert both.availability == 21 / 22
    assert (both.saifi, both.saidi_minutes) == (0.5, 2.5)
    assert summed([]).availability is None


def test_the_worst_sites_first() -> None:
    """Sites in order of availability; one of which nothing is known is not among them."""
    by_site = availability_by_site(bins("UUUD", "a") + bins("UDDD", "b") + bins("KK", "c"))
    assert [site for site, _ in worst(by_site)] == ["b", "a"]
    assert [site for site, _ in worst(by_site, 1)] == ["b"]


@given(st.text(alphabet="UGDKX", max_size=60))
def test_the_bounds_hold(letters: str) -> None:
    """lower <= availability <= upper, whatever the bins; DOWN minutes are all in outages."""
    one = of(letters)
    if one.availability is not None:
        assert one.lower is not None
        assert one.upper is not None
        assert one.lower <= one.availability + 1e-12
        assert one.availability <= one.upper + 1e-12
    assert sum(outage.minutes for outage in one.outages) == 5 * letters.count("D")
    assert one.scheduled + one.excluded == len(letters)

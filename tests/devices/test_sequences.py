"""Sequences: ranges, gaps and receipts follow from the set of numbers that came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devices.sequences import Range, Sequence

numbers = st.lists(st.integers(0, 40), max_size=60)


def expand(ranges: list[Range]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(numbers)
def test_ranges_are_the_numbers_that_came(came: list[int]) -> None:
    """Whatever the order and repetition, the ranges hold exactly the set, disjoint and merged."""
    sequence = Sequence()
    for number in came:
        sequence.add(number)
    assert expand(sequence.ranges) == set(came)
    flat = [bound for pair in sequence.ranges for bound in pair]
    assert flat == sorted(flat)
    assert all(b[0] > a[1] + 1 for a, b in zip(sequence.ranges, sequence.ranges[1:], strict=False))


@given(numbers)
def test_gaps_are_what_is_missing_below_the_last(came: list[int]) -> None:
    """Every number from 1 to the highest is in a range or in a gap, none in both."""
    sequence = Sequence()
    for number in came:
        sequence.add(number)
    assert expand(sequence.gaps) == set(range(1, max(came, default=0))) - set(came)


@given(numbers)
def test_a_receipt_never_covers_what_has_not_come(came: list[int]) -> None:
    """settled is the end of the gap-free beginning, so a device may delete up to it."""
    sequence = Sequence()
    for number in came:
        sequence.add(number)
        settled = sequence.settled
        if settled is not None:
            assert set(range(1, settled + 1)) <= expand(sequence.ranges)


@given(numbers, numbers)
def test_what_was_given_up_is_lost_until_it_comes(before: list[int], after: list[int]) -> None:
    """After give_up nothing is waited for; a late arrival is lost no more."""
    sequence = Sequence()
    for number in before:
        sequence.add(number)
    given_up = expand(sequence.give_up(sequence.highest))
    assert sequence.gaps == []
    if before:
        assert sequence.settled == max(before)
    for number in after:
        sequence.add(number)
    assert expand(sequence.lost) == given_up - set(after)


@given(numbers)
def test_a_sequence_is_kept_and_restored(came: list[int]) -> None:
    """Ranges and lost ranges are the whole state."""
    sequence = Sequence()
    for number in came:
        sequence.add(number)
    sequence.give_up(sequence.highest)
    restored = Sequence(sequence.ranges, sequence.lost)
    assert (restored.gaps, restored.settled) == (sequence.gaps, sequence.settled)

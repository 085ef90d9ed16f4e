"""Late readings: they correct the past, in event order, and say nothing of now."""

from __future__ import annotations

import random

from detection.past import SETTLE_MS, Past
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from tests.detection.feed import device

T0_MS = 1_790_000_000_000
MINUTE_MS = 60_000
BAD = (*[30.0] * 10, *[70.0] * 30, *[30.0] * 20)  # °C; 70 is no air temperature of a room


def world() -> tuple[Catalogue, int]:
    """A catalogue with one room sensor, and the number of its temperature."""
    catalogue = Catalogue()
    number = catalogue.add(device(), KINDS["environment"].metrics["temperature_c"])
    return catalogue, number


def late(number: int, values: tuple[float, ...], *, at_ms: int = T0_MS) -> Readings:
    """Readings a minute apart, received together two hours after the first."""
    times = [at_ms + n * MINUTE_MS for n in range(len(values))]
    received = [at_ms + 120 * MINUTE_MS] * len(values)
    return Readings.of([number] * len(values), times, received, list(values))


RECEIVED_MS = T0_MS + 120 * MINUTE_MS
DUE_MS = RECEIVED_MS + SETTLE_MS


def spans(past: Past, now_ms: int = DUE_MS) -> list[tuple[int, int]]:
    """First and last minute of the episodes that are due."""
    found = past.tick(now_ms)
    return [((a.onset_ms - T0_MS) // MINUTE_MS, (b.at_ms - T0_MS) // MINUTE_MS) for a, b in found]


def test_an_excursion_within_the_backfill_is_found_once_it_is_all_there() -> None:
    """Not while more may come, and not twice."""
    catalogue, number = world()
    past = Past(catalogue)
    past.hear(late(number, BAD))
    assert spans(past, DUE_MS - 1) == []
    [(begin, end)] = spans(past)
    assert begin == 10
    assert 40 <= end <= 45
    assert spans(past, DUE_MS + 10**9) == []


def test_the_order_of_arrival_does_not_matter() -> None:
    """Shuffled and cut into any batches, with repeats, the same comes out."""
    catalogue, number = world()
    whole = Past(catalogue)
    whole.hear(late(number, BAD))
    expected = whole.tick(DUE_MS)
    assert expected
    for seed in range(20):
        past = Past(catalogue)
        order = [*range(len(BAD)), *range(5)]
        random.Random(seed).shuffle(order)
        readings = late(number, BAD)
        for n in order:
            past.hear(readings.take([n]))  # type: ignore[arg-type]
        assert past.tick(DUE_MS) == expected


def test_what_lasts_to_the_end_of_the_backfill_ends_there() -> None:
    """What came after is the live detectors' to judge."""
    catalogue, number = world()
    past = Past(catalogue)
    past.hear(late(number, BAD[:40]))
    assert spans(past) == [(10, 39)]


def test_what_is_delivered_again_is_not_judged_again() -> None:
    """A device that had no receipt sends its rounds once more."""
    catalogue, number = world()
    past = Past(catalogue)
    past.hear(late(number, BAD))
    assert len(spans(past)) == 1
    past.hear(late(number, BAD))
    assert spans(past, DUE_MS + 10 * SETTLE_MS) == []


def test_a_restart_changes_nothing() -> None:
    """With what waits, and with what was judged, under other numbers of the series."""
    catalogue, number = world()
    past = Past(catalogue)
    past.hear(late(number, BAD))
    renumbered = Catalogue()
    other = renumbered.add(device("d0"), KINDS["environment"].metrics["temperature_c"])
    same = renumbered.add(device(), KINDS["environment"].metrics["temperature_c"])
    assert (other, same) == (0, 1)
    again = Past(renumbered)
    again.restore(past.snapshot())
    assert again.tick(DUE_MS) == past.tick(DUE_MS)
    once_more = Past(renumbered)
    once_more.restore(again.snapshot())
    once_more.hear(late(same, BAD))
    assert once_more.tick(DUE_MS + 10 * SETTLE_MS) == []

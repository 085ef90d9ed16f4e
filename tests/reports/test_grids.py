"""The figures of a report are what counting one bin after the other finds."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.availability import Availability, Downtime, availability_of
from detection.outages import BIN_MS, LETTERS, Bin, BinState
from reports.grids import Grid, tally
from reports.periods import midnight_ms
from storage.ledger.report_data import LeftOut

START = midnight_ms(date(2026, 10, 1))
STATES: dict[str, BinState] = {letter: state for state, letter in LETTERS.items()}


def grid(*rows: str, heard: bool = False) -> Grid:
    """A grid of sites s0, s1, ... from strings of letters."""
    letters = np.frombuffer("".join(rows).encode(), np.uint8).reshape(len(rows), -1)
    names = [f"s{n}" for n in range(len(rows))]
    return Grid(names, START, letters, np.full(len(rows), heard))


def everything(row: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """A mask that leaves nothing out."""
    return np.ones(len(row), np.bool_)


def bins_of(row: str, *, heard: bool) -> list[Bin]:
    """The same as bins, with what was not published as unknown once there was one before."""
    begun, found = heard, []
    for n, letter in enumerate(row):
        begun |= letter != "."
        if begun:
            state = STATES.get(letter.upper(), "UNKNOWN")
            found.append(Bin("s", START + n * BIN_MS, state, letter.islower(), 1))
    return found


rows = st.lists(
    st.sampled_from(["UUUU", "D", "DD", "U", "g", "u", "K", "X", ".", "DU", "DUUD", "..."]),
    min_size=1,
    max_size=30,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(rows, st.booleans())
def test_all_of_the_time(row: str, heard: bool) -> None:
    """Counts and outages are those of detection's own arithmetic, bin by bin."""
    (found,) = tally(grid(row, heard=heard), everything(row))
    bins = bins_of(row, heard=heard)
    expected = availability_of(bins)
    published = [n for n, letter in enumerate(row) if letter != "."]
    last_ms = START + published[-1] * BIN_MS if published else None
    outages = tuple(
        Downtime(one.start_ms, one.end_ms, one.minutes, one.end_ms - BIN_MS == last_ms)
        for one in expected.outages
    )
    assert found.availability == Availability(
        **{
            name: getattr(expected, name)
            for name in ("up", "degraded", "down", "unknown", "excluded", "on_backup", "sites")
        },
        outages=outages,
    )
    assert found.not_started == len(row) - len(bins)


@settings(max_examples=300, deadline=None)
@given(rows, st.data())
def test_some_of_the_time(row: str, data: st.DataObject) -> None:
    """What a calendar leaves out is counted nowhere, and cuts outages without dividing them."""
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(row), max_size=len(row))))
    (found,) = tally(grid(row, heard=True), mask)
    (whole,) = tally(grid(row, heard=True), everything(row))
    kept = [one for one, counts in zip(bins_of(row, heard=True), mask, strict=True) if counts]
    one = found.availability
    assert (one.up, one.down) == tuple(
        sum(b.state == state for b in kept) for state in ("UP", "DOWN")
    )
    assert one.scheduled + one.excluded + found.not_started == mask.sum()
    assert sum(outage.minutes for outage in one.outages) == one.down * 5
    for outage in one.outages:
        inside = [
            w
            for w in whole.availability.outages
            if w.start_ms <= outage.start_ms and outage.end_ms <= w.end_ms
        ]
        assert len(inside) == 1
        assert inside[0].open == outage.open


def test_two_sites_do_not_share_an_outage() -> None:
    """One that ends a row and one that begins the next are two."""
    found = tally(grid("UUDD", "DDUU"), everything("UUDD"))
    assert [len(one.availability.outages) for one in found] == [1, 1]
    assert [one.availability.outages[0].open for one in found] == [True, False]


def test_an_outage_over_a_night_is_one() -> None:
    """Its minutes are those of working hours; its ends are the first and last that count."""
    row = "UUDDDDDDUU"
    mask = np.array([True, True, True, True, False, False, False, True, True, True])
    (found,) = tally(grid(row), mask)
    (outage,) = found.availability.outages
    assert outage == Downtime(START + 2 * BIN_MS, START + 8 * BIN_MS, 15.0, False)
    assert found.availability.mttr_minutes == 15.0


def test_what_is_left_out_has_its_reason() -> None:
    """Only bins that are excluded and count; what no window is known for is told apart."""
    row = "UUXXUXUX.."
    counted = everything(row)
    counted[7] = False
    by = {2: "w1", 3: "w2", 7: "w1"}
    left_out = [LeftOut("s0", START + n * BIN_MS, window) for n, window in by.items()]
    (found,) = tally(grid(row), counted, [*left_out, LeftOut("s0", START, "w1")], {"w1": "mast"})
    one = found.availability
    assert (one.up, one.excluded, one.unknown) == (4, 3, 2)
    assert found.reasons == {"mast": 1, "": 2}

"""Days of bins say what the bins say, whatever the order in which they and their revisions come."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from detection.outages import BIN_MS, Bin, BinState
from storage.ledger.bin_days import BINS_A_DAY, DAY_MS, day_of, days_in_bins, fill_days
from storage.ledger.bins import put_bins, trim_bins
from storage.ledger.facts import Facts, commit
from storage.ledger.migrations import STEPS, Ledger, open_ledger
from storage.ledger.schema import bin_days, bins, reports, speed_days
from storage.ledger.speed_tests import SpeedTest, trim_speed_tests, unpacked

MIDNIGHT = 1_790_787_600_000  # 2026-10-01T00:00 in Vientiane

revisions = st.builds(
    Bin,
    site=st.sampled_from(["a", "b"]),
    start_ms=st.integers(-30, 620).map(lambda n: MIDNIGHT + n * BIN_MS),
    state=st.sampled_from(get_args(BinState)),
    on_backup=st.booleans(),
    revision=st.integers(1, 9),
)


def days(ledger: Ledger) -> dict[tuple[int, str], str]:
    """The days that are kept."""
    with ledger.read() as connection:
        rows = connection.execute(select(bin_days)).all()
    return {(day_ms, site): states for day_ms, site, states in rows}


def counted(ledger: Ledger) -> dict[tuple[int, str], str]:
    """The same, counted from the bins."""
    with ledger.read() as connection:
        names = connection.execute(select(bins.c.site).distinct()).scalars().all()
        return {
            (day_ms, site): states
            for site in names
            for day_ms, states in days_in_bins(connection, site, 0, MIDNIGHT * 2).items()
        }


@pytest.fixture(scope="module")
def shared() -> Iterator[Ledger]:
    """A ledger for many examples."""
    with tempfile.TemporaryDirectory() as name:
        opened = open_ledger(f"sqlite:///{Path(name) / 'ledger.db'}")
        yield opened
        opened.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(revisions, max_size=12), max_size=6))
def test_days_are_what_counting_finds(shared: Ledger, batches: list[list[Bin]]) -> None:
    """After any batches of bins and revisions, in any order."""
    with shared.begin() as connection:
        connection.execute(delete(bins))
        connection.execute(delete(bin_days))
    for batch in batches:
        with shared.begin() as connection:
            put_bins(connection, batch)
    last = {(one.site, one.start_ms): one for batch in batches for one in batch}
    expected: dict[tuple[int, str], list[str]] = {}
    for one in last.values():
        letter = {"UP": "u", "DEGRADED": "g", "DOWN": "d", "UNKNOWN": "k", "EXCLUDED": "x"}
        day_ms = day_of(one.start_ms)
        row = expected.setdefault((day_ms, one.site), ["."] * BINS_A_DAY)
        said = letter[one.state]
        row[(one.start_ms - day_ms) // BIN_MS] = said if one.on_backup else said.upper()
    assert days(shared) == {key: "".join(row) for key, row in expected.items()}
    assert counted(shared) == days(shared)


def test_a_day_is_local(ledger: Ledger) -> None:
    """It begins at 17:00 UTC, and a revision changes one character of it."""
    commit(ledger, Facts(0, bins=[Bin("a", MIDNIGHT, "UP", False, 1)]), now_ms=0)
    late = [Bin("a", MIDNIGHT, "DOWN", True, 2), Bin("a", MIDNIGHT - BIN_MS, "UNKNOWN", False, 1)]
    commit(ledger, Facts(1, bins=late), now_ms=0)
    assert days(ledger) == {
        (MIDNIGHT, "a"): "d" + "." * 287,
        (MIDNIGHT - DAY_MS, "a"): "." * 287 + "K",
    }


def test_many_days_at_once(ledger: Ledger) -> None:
    """More than fit into one question."""
    made = [Bin(f"s{n}", MIDNIGHT, "UP", False, 1) for n in range(1001)]
    for state in ("UP", "DOWN"):
        commit(ledger, Facts(0, bins=[one._replace(state=state) for one in made]), now_ms=0)
    assert set(days(ledger).values()) == {"D" + "." * 287}
    assert len(days(ledger)) == 1001


def test_an_older_ledger_gets_its_days(ledger_url: str) -> None:
    """From the bins that it holds."""
    old = open_ledger(ledger_url)
    commit(
        old, Facts(0, bins=[Bin("a", MIDNIGHT + n, "UP", False, 1) for n in (0, DAY_MS)]), now_ms=0
    )
    whole = days(old)
    with old.begin() as connection:
        for table in (bin_days, speed_days, reports):
            table.drop(connection)
    before = [step.__name__ for step in STEPS].index("add_reports")
    with old.begin() as connection:
        STEPS[before](connection)
    assert days(old) == whole
    with old.begin() as connection:
        fill_days(connection)
    assert days(old) == whole
    old.close()


def test_days_go_with_their_bins(ledger: Ledger) -> None:
    """When the last of a day's bins has gone, not before."""
    made = [Bin("a", MIDNIGHT + n * BIN_MS, "UP", False, 1) for n in range(2 * BINS_A_DAY)]
    commit(ledger, Facts(0, bins=made), now_ms=0)
    now_ms = MIDNIGHT + 2 * DAY_MS - BIN_MS
    while trim_bins(ledger, now_ms, keep_days=1):
        assert (MIDNIGHT, "a") in days(ledger)
    assert trim_bins(ledger, now_ms + BIN_MS, keep_days=1) == 1
    assert list(days(ledger)) == [(MIDNIGHT + DAY_MS, "a")]


def test_speed_tests_are_kept_and_replaced(ledger: Ledger) -> None:
    """One for a device and time, and the old ones go."""
    first = SpeedTest("p", MIDNIGHT, 10.0, None)
    tests = [first, first._replace(down_mbps=11.0), first._replace(at_ms=MIDNIGHT + DAY_MS)]
    commit(ledger, Facts(0, speed_tests=tests), now_ms=0)
    second = first._replace(at_ms=MIDNIGHT + 5, rtt_ms=7.5)
    commit(ledger, Facts(1, speed_tests=[second, first._replace(up_mbps=3.0)]), now_ms=0)
    with ledger.read() as connection:
        rows = connection.execute(select(speed_days)).all()
    found = [test for _, device, packed in sorted(rows) for test in unpacked(device, packed)]
    assert found == [first._replace(up_mbps=3.0), second, tests[2]]
    assert trim_speed_tests(ledger, MIDNIGHT + 2 * DAY_MS - 1, keep_days=1) == 0
    assert trim_speed_tests(ledger, MIDNIGHT + 2 * DAY_MS, keep_days=1) == 1

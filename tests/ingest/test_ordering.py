"""Ordering: in order nothing waits; out of order everything is judged as its device numbered it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.heard import Heard, Rounds
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from ingest.ordering import MOST_HELD, NONE, Ordering, Said
from tests.detection.feed import START_MS, device

MINUTE_MS = 60_000
WINDOW_MS = 3 * MINUTE_MS  # of a device that reports once a minute
TICK_MS = 10_000


class Round(NamedTuple):
    """A round as it arrives, whose value is its number; times in minutes after the start."""

    seq: int
    at: float
    after: float = 0.0
    boot: str | None = "a"
    refused: bool = False
    bare: bool = False

    @property
    def received_ms(self) -> int:
        """When it arrives."""
        return START_MS + round((self.at + self.after) * MINUTE_MS)


class Desk:
    """One thermometer and the ordering of its rounds."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.number = self.catalogue.add(device(), KINDS["environment"].metrics["temperature_c"])
        self.ordering = Ordering(self.catalogue)

    def say(self, *some: Round) -> list[int]:
        """Numbers of the rounds that one batch lets be judged, in that order."""
        return numbers(self.ordering.take(self.heard(some)))

    def tick(self, minute: float) -> list[int]:
        """Numbers of the rounds that time lets be judged."""
        return numbers(self.ordering.tick(START_MS + round(minute * MINUTE_MS)))

    def restart(self) -> None:
        """Go on from a snapshot."""
        state = self.ordering.snapshot()
        self.ordering = Ordering(self.catalogue)
        self.ordering.restore(state)

    def heard(self, some: tuple[Round, ...]) -> Heard:
        """A batch, as ingest makes it."""
        at_ms = np.array([START_MS + round(r.at * MINUTE_MS) for r in some], np.int64)
        received_ms = np.array([r.received_ms for r in some], np.int64)
        late = at_ms < received_ms - WINDOW_MS
        refused = np.array([r.refused for r in some], np.bool_)
        bare = np.array([r.bare for r in some], np.bool_)
        seq = np.array([r.seq for r in some], np.int64)
        every = Readings(
            np.full(len(some), self.number, np.int32), at_ms, received_ms, seq.astype(np.float64)
        )
        place = np.arange(len(some), dtype=np.int32)
        uptime_s = np.full(len(some), np.nan)
        boots = [r.boot for r in some]
        who = np.zeros(len(some), np.int32)
        rounds = Rounds(who, at_ms, received_ms, late, boots, seq, uptime_s, {})
        good, bad = ~refused & ~bare, refused & ~late
        return Heard(
            every.take(good), ~late[good], place[good], rounds, [],
            impossible=every.take(bad), impossible_round=place[bad],
        )  # fmt: skip


def numbers(said: Said | None) -> list[int]:
    """What is judged, refused rounds below zero."""
    if said is None:
        return []
    return [*said.readings.value.astype(int), *-said.impossible.value.astype(int)]


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    assert made.say(Round(10, 0)) == [10]
    return made


def test_in_order_nothing_waits(desk: Desk) -> None:
    """Each round is judged with the batch that brings it."""
    assert desk.say(Round(11, 1)) == [11]
    assert desk.say(Round(12, 2), Round(13, 3), Round(14, 4, refused=True)) == [12, 13, -14]
    assert desk.tick(100) == []


def test_what_overtook_waits_for_what_it_overtook(desk: Desk) -> None:
    """Both are judged in order as soon as the slower one comes, values refused included."""
    assert desk.say(Round(12, 2)) == []
    assert desk.say(Round(13, 3, refused=True)) == []
    assert desk.tick(3.5) == []
    assert desk.say(Round(11, 1, after=2.6)) == [11, 12, -13]
    assert desk.say(Round(14, 4)) == [14]


def test_a_lost_round_is_waited_for_until_it_would_be_late(desk: Desk) -> None:
    """Then what waited is judged, and the next ones at once again."""
    assert desk.say(Round(12, 2)) == []
    assert desk.say(Round(13, 3)) == []
    assert desk.tick(2 + 3 - 0.01) == []
    assert desk.tick(2 + 3) == [12, 13]
    assert desk.say(Round(14, 4)) == [14]


def test_two_gaps_are_waited_for_one_after_the_other(desk: Desk) -> None:
    """Behind a second gap it waits longer."""
    assert desk.say(Round(12, 2), Round(14, 4)) == []
    assert desk.tick(5) == [12]
    assert desk.say(Round(13, 3, after=2.5)) == [13, 14]


def test_what_comes_late_is_no_reason_to_wait(desk: Desk) -> None:
    """Backfill is not judged here, and what is missing before it is older still."""
    assert desk.say(Round(60, 50)) == []
    assert desk.say(Round(11, 1, after=49.1), Round(30, 20, after=30.1)) == []
    assert desk.say(Round(59, 49, after=1.2)) == []
    assert desk.say(Round(57, 47, after=3.2)) == []
    assert desk.say(Round(58, 48, after=2.3)) == [58, 59, 60]
    assert desk.say(Round(62, 52), Round(63, 52.01, after=3.01)) == [62]


def test_a_round_without_a_value_is_told_in_its_turn(desk: Desk) -> None:
    """That the device goes on is known once everything before was judged, and after a restart."""

    def bare(*some: Round) -> list[tuple[int, int]]:
        return desk.ordering.take(desk.heard(some)).bare

    def at(*minutes: int) -> list[tuple[int, int]]:
        return [(0, START_MS + n * MINUTE_MS) for n in minutes]

    assert bare(Round(11, 1)) == []
    assert bare(Round(12, 2, bare=True)) == at(2)
    assert bare(Round(14, 4, bare=True), Round(15, 5)) == []
    desk.restart()
    assert bare(Round(13, 3, after=1.5, bare=True)) == at(3, 4)
    assert bare(Round(16, 6, after=4, bare=True)) == []  # it came late


def test_what_says_no_number_is_judged_as_it_comes(desk: Desk) -> None:
    """There is nothing to order it by."""
    assert desk.say(Round(-1, 5), Round(-1, 4)) == [-1, -1]
    assert desk.say(Round(30, 5, boot=None)) == [30]
    assert desk.say(Round(11, 1)) == [11]


def test_what_comes_again_does_not_wait(desk: Desk) -> None:
    """Redelivery is for the detectors to skip."""
    assert desk.say(Round(12, 2), Round(12, 2, after=1)) == []
    assert desk.say(Round(11, 1, after=2)) == [11, 12]
    assert desk.say(Round(11, 1, after=2.5)) == [11]
    assert desk.say(Round(14, 4), Round(14, 4, after=1, refused=True)) == []
    assert desk.say(Round(13, 3, after=2)) == [13, 14]


@pytest.mark.parametrize("first", [0, 1])
def test_a_new_boot_begins_with_its_first_round(desk: Desk, first: int) -> None:
    """What waited for rounds of the old one is judged; in the new one it is waited again."""
    assert desk.say(Round(12, 2)) == []
    assert desk.say(Round(first, 3, boot="b")) == [12, first]
    assert desk.say(Round(first + 1, 4, boot="b")) == [first + 1]
    assert desk.say(Round(11, 1, after=3.0)) == [11]
    assert desk.say(Round(9, 8, boot="c")) == []
    assert desk.tick(11) == [9]


def test_two_devices_with_one_name_do_not_wait_for_each_other(desk: Desk) -> None:
    """Boots that take turns are each as it comes."""
    assert desk.say(Round(500, 0.5, boot="b")) == []
    assert desk.say(Round(11, 1)) == [500, 11]
    for n in range(1, 5):
        assert desk.say(Round(500 + n, n + 0.5, boot="b")) == [500 + n]
        assert desk.say(Round(11 + n, n + 1)) == [11 + n]


def test_what_waits_is_bounded(desk: Desk) -> None:
    """A device that numbers with gaps fills no memory."""
    held = [Round(12 + n, 2 + n / 1000) for n in range(MOST_HELD + 1)]
    assert desk.say(*held[:-1]) == []
    assert desk.say(held[-1]) == [r.seq for r in held]


def test_a_clock_that_is_set_back_makes_nobody_wait_longer(desk: Desk) -> None:
    """From the time to which it was set, at most the window."""
    assert desk.say(Round(12, 600)) == []
    desk.ordering.resume(START_MS)
    assert desk.tick(2.9) == []
    assert desk.tick(3) == [12]


def test_a_device_that_is_not_known_any_more_is_left_out(desk: Desk) -> None:
    """The others go on."""
    desk.say(Round(12, 2))
    other = Ordering(Catalogue())
    other.restore(desk.ordering.snapshot())
    assert other.tick(START_MS + 10**9) is None


@settings(max_examples=150, deadline=None)
@given(
    spoken=st.lists(st.tuples(st.booleans(), st.integers(0, 17), st.booleans()), max_size=25),
    cuts=st.sets(st.integers(0, 25)),
    restarts=st.sets(st.integers(0, 25)),
)
def test_any_order_within_the_window_is_put_right(
    spoken: list[tuple[bool, int, bool]], cuts: set[int], restarts: set[int]
) -> None:
    """All that came is judged once and in order, when what is missing would be late at the latest.

    Some rounds are lost; the others are late by up to three minutes. Batches and restarts change
    nothing.
    """
    rounds = [Round(0, 0)]
    for n, (lost, tens, refused) in enumerate(spoken, 1):
        if not lost:
            rounds.append(Round(n, n, tens / 6, refused=refused))
    arriving = sorted(rounds, key=lambda r: r.received_ms)
    judged = list(_judged(arriving, cuts=set(), restarts=set()))
    for refused in (False, True):
        came = [seq for seq, _ in judged if (seq < 0) == refused]
        assert came == [-r.seq if refused else r.seq for r in rounds if r.refused == refused]
    by_seq = {r.seq: r for r in rounds}
    for seq, known_ms in judged:
        said = by_seq[abs(seq)]
        assert known_ms - TICK_MS < START_MS + said.at * MINUTE_MS + WINDOW_MS
    assert list(_judged(arriving, cuts=cuts, restarts=restarts)) == judged


def _judged(
    arriving: list[Round], *, cuts: set[int], restarts: set[int]
) -> Iterator[tuple[int, int]]:
    """What is judged by the tick after it, in batches that end at the cuts and at each tick."""
    desk, at = Desk(), 0
    for now_ms in range(START_MS, START_MS + 40 * MINUTE_MS, TICK_MS):
        batch: list[Round] = []
        found: list[int] = []
        while at < len(arriving) and arriving[at].received_ms <= now_ms:
            batch.append(arriving[at])
            if at in cuts:
                found += desk.say(*batch)
                batch = []
            if at in restarts:
                desk.restart()
            at += 1
        found += desk.say(*batch) if batch else []
        found += numbers(desk.ordering.tick(now_ms))
        yield from ((seq, now_ms) for seq in sorted(found, key=lambda seq: seq < 0))


def test_nothing_said_is_nothing_judged() -> None:
    """An empty batch is in order."""
    said = Desk().ordering.take(Desk().heard(()))
    assert (len(said.readings), len(said.impossible), len(NONE)) == (0, 0, 0)

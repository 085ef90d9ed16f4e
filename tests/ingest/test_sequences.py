"""Receipts, requests to send again, and what is given up, as time passes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.catalogue import Catalogue
from devices.sequences import Range
from devices.wire import Receipt, Resend
from ingest.intake import Intake
from ingest.journal import Record
from ingest.sequences import GIVE_UP_AFTER_MS, MOST_BOOTS, Sequences
from storage.ledger.sequences import SequenceRow
from tests.path.platform import one_office

NOW = 1_790_000_000_000


class World:
    """Sequences with an intake before them, at a time that the test moves."""

    def __init__(self) -> None:
        self.ledger: dict[tuple[str, str], SequenceRow] = {}
        self.sequences = Sequences(self._recall)
        self.intake = Intake(one_office(), Catalogue())
        self.now_ms = NOW
        self.rows: list[SequenceRow] = []

    def _recall(self, device: str, boot: str) -> SequenceRow | None:
        return self.ledger.get((device, boot))

    def missing(self, boot: str) -> set[int]:
        """What the ledger says has not come of a boot."""
        row = self.ledger.get(("p0", boot))
        return set() if row is None else numbers_in([*row.waiting, *row.lost])

    def come(self, *numbers: int, boot: str = "b") -> None:
        rounds = [{"seq": n, "ts": NOW + n, "m": {"dns_ms": 1.0}} for n in numbers]
        payload: Any = {"v": 1, "boot": boot, "r": rounds}
        record = Record(0, self.now_ms, "gov/v1/LA-LP/p0/telemetry", json.dumps(payload).encode())
        self.sequences.take(self.intake.take([record]))

    def pass_s(self, seconds: float) -> list[Receipt | Resend]:
        """What is said after so many seconds, looked at every ten."""
        said = []
        until = self.now_ms + round(seconds * 1000)
        while self.now_ms < until:
            self.now_ms += 10_000
            downlinks, rows = self.sequences.look(self.now_ms)
            said += [one.said for one in downlinks]
            self.rows += rows
            self.ledger |= {(row.device, row.boot): row for row in rows}
        return said


def numbers_in(ranges: list[Range]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def test_a_receipt_is_cumulative_and_at_most_every_ten_seconds() -> None:
    """Many rounds give one receipt, for the last of them."""
    world = World()
    world.come(1, 2, 3)
    assert world.pass_s(10) == [Receipt("b", 3)]
    assert world.sequences.look(world.now_ms + 1) == ([], [])
    world.come(4)
    assert world.pass_s(10) == [Receipt("b", 4)]
    assert world.pass_s(600) == []


def test_a_gap_holds_the_receipt_and_is_asked_for() -> None:
    """Nothing beyond a gap is receipted; the gap is asked for until it comes."""
    world = World()
    world.come(1, 2, 6, 7)
    assert world.pass_s(10) == [Receipt("b", 2)]
    assert Resend("b", 3, 5) in world.pass_s(60)
    world.come(4)
    world.come(3, 5)
    assert world.pass_s(10) == [Receipt("b", 7)]
    assert world.pass_s(600) == []


def test_a_beginning_that_has_not_come_is_asked_for_too() -> None:
    """A backlog that is still on its way is not receipted by the live rounds before it."""
    world = World()
    world.come(100, 101)
    assert world.pass_s(20) == []
    assert Resend("b", 1, 99) in world.pass_s(60)
    world.come(*range(1, 100))
    assert world.pass_s(10) == [Receipt("b", 101)]


def test_what_never_comes_is_known_as_missing() -> None:
    """After a bounded time without progress the gap is lost, listed, and the receipt goes on."""
    world = World()
    world.come(1, 2, 5)
    said = world.pass_s(GIVE_UP_AFTER_MS / 1000 + 60)
    assert said[-1] == Receipt("b", 5)
    assert 5 <= said.count(Resend("b", 3, 4)) <= 11
    assert world.rows[-1] == ("p0", "b", 5, [], [(3, 4)])
    world.come(3)
    world.pass_s(10)
    assert world.rows[-1] == ("p0", "b", 5, [], [(4, 4)])


def test_progress_keeps_a_slow_backlog_from_being_given_up() -> None:
    """As long as missing rounds come, however slowly, none is given up."""
    world = World()
    world.come(40)
    said = []
    for number in range(39, 0, -1):
        world.come(number)
        said += world.pass_s(300)
    assert [one for one in said if isinstance(one, Receipt)] == [Receipt("b", 40)]
    assert world.rows[-1] == ("p0", "b", 40, [], [])


def test_boots_are_told_apart() -> None:
    """A restarted device counts anew; the old boot's rounds may still come."""
    world = World()
    world.come(1, 2, boot="old")
    world.come(1, boot="new")
    world.come(3, boot="old")
    assert world.pass_s(10) == [Receipt("new", 1)]  # one receipt a device, in turn
    assert world.pass_s(10) == [Receipt("old", 3)]


def test_a_receipt_that_was_not_heard_is_said_again() -> None:
    """A device that sends receipted rounds again has lost the receipt: it gets another one."""
    world = World()
    world.come(1, 2, 3)
    assert world.pass_s(10) == [Receipt("b", 3)]
    world.come(2)
    assert world.pass_s(60) == [Receipt("b", 3)]


def test_the_boot_that_runs_is_not_forgotten_for_old_ones() -> None:
    """A device that restarted often sends many boots after an outage; the live one stays known."""
    world = World()
    for number in range(1, 12):
        world.come(number, boot="live")
        world.come(1, boot=f"old-{number}")
    said = world.pass_s(600)
    assert Receipt("live", 11) in said
    assert not [one for one in said if isinstance(one, Resend)]


def test_a_round_that_is_refused_is_receipted() -> None:
    """What is in quarantine is on our disk: the device must not send it for ever."""
    world = World()
    payload = b'{"v":1,"boot":"b","seq":1,"ts":1000,"m":{"dns_ms":1}}'
    record = Record(0, NOW, "gov/v1/LA-LP/p0/telemetry", payload)
    world.sequences.take(world.intake.take([record]))
    assert world.pass_s(10) == [Receipt("b", 1)]


def test_a_state_goes_on_where_it_was() -> None:
    """After a restart gaps and losses are as they were, and the receipt is said again."""
    world = World()
    world.come(1, 2, 5)
    world.pass_s(20)
    state = world.sequences.state()
    world.sequences = Sequences(world._recall)
    world.sequences.restore(state)
    assert world.pass_s(10) == [Receipt("b", 2)]
    world.come(3, 4)
    assert world.pass_s(10) == [Receipt("b", 5)]


def test_a_boot_that_comes_again_after_many_others_has_lost_nothing() -> None:
    """What came of a boot before it was left is remembered; only what is missing is missed."""
    world = World()
    world.come(*range(1, 51), 53, boot="first")
    world.pass_s(10)
    for number in range(MOST_BOOTS + 2):
        world.come(1, boot=f"other-{number}")
    world.pass_s(10)
    assert world.ledger["p0", "first"] == ("p0", "first", 53, [], [(51, 52)])
    world.come(54, 55, boot="first")
    said = world.pass_s(GIVE_UP_AFTER_MS / 1000 + 120)
    assert world.missing("first") == {51, 52}
    assert Resend("first", 51, 52) in said
    assert not [one for one in said if isinstance(one, Resend) and one.from_seq < 51]
    assert Receipt("first", 55) in said


def test_a_boot_that_is_left_before_the_ledger_knows_it_is_remembered() -> None:
    """Between two looks too."""
    world = World()
    world.come(1, 2, 3, boot="first")
    for number in range(MOST_BOOTS):
        world.come(1, boot=f"other-{number}")
    world.come(4, boot="first")
    world.pass_s(GIVE_UP_AFTER_MS / 1000 + 120)
    assert world.missing("first") == set()


BOOTS = [f"b{number}" for number in range(MOST_BOOTS + 3)]
arrivals = st.tuples(st.sampled_from(BOOTS), st.lists(st.integers(1, 12), min_size=1, max_size=5))
pauses = st.sampled_from([10, 60, 700])


@settings(max_examples=300, deadline=None)
@given(st.lists(arrivals | pauses, max_size=40))
def test_what_is_missing_is_what_has_not_come(steps: list[Any]) -> None:
    """Any order, repetition, number of boots and time: all that is missing, and none falsely.

    Against a set per boot. A receipt covers what has come, or what is listed as missing.
    """
    world = World()
    came: dict[str, set[int]] = {}
    for step in [*steps, 10]:
        if isinstance(step, tuple):
            boot, numbers = step
            world.come(*numbers, boot=boot)
            came.setdefault(boot, set()).update(numbers)
            continue
        said = world.pass_s(step)
        for boot, numbers in came.items():
            assert world.missing(boot) == set(range(1, max(numbers))) - numbers, boot
        for one in said:
            if isinstance(one, Receipt):
                lost = numbers_in(world.ledger["p0", one.boot].lost)
                assert set(range(1, one.seq + 1)) <= came[one.boot] | lost
            else:
                assert set(range(one.from_seq, one.to_seq + 1)) - came[one.boot]


@settings(max_examples=50, deadline=None)
@given(st.lists(arrivals, min_size=1, max_size=30))
def test_a_device_gets_one_receipt_at_a_time(steps: list[Any]) -> None:
    """However many boots come, ten seconds bring one receipt, and each gets its own in the end."""
    world = World()
    came: dict[str, set[int]] = {}
    for boot, numbers in steps:
        world.come(*numbers, boot=boot)
        came.setdefault(boot, set()).update(numbers)
    heard = set()
    for _ in range(MOST_BOOTS):
        receipts = [one for one in world.pass_s(10) if isinstance(one, Receipt)]
        assert len(receipts) <= 1
        heard |= {one.boot for one in receipts}
    followed = list(dict.fromkeys(boot for boot, _ in reversed(steps)))[:MOST_BOOTS]
    assert heard == {boot for boot in followed if 1 in came[boot]}

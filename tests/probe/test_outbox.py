"""The outbox on real files: nothing goes before its receipt, kill -9 and bad disks included."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.probe.outbox import LONGEST_PATIENCE_MS, PATIENCE_MS, Outbox, Parcel
from devices.probe.outbox_file import OutboxError
from devices.wire import Message, Round, encode_batch
from devices.wire.message import MAX_BYTES

EVER = -(10**15)
WRITER = """
import sys
from devices.probe.outbox import Outbox
from devices.wire import Round
outbox = Outbox(sys.argv[1], 10_000, boot=sys.argv[2])
while True:
    seq = outbox.add(Round(None, 1_790_000_000_000, {"dns_ms": 1.5}, None))
    print(seq, flush=True)
"""
LIMITED = """
import resource, signal, sys
from devices.probe.outbox import Outbox, OutboxError
from devices.wire import Round
outbox = Outbox(sys.argv[1], 10_000, boot="b")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
added = refused = 0
while refused < 3:
    try:
        added = outbox.add(Round(None, 1, {"dns_ms": 1.5}, None))
    except OutboxError:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
assert outbox.add(Round(None, 1, {}, None)) == added + 1
print(added + 1)
"""


def a_round(at_ms: int = 1000, **values: float) -> Round:
    return Round(None, at_ms, values, None)


def seqs(parcel: Parcel | None) -> list[int | None]:
    return [] if parcel is None else [said.seq for said in parcel.rounds]


def drained(outbox: Outbox, most: int = 100) -> list[tuple[str, list[int | None]]]:
    """Everything that waits, acknowledged on the way."""
    found = []
    while parcel := outbox.next_live(EVER) or outbox.next_backlog(most):
        outbox.acknowledged(parcel)
        found.append((parcel.boot, seqs(parcel)))
    return found


def test_a_round_comes_back_as_it_was(tmp_path: Path) -> None:
    """Values, booleans, attributes and the time survive the file; seq counts from 1."""
    said = Round(77, 1_790_000_000_123, {"dns_ms": 14.2, "content_ok": True}, {"nat_by": "icmp"})
    outbox = Outbox(tmp_path / "o.db", 10)
    assert [outbox.add(said), outbox.add(a_round())] == [1, 2]
    outbox.close()
    again = Outbox(tmp_path / "o.db", 10)
    assert again.next_live(EVER) is None
    assert again.next_backlog(1) == Parcel(outbox.boot, [said._replace(seq=1)])
    assert again.boot != outbox.boot
    again.close()


def test_fresh_rounds_go_live_and_old_ones_as_backlog() -> None:
    """A round older than the bound goes to the backlog; a fresh one goes first and alone."""
    outbox = Outbox(":memory:", 10)
    for at_ms in (100, 200, 300):
        outbox.add(a_round(at_ms))
    assert seqs(outbox.next_backlog(5)) == []
    assert seqs(outbox.next_live(200)) == [2]
    assert seqs(outbox.next_backlog(5)) == [1]
    assert seqs(outbox.next_live(200)) == [3]


def test_only_a_receipt_lets_go(tmp_path: Path) -> None:
    """What the broker acknowledged stays, also over a restart, until a receipt covers it."""
    first = Outbox(tmp_path / "o.db", 10)
    for _ in range(4):
        first.add(a_round())
    assert drained(first) == [(first.boot, [n]) for n in (1, 2, 3, 4)]
    assert len(first) == 4
    assert first.receipt("another", 4) == 0
    assert first.receipt(first.boot, 2) == 2
    first.close()
    second = Outbox(tmp_path / "o.db", 10)
    second.add(a_round())
    assert len(second) == 3
    assert second.next_backlog(9) is None  # they were sent
    assert second.receipt(second.boot, 99) == 0  # own rounds alone, and none was sent
    second.session_lost()
    assert drained(second) == [(second.boot, [1]), (first.boot, [3, 4])]
    assert second.receipt(first.boot, 4) == 2
    assert len(second) == 1
    second.close()


def test_a_receipt_passes_over_what_was_never_sent() -> None:
    """The platform's receipts go past what it gave up; what it never got is still sent."""
    outbox = Outbox(":memory:", 10)
    for at_ms in (100, 200, 900):
        outbox.add(a_round(at_ms))
    live = outbox.next_live(900)
    assert live is not None
    outbox.acknowledged(live)
    assert outbox.receipt(outbox.boot, 3) == 1
    assert drained(outbox) == [(outbox.boot, [1, 2])]


def test_resend_answers_with_what_is_still_here() -> None:
    """Receipted and dropped rounds are gone; those that wait or are under way are not doubled."""
    outbox = Outbox(":memory:", 6)
    for _ in range(8):
        outbox.add(a_round())
    assert (len(outbox), outbox.dropped) == (6, 2)
    drained(outbox)
    outbox.receipt(outbox.boot, 4)
    assert outbox.resend(outbox.boot, 1, 6) == 2
    assert outbox.resend(outbox.boot, 1, 2**53 - 1) == 2
    assert outbox.resend("another", 1, 6) == 0
    parcel = outbox.next_backlog(100)
    assert seqs(parcel) == [5, 6, 7, 8]
    assert outbox.resend(outbox.boot, 1, 9) == 0
    assert drained(outbox) == []


def test_what_has_no_receipt_goes_again_less_and_less_often() -> None:
    """After five minutes, then ten, twenty, at most six hours; a receipt ends it."""
    outbox = Outbox(":memory:", 10)
    outbox.add(a_round())
    outbox.add(a_round())
    now_ms, waits = 0, []
    for _ in range(9):
        drained(outbox)
        outbox.overdue(now_ms)
        start_ms = now_ms
        while not outbox.overdue(now_ms):
            now_ms += 60_000
        waits.append(now_ms - start_ms)
    assert waits[:3] == [PATIENCE_MS, 2 * PATIENCE_MS, 4 * PATIENCE_MS]
    assert waits[-1] == LONGEST_PATIENCE_MS
    assert outbox.receipt(outbox.boot, 2) == 2
    assert outbox.overdue(now_ms + 10 * LONGEST_PATIENCE_MS) == 0
    assert drained(outbox) == []


def test_a_parcel_is_of_one_boot_and_fits_a_message(tmp_path: Path) -> None:
    """Batches end at a boot's end, at `most` rounds and long before a message's bound."""
    boots = []
    for count in (3, 2):
        outbox = Outbox(tmp_path / "o.db", 1000)
        boots.append(outbox.boot)
        for _ in range(count):
            outbox.add(a_round())
        outbox.close()
    outbox = Outbox(tmp_path / "o.db", 1000)
    text = "x" * 10_000
    for _ in range(30):
        outbox.add(Round(None, 5, {}, {"provider": text}))
    outbox.next_live(6)
    parcels = []
    while parcel := outbox.next_backlog(2):
        parcels.append((parcel.boot, seqs(parcel)))
        if len(parcels) == 3:
            break
    assert parcels == [(boots[0], [1, 2]), (boots[0], [3]), (boots[1], [1, 2])]
    parcel = outbox.next_backlog(100)
    assert parcel is not None
    assert 4 < len(parcel.rounds) < 8
    assert len(encode_batch(Message(parcel.boot, parcel.rounds, [], None))) < MAX_BYTES / 2
    outbox.close()


def test_a_value_that_no_message_can_hold_is_refused_at_once() -> None:
    """A NaN would stop every later start; it is refused, and its number stays free."""
    outbox = Outbox(":memory:", 10)
    with pytest.raises(ValueError, match="dns_ms"):
        outbox.add(a_round(dns_ms=float("nan")))
    assert outbox.add(a_round()) == 1


STEP = st.one_of(
    st.tuples(st.just("add"), st.just(0)),
    st.tuples(st.just("live"), st.integers(0, 60)),
    st.tuples(st.just("backlog"), st.integers(1, 5)),
    st.tuples(st.just("acknowledge"), st.integers(0, 10)),
    st.tuples(st.just("receipt"), st.integers(0, 60)),
    st.tuples(st.just("resend"), st.integers(0, 60)),
    st.tuples(st.just("forgotten"), st.just(0)),
    st.tuples(st.just("overdue"), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=60), st.integers(1, 12))
def test_every_round_is_kept_receipted_or_dropped(steps: list[tuple[str, int]], size: int) -> None:
    """After any steps every round is accounted for, and what is kept can still be sent."""
    outbox = Outbox(":memory:", size)
    added = receipted = now_ms = 0
    under_way: list[Parcel] = []
    handed: set[int | None] = set()
    for what, number in steps:
        if what == "add":
            added += 1
            assert outbox.add(a_round(added)) == added
        elif what in ("live", "backlog"):
            taken = outbox.next_live(number) if what == "live" else outbox.next_backlog(number)
            flying = {n for parcel in under_way for n in seqs(parcel)}
            assert not flying & set(seqs(taken))
            under_way += [taken] if taken else []
        elif what == "acknowledge" and under_way:
            parcel = under_way.pop(number % len(under_way))
            outbox.acknowledged(parcel)
            handed |= set(seqs(parcel))
        elif what == "receipt":
            receipted += outbox.receipt(outbox.boot, number)
        elif what == "resend":
            outbox.resend(outbox.boot, number // 2, number)
        elif what == "forgotten":
            outbox.session_lost()
        elif what == "overdue":
            now_ms += LONGEST_PATIENCE_MS
            outbox.overdue(now_ms)
        assert len(outbox) + receipted + outbox.dropped == added
        assert len(outbox) <= size
        assert len(outbox) - len(handed) <= outbox.unsent <= len(outbox)
    for parcel in under_way:
        outbox.acknowledged(parcel)
    outbox.session_lost()
    everything = [n for _, numbers in drained(outbox) for n in numbers]
    assert len(everything) == len(set(everything)) == len(outbox)
    assert outbox.unsent == 0
    assert outbox.receipt(outbox.boot, added) == len(everything)
    outbox.close()


def test_what_was_added_survives_kill_9(tmp_path: Path) -> None:
    """A writer killed at random instants leaves every round whose number it had said."""
    chance = random.Random(7)
    file = tmp_path / "o.db"
    promised = {}
    for turn in range(8):
        command = [sys.executable, "-c", WRITER, str(file), f"boot-{turn}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randrange(1, 200)):
                said = writer.stdout.readline()
            writer.kill()
            rest = writer.stdout.read().rpartition("\n")[0].split("\n")
            promised[f"boot-{turn}"] = int(rest[-1] or said)
    outbox = Outbox(file, 10_000)
    kept: dict[str, list[int | None]] = {}
    while parcel := outbox.next_backlog(100):
        kept.setdefault(parcel.boot, []).extend(seqs(parcel))
    outbox.close()
    for boot, last in promised.items():
        assert kept[boot] in (list(range(1, last + 1)), list(range(1, last + 2)))


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Two agents with one file would send under one name: the second is told."""
    outbox = Outbox(tmp_path / "o.db", 10)
    outbox.add(a_round())
    command = [sys.executable, "-c", WRITER, str(tmp_path / "o.db"), "x"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert "OutboxError" in second.stderr
    assert "locked" in second.stderr
    assert outbox.add(a_round()) == 2
    outbox.close()


@pytest.mark.parametrize("offset", [0, 100, 4096, -4096])
def test_a_damaged_file_is_put_aside(tmp_path: Path, offset: int) -> None:
    """A file that cannot be read any more is kept beside, and the device goes on."""
    file = tmp_path / "o.db"
    outbox = Outbox(file, 1000)
    for _ in range(200):
        outbox.add(a_round(dns_ms=1.5))
    outbox.close()
    content = bytearray(file.read_bytes())
    start = offset % len(content)
    content[start : start + 2000] = b"\xaa" * 2000
    file.write_bytes(content)
    again = Outbox(file, 1000)
    assert again.add(a_round()) == 1
    assert (tmp_path / "o.db.damaged").read_bytes() == bytes(content)
    again.close()


def test_a_damaged_round_goes_and_the_others_stay(tmp_path: Path) -> None:
    """A flipped bit that SQLite cannot see costs the round in which it is, and is counted."""
    file = tmp_path / "o.db"
    outbox = Outbox(file, 1000)
    for number in (1001, 1002, 1003):
        outbox.add(a_round(dns_ms=number))
    outbox.close()
    content = file.read_bytes()
    assert content.count(b'"dns_ms":1002') == 1
    file.write_bytes(content.replace(b'"dns_ms":1002', b'"dns_ms"\xba1002'))
    again = Outbox(file, 1000)
    assert (seqs(again.next_backlog(9)), again.dropped) == ([1, 3], 1)
    again.close()


def test_a_full_disk_is_said_and_passes(tmp_path: Path) -> None:
    """While the file cannot grow, add() raises and changes nothing; then it goes on, gap-free."""
    file = tmp_path / "o.db"
    command = [sys.executable, "-c", LIMITED, str(file)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    outbox = Outbox(file, 10_000)
    numbers: list[int | None] = []
    while parcel := outbox.next_backlog(100):
        numbers += seqs(parcel)
    assert numbers == list(range(1, int(run.stdout) + 1))
    outbox.close()


def test_a_path_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """A directory in the place of the file is named."""
    with pytest.raises(OutboxError, match=str(tmp_path)):
        Outbox(tmp_path, 10)

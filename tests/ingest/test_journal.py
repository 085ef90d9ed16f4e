"""The journal: what was appended is read back, whatever happened to the files."""

from __future__ import annotations

import os
import random
import resource
import signal
from pathlib import Path

import pytest

from ingest.journal import (
    RETAINED,
    Entry,
    JournalError,
    JournalFullError,
    JournalReader,
    JournalWriter,
    Record,
    Shortage,
)
from ingest.journal import writer as journal_writer
from ingest.journal.records import Segment, encode, segments

BOUND = 2**30


def entries(count: int, *, size: int = 40) -> list[Entry]:
    return [Entry(1_790_000_000_000 + n, f"gov/v1/LA-LP/d{n}/telemetry", os.urandom(size))
            for n in range(count)]  # fmt: skip


def written(directory: Path, batches: list[list[Entry]], *, bound: int = BOUND) -> None:
    writer = JournalWriter(directory, max_bytes=bound)
    for batch in batches:
        writer.append(batch)
    writer.close()


def read_all(reader: JournalReader) -> list[Record]:
    found: list[Record] = []
    while batch := reader.read(max_records=100):
        found += batch
    return found


def test_records_come_back_in_order_with_their_facts(tmp_path: Path) -> None:
    """Position, receive time, topic, payload and flags survive the disk."""
    writer = JournalWriter(tmp_path, max_bytes=BOUND)
    writer.append([Entry(5, "a/b", b"\x00x", RETAINED), Entry(6, "ສະບາຍດີ", b"")])
    reader = JournalReader(tmp_path, 0)
    assert read_all(reader) == [
        Record(0, 5, "a/b", b"\x00x", retained=True),
        Record(1, 6, "ສະບາຍດີ", b""),
    ]


def test_segments_roll_and_positions_go_on_after_reopening(tmp_path: Path) -> None:
    """Many segments and a restart read as one sequence without a gap."""
    wanted = entries(300, size=1500)
    written(tmp_path, [wanted[n : n + 10] for n in range(0, 200, 10)], bound=500_000)
    written(tmp_path, [wanted[200:]], bound=500_000)
    assert len(segments(tmp_path)) > 3
    found = read_all(JournalReader(tmp_path, 0))
    assert [r.position for r in found] == list(range(300))
    assert [r.payload for r in found] == [e.payload for e in wanted]


def test_reading_starts_at_any_position(tmp_path: Path) -> None:
    """A reader that resumes at its cursor gets exactly the records from there on."""
    written(tmp_path, [entries(50), entries(50)], bound=500_000)
    for position in (0, 1, 49, 50, 99, 100):
        found = read_all(JournalReader(tmp_path, position))
        assert [r.position for r in found] == list(range(position, 100))


def test_a_reader_can_go_back(tmp_path: Path) -> None:
    """After seek the records come again from there, also across segments."""
    written(tmp_path, [entries(10, size=400) for _ in range(20)], bound=160_000)
    reader = JournalReader(tmp_path, 0)
    read_all(reader)
    for position in (199, 0, 57):
        reader.seek(position)
        assert [r.position for r in read_all(reader)] == list(range(position, 200))
    assert reader.damaged == 0


def test_a_long_journal_is_read_across_buffers(tmp_path: Path) -> None:
    """Records that cross the reader's buffer are neither lost nor repeated."""
    written(tmp_path, [entries(40, size=200_000)])
    reader = JournalReader(tmp_path, 0)
    assert [r.position for r in read_all(reader)] == list(range(40))
    assert reader.damaged == 0


def test_the_beginning_of_a_huge_payload_is_kept(tmp_path: Path) -> None:
    """What no broker should let through is not damage: enough is kept to refuse it as too long."""
    huge = Entry(1, "t" * 65_535, b"x" * 2**21)
    written(tmp_path, [[*entries(1), huge, *entries(1)]])
    reader = JournalReader(tmp_path, 0)
    found = read_all(reader)
    assert [r.position for r in found] == [0, 1, 2]
    assert reader.damaged == 0
    assert len(found[1].payload) > 512 * 1024
    assert huge.payload.startswith(found[1].payload)


def test_released_segments_are_gone_and_the_rest_still_reads(tmp_path: Path) -> None:
    """Space behind all readers is given back, never a segment that is still needed."""
    written(tmp_path, [entries(10, size=400) for _ in range(20)], bound=160_000)
    reader = JournalReader(tmp_path, 0)
    read_all(reader)
    assert reader.release(below=105) > 0
    assert [r.position for r in read_all(JournalReader(tmp_path, 105))] == list(range(105, 200))


def test_a_lost_head_does_not_start_positions_again(tmp_path: Path) -> None:
    """A journal that was emptied goes on behind what it held, also without its head."""
    written(tmp_path, [entries(60)])
    writer = JournalWriter(tmp_path, max_bytes=BOUND)
    assert JournalReader(tmp_path, 60).release(below=60) == 1
    writer.close()
    (tmp_path / "head").unlink()
    writer = JournalWriter(tmp_path, max_bytes=BOUND)
    assert writer.position == 60
    writer.close()


def test_a_lost_journal_begins_where_it_is_told(tmp_path: Path) -> None:
    """What was processed of a journal that is gone keeps its positions."""
    writer = JournalWriter(tmp_path / "j", max_bytes=BOUND, begin=lambda: 70)
    assert writer.append(entries(2)) == 72
    writer.close()
    writer = JournalWriter(tmp_path / "j", max_bytes=BOUND, begin=lambda: 90)
    assert writer.position == 72
    writer.close()


def test_two_writers_are_refused_with_advice(tmp_path: Path) -> None:
    """A second receiver on the same data says what to do."""
    writer = JournalWriter(tmp_path, max_bytes=BOUND)
    with pytest.raises(JournalError, match="data directory of its own"):
        JournalWriter(tmp_path, max_bytes=BOUND)
    writer.close()
    JournalWriter(tmp_path, max_bytes=BOUND).close()


def test_the_bound_refuses_and_recovers(tmp_path: Path) -> None:
    """At its bound the journal takes nothing, and goes on once space was released."""
    writer = JournalWriter(tmp_path, max_bytes=10_000)
    for _ in range(9):
        writer.append(entries(10))
    with pytest.raises(JournalFullError, match="at most 10000"):
        writer.append(entries(30))
    kept = writer.position
    reader = JournalReader(tmp_path, 0)
    assert len(read_all(reader)) == kept
    reader.release(below=kept)
    assert writer.append(entries(1)) == kept + 1


@pytest.mark.parametrize("name", ["append", "shortage"])
def test_segments_may_go_while_the_writer_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What the reader deletes between the listing and the look at its size has no size."""
    writer = JournalWriter(tmp_path, max_bytes=10_000)
    for _ in range(9):
        writer.append(entries(10))
    reader = JournalReader(tmp_path, 0)
    kept = len(read_all(reader))
    released: list[int] = []

    def listed_late(directory: Path) -> list[Segment]:
        found = segments(directory)
        released.append(reader.release(below=kept))
        return found

    monkeypatch.setattr(journal_writer, "segments", listed_late)
    if name == "append":
        assert writer.append(entries(30)) == kept + 30  # more than the bound left before
    else:
        assert writer.shortage() is Shortage.BOUND  # a bound that no large group fits in
    assert released[0] > 1


def test_a_settled_segment_may_go_while_a_writer_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The position goes on where everything was settled, and deleted, during the start."""
    written(tmp_path, [entries(10)], bound=BOUND)
    (segment,) = segments(tmp_path)

    def listed_late(directory: Path) -> list[Segment]:
        segment.path.unlink(missing_ok=True)
        return [segment]

    monkeypatch.setattr(journal_writer, "segments", listed_late)
    assert JournalWriter(tmp_path, max_bytes=BOUND).position == 10


def test_a_full_disk_keeps_nothing_of_the_refused_batch(tmp_path: Path) -> None:
    """When the file cannot grow, the batch is refused whole and the next one fits again."""
    writer = JournalWriter(tmp_path, max_bytes=BOUND)
    writer.append(entries(5))
    size = sum(s.path.stat().st_size for s in segments(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, limits[1]))
    try:
        with pytest.raises(JournalFullError):
            writer.append(entries(5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert writer.append(entries(2)) == 7
    assert [r.position for r in read_all(JournalReader(tmp_path, 0))] == list(range(7))


def test_a_torn_tail_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Half a record at the end is ignored, and its position is used again."""
    written(tmp_path, [entries(5)])
    (segment,) = segments(tmp_path)
    torn = encode(5, entries(1)[0], segment.seed)[:-7]
    with segment.path.open("ab") as file:
        file.write(torn)
    written(tmp_path, [entries(3)])
    reader = JournalReader(tmp_path, 0)
    assert [r.position for r in read_all(reader)] == list(range(8))
    assert reader.damaged == 0


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_a_torn_first_group_of_a_segment_hides_nothing(tmp_path: Path, seed: int) -> None:
    """A segment without a sound record does not stand before the one that takes its position."""
    written(tmp_path, [entries(5)])
    torn = encode(5, entries(1)[0], seed)[:-7]
    (tmp_path / f"{5:020d}-{seed:08x}.seg").write_bytes(torn)
    written(tmp_path, [entries(3)])
    for position in (0, 5):
        reader = JournalReader(tmp_path, position)
        assert [r.position for r in read_all(reader)] == list(range(position, 8))
        assert reader.damaged == 0


@pytest.mark.parametrize("head_survives", [True, False])
def test_any_flipped_bit_costs_at_most_its_record(tmp_path: Path, head_survives: bool) -> None:
    """With one bit flipped anywhere, the other records are read and the loss is counted."""
    wanted = entries(12)
    after = entries(1)
    rng = random.Random(7)
    for attempt in range(300):
        directory = tmp_path / str(attempt)
        written(directory, [wanted])
        (segment,) = segments(directory)
        content = bytearray(segment.path.read_bytes())
        bit = rng.randrange(len(content) * 8)
        content[bit // 8] ^= 1 << bit % 8
        segment.path.write_bytes(content)
        if not head_survives:
            (directory / "head").unlink()
        written(directory, [after])
        reader = JournalReader(directory, 0)
        found = read_all(reader)
        payloads = [r.payload for r in found]
        lost = [e for e in wanted if e.payload not in payloads]
        assert len(lost) == 1, f"bit {bit}"
        assert reader.damaged == (1 if head_survives or lost[0] is not wanted[-1] else 0)
        assert found[-1].payload == after[0].payload


def test_a_payload_cannot_pose_as_a_record(tmp_path: Path) -> None:
    """A record written into a payload is not found when the record around it is damaged."""
    forged = encode(1, Entry(1, "gov/v1/LA-LP/victim/telemetry", b"{}"), 0)
    written(tmp_path, [[Entry(1, "t", forged), Entry(2, "t", b"real")]])
    (segment,) = segments(tmp_path)
    content = bytearray(segment.path.read_bytes())
    content[0] ^= 1
    segment.path.write_bytes(content)
    assert [r.payload for r in read_all(JournalReader(tmp_path, 0))] == [b"real"]

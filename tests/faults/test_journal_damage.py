"""The journal with one bit flipped anywhere, or torn at any byte: it opens, and counts its loss."""

from __future__ import annotations

import random
import shutil
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ingest.journal import Entry, JournalReader, JournalWriter, Record
from ingest.journal.head import Head
from ingest.journal.records import (
    BODY,
    CHECKED_FROM,
    PREFIX,
    Segment,
    encode,
    scan,
    segments,
)
from tests.faults.guarantees import record, seed, size

pytestmark = pytest.mark.guarantee
TRIES_A_JOURNAL = 50
BOUND = 80_000  # segments of an eighth of it: the journals have one to five
AFTER = Entry(1_790_000_009_999, "gov/v1/LA-LP/after/telemetry", b"after")
KINDS = ("head", "magic", "checksum", "length", "fields", "topic", "payload", "cut", "torn group")


def test_any_single_damage_costs_at_most_its_record(tmp_path: Path) -> None:
    """Every try damages one place of a sound journal, and everything else is read back."""
    tries = size(quick=500, long=10_000)
    rng = random.Random(seed())
    done: Counter[str] = Counter()
    lost_most = 0
    for journal in _journals(tmp_path, rng):
        for _ in range(TRIES_A_JOURNAL):
            kind = KINDS[done.total() % len(KINDS)]
            lost_most = max(lost_most, _try(journal, kind, rng))
            done[kind] += 1
        if done.total() >= tries:
            break
    assert set(done) == set(KINDS)
    assert lost_most == 1
    of = ", ".join(f"{kind} {count:,}" for kind, count in done.items())
    record(
        "journal",
        f"opened {done.total():,} of {done.total():,} times ({of}); nothing lost but the damaged"
        " record, or what lay behind a cut, all counted; no position used twice",
        met=done.total() >= tries,
    )


class Journal:
    """A sound journal, to be copied for each try, and what is in it."""

    def __init__(self, directory: Path, rng: random.Random) -> None:
        self.directory = directory
        self.records: list[Record] = []
        writer = JournalWriter(directory, max_bytes=BOUND)
        for _ in range(rng.randrange(1, 6)):
            group = [_entry(rng) for _ in range(rng.randrange(1, 8))]
            first = writer.append(group) - len(group)
            self.records += [Record(first + n, *one[:3]) for n, one in enumerate(group)]
        writer.close()

    def copied(self) -> Path:
        """A copy to damage."""
        copy = self.directory.with_name("damaged")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.directory, copy)
        return copy


def _journals(directory: Path, rng: random.Random) -> Iterator[Journal]:
    while True:
        shutil.rmtree(directory / "sound", ignore_errors=True)
        yield Journal(directory / "sound", rng)


def _entry(rng: random.Random) -> Entry:
    topic = f"gov/v1/LA-LP/d{rng.randrange(10 ** rng.randrange(1, 12))}/telemetry"
    count = rng.choice((0, 1, rng.randrange(200), rng.randrange(3000)))
    return Entry(1_790_000_000_000 + rng.randrange(10**6), topic, rng.randbytes(count))


class Damage(NamedTuple):
    """What was done to a journal. lost: positions of the records that it reached.

    taken: records of a group that was not acknowledged, but is whole on the disk.
    """

    lost: set[int]
    taken: list[Record]


def _try(journal: Journal, kind: str, rng: random.Random) -> int:
    """Damage a copy, read it as the processor and as the next receiver find it.

    Returns how many records were lost by one flipped bit: 0 or 1.
    """
    directory = journal.copied()
    end = len(journal.records)
    lost, taken = _damage(directory, kind, end, rng)
    wanted = [one for one in journal.records if one.position not in lost]
    is_sound = _is_sound(directory / "head")
    assert is_sound or kind == "head"

    reader = JournalReader(directory, 0)  # before a receiver has looked at it
    found = _read_all(reader)
    assert (found, reader.damaged) == ((wanted, len(lost)) if is_sound else ([], 0))

    writer = JournalWriter(directory, max_bytes=2 * BOUND)
    after = Record(end + len(taken), *AFTER[:3])
    assert writer.position == after.position  # no position is used again
    writer.append([AFTER])
    assert _read_all(reader)[-1:] == [after]
    reader.close()
    writer.close()

    reader = JournalReader(directory, 0)
    assert _read_all(reader) == [*wanted, *taken, after]
    assert reader.damaged == len(lost)
    reader.close()
    return 0 if kind == "cut" else len(lost)


def _damage(directory: Path, kind: str, end: int, rng: random.Random) -> Damage:
    if kind == "head":
        _flip(directory / "head", rng.randrange(Head.SIZE * 8))
        return Damage(set(), [])
    filled = [one for one in segments(directory) if one.path.stat().st_size]
    if kind == "torn group":
        return Damage(set(), _tear_group(filled[-1], end, rng))
    if kind == "cut":
        return Damage(_cut(filled[-1], rng), [])
    segment = rng.choice(filled)
    found = list(scan(segment.path.read_bytes(), segment.seed, whole=True))
    hit = rng.randrange(len(found))
    start = found[hit - 1][1] if hit else 0
    low, high = _part(found[hit][0], kind)
    _flip(segment.path, rng.randrange((start + low) * 8, (start + high) * 8))
    return Damage({found[hit][0].position}, [])


def _tear_group(segment: Segment, end: int, rng: random.Random) -> list[Record]:
    """The power went within a group: some of its bytes are there, and the head was not moved."""
    group = [_entry(rng) for _ in range(2)]
    written = [encode(end + n, one, segment.seed) for n, one in enumerate(group)]
    cut = rng.randrange(1, sum(map(len, written)))
    with segment.path.open("ab") as file:
        file.write(b"".join(written)[:cut])
    return [Record(end, *group[0][:3])] if cut >= len(written[0]) else []


def _cut(segment: Segment, rng: random.Random) -> set[int]:
    """Cut the last segment at any byte, acknowledged or not; returns what lay behind."""
    content = segment.path.read_bytes()
    at = rng.randrange(len(content))
    segment.path.write_bytes(content[:at])
    found = scan(content, segment.seed, whole=True)
    return {one.position for one, end in found if end > at}


def _part(hit: Record, kind: str) -> tuple[int, int]:
    """The bytes of a record, from and to, that hold one part of it."""
    topic = PREFIX.size + BODY.size
    payload = topic + len(hit.topic)
    return {
        "magic": (0, 2),
        "checksum": (2, CHECKED_FROM),
        "length": (CHECKED_FROM, PREFIX.size),
        "fields": (PREFIX.size, topic),
        "topic": (topic, payload),
        "payload": (payload, payload + len(hit.payload)) if hit.payload else (topic, payload),
    }[kind]


def _flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def _is_sound(head: Path) -> bool:
    position, complement = struct.unpack_from("<qq", head.read_bytes())
    return bool(complement == ~position)


def _read_all(reader: JournalReader) -> list[Record]:
    found: list[Record] = []
    while batch := reader.read(max_records=100):
        found += batch
    return found

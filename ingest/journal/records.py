"""The journal's records and segments, as bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ingest.journal.head import Shortage

MAGIC = b"\xa9\x47"
PREFIX = struct.Struct("<2sII")
BODY = struct.Struct("<QqBH")
CHECKED_FROM = 6  # the checksum covers the record from its length on
RETAINED = 1
MAX_RECORD_BYTES = 2**20  # a length beyond is damage: the wire allows 256 KiB and a topic
MAX_PAYLOAD_BYTES = MAX_RECORD_BYTES - 2**16 - BODY.size  # beside the longest topic


class JournalError(Exception):
    """The journal cannot be used; the text says what to do."""


class JournalFullError(JournalError):
    """There is no room, for the reason that `shortage` names: nothing was written."""

    def __init__(self, shortage: Shortage, text: str) -> None:
        super().__init__(text)
        self.shortage = shortage


class Record(NamedTuple):
    """One message as it arrived."""

    position: int
    received_ms: int
    topic: str
    payload: bytes
    retained: bool = False


class Entry(NamedTuple):
    """What is appended: a record before it has its position."""

    received_ms: int
    topic: str
    payload: bytes
    flags: int = 0


class Segment(NamedTuple):
    """One file of the journal."""

    first: int  # position of its first record
    seed: int  # checksums start from it
    path: Path

    def size(self) -> int:
        """Bytes of its file; 0 where the reader has deleted it since it was listed."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def content(self) -> bytes:
        """Its bytes; none where the reader has deleted it since it was listed."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""


def segments(directory: Path) -> list[Segment]:
    """Every segment, in order of position."""
    found = []
    for path in directory.glob("*.seg"):
        first, _, seed = path.stem.partition("-")
        found.append(Segment(int(first), int(seed, 16), path))
    return sorted(found)


def encode(position: int, entry: Entry, seed: int) -> bytes:
    """The bytes of one record. Of a payload beyond MAX_PAYLOAD_BYTES the beginning is kept."""
    topic = entry.topic.encode()
    head = BODY.pack(position, entry.received_ms, entry.flags, len(topic))
    body = head + topic + entry.payload[:MAX_PAYLOAD_BYTES]
    length = len(body).to_bytes(4, "little")
    crc = zlib.crc32(body, zlib.crc32(length, seed))
    return MAGIC + crc.to_bytes(4, "little") + length + body


def decode(buffer: bytes, offset: int, seed: int) -> tuple[Record, int] | None:
    """The record at `offset` and the offset behind it; None if there is no whole, sound record."""
    if offset + PREFIX.size > len(buffer):
        return None
    magic, crc, length = PREFIX.unpack_from(buffer, offset)
    end = offset + PREFIX.size + length
    if magic != MAGIC or not BODY.size <= length <= MAX_RECORD_BYTES or end > len(buffer):
        return None
    if zlib.crc32(memoryview(buffer)[offset + CHECKED_FROM : end], seed) != crc:
        return None
    start = offset + PREFIX.size
    position, received_ms, flags, topic_length = BODY.unpack_from(buffer, start)
    start += BODY.size
    topic = buffer[start : start + topic_length].decode()
    payload = buffer[start + topic_length : end]
    return Record(position, received_ms, topic, payload, bool(flags & RETAINED)), end


def scan(buffer: bytes, seed: int, *, whole: bool) -> Iterator[tuple[Record, int]]:
    """Sound records from the start on, each with the offset behind it; damage is skipped.

    whole: nothing follows the buffer in its file. Otherwise the scan ends where the longest
    record might reach beyond the buffer.
    """
    offset = 0
    while True:
        found = decode(buffer, offset, seed)
        if found is not None:
            yield found
            offset = found[1]
            continue
        if not whole and len(buffer) - offset < PREFIX.size + MAX_RECORD_BYTES:
            return
        offset = buffer.find(MAGIC, offset + 1)
        if offset < 0:
            return

"""The journal: every message that the platform has taken over, on disk before it is acknowledged.

A directory of segments, each named by the position of its first record. A record is

    magic 2 bytes | crc32 u32 | length u32 | position u64 | received_ms i64 | flags u8 |
    topic length u16 | topic | payload

little-endian; the checksum covers everything behind it, the length counts everything behind
itself. Positions count records from 0 without a gap. One process writes; others read up to the
head, which the writer moves only after fsync. A damaged record is skipped and counted by the
reader; the writer never appends behind a torn tail, it starts a new segment.

Checksums start from a random seed that is part of the segment's name: a reader that looks for the
next sound record behind damage cannot take a payload for one, whatever a device has put into it.
"""

from ingest.journal.copying import HeldJournal
from ingest.journal.head import Head, Shortage
from ingest.journal.locks import lock
from ingest.journal.reader import JournalReader
from ingest.journal.records import (
    RETAINED,
    Entry,
    JournalError,
    JournalFullError,
    Record,
)
from ingest.journal.writer import JournalWriter

__all__ = [
    "RETAINED",
    "Entry",
    "Head",
    "HeldJournal",
    "JournalError",
    "JournalFullError",
    "JournalReader",
    "JournalWriter",
    "Record",
    "Shortage",
    "lock",
]

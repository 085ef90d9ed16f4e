"""What a series store keeps of the batch that was written last, so that it is written once."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.readings import Readings

SCHEMA = """
CREATE TABLE applied (
    first INTEGER NOT NULL, last INTEGER NOT NULL, digest BLOB NOT NULL,
    count INTEGER NOT NULL, new BLOB NOT NULL
);
"""


class Applied(NamedTuple):
    """The last batch that was written: journal positions [first, last), which readings were new."""

    first: int
    last: int
    new: NDArray[np.bool_]


def repeated(batch: Readings) -> NDArray[np.bool_]:
    """bool[n]: True where a sorted batch holds the same identity just before."""
    found = np.zeros(len(batch), np.bool_)
    found[1:] = (batch.series[1:] == batch.series[:-1]) & (batch.at_ms[1:] == batch.at_ms[:-1])
    return found


def digest_of(readings: Readings) -> bytes:
    """16 bytes that tell a batch from another one of the same positions."""
    digest = hashlib.blake2b(digest_size=16)
    for column in (readings.series, readings.at_ms, readings.received_ms, readings.value):
        digest.update(np.ascontiguousarray(column).data)
    return digest.digest()


def load_applied(connection: sqlite3.Connection, digest: bytes | None = None) -> Applied | None:
    """The kept batch, of any or of one digest."""
    row = connection.execute(
        "SELECT first, last, count, new FROM applied WHERE digest = coalesce(?, digest)", (digest,)
    ).fetchone()
    if row is None:
        return None
    first, last, count, new = row
    bits = np.unpackbits(np.frombuffer(new, np.uint8), count=count)
    return Applied(first, last, bits.astype(np.bool_))


def keep_applied(connection: sqlite3.Connection, batch: Applied, digest: bytes) -> None:
    """Keep a batch in place of the one before."""
    connection.execute("DELETE FROM applied")
    connection.execute(
        "INSERT INTO applied VALUES (?, ?, ?, ?, ?)",
        (batch.first, batch.last, digest, len(batch.new), np.packbits(batch.new).tobytes()),
    )

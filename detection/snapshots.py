"""Snapshots: the detectors' state as bytes, by names, so that numbering may change."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from detection.bank import Bank
from detection.findings import Finding
from detection.silence import Silence
from devices.catalogue import Catalogue

MAGIC = b"GSD2"  # another layout of these bytes needs another number
HEAD = struct.Struct("<4sII")  # magic, CRC-32 of all that follows, length of the JSON header


class SnapshotError(ValueError):
    """The bytes are not a snapshot that this version can go on from."""


def pack(
    catalogue: Catalogue,
    banks: Mapping[str, Bank],
    silence: Silence,
    ended: list[Finding],
    notes: Any,
) -> bytes:
    """Header in JSON (names, layouts, small state), then the rows of each bank and device.

    notes: what the rules with sparse state know, as JSON can say it.
    """
    series = np.arange(len(catalogue))
    parts = [bank.pack(series) for bank in banks.values()]
    parts.append(silence.rows.tobytes())
    header = {
        "series": [(name, metric) for _, name, metric in catalogue.added(0)],
        "devices": [device.device for device in catalogue.devices[: len(silence.rows)]],
        "layouts": _layouts(banks, silence),
        "resumed_ms": silence.resumed_ms,
        "ended": ended,
        "notes": notes,
    }
    text = json.dumps(header).encode()
    body = b"".join([text, *parts])
    return HEAD.pack(MAGIC, zlib.crc32(body), len(text)) + body


def unpack(
    state: bytes, catalogue: Catalogue, banks: Mapping[str, Bank], silence: Silence
) -> tuple[list[Finding], Any]:
    """Put the rows of a snapshot into the banks; the ends of silences not reported yet, and notes.

    Raises SnapshotError before anything is changed.
    """
    header, body = _open(state)
    if header["layouts"] != _layouts(banks, silence):
        raise SnapshotError("the snapshot was taken with another layout of the detectors' state")
    numbers = [catalogue.find(device, metric) for device, metric in header["series"]]
    known = np.array([n for n, number in enumerate(numbers) if number is not None], np.intp)
    series = np.array([number for number in numbers if number is not None], np.intp)
    at = 0
    for bank in banks.values():
        rows = np.frombuffer(body, bank.packed, len(numbers), at)
        bank.unpack(series, rows[known])
        at += rows.nbytes
    rows = np.frombuffer(body, silence.rows.dtype, len(header["devices"]), at)
    silence.grow()
    for name, row in zip(header["devices"], rows, strict=True):
        number = catalogue.device_number_of(name)
        if number is not None:
            silence.rows[number] = row
    silence.resumed_ms = header["resumed_ms"]
    return [Finding(*fields) for fields in header["ended"]], header["notes"]


def _open(state: bytes) -> tuple[dict[str, Any], memoryview]:
    if len(state) < HEAD.size:
        raise SnapshotError("the snapshot is cut short")
    magic, checksum, length = HEAD.unpack_from(state)
    if magic != MAGIC:
        raise SnapshotError(f"the snapshot is of version {magic!r}; this is {MAGIC!r}")
    body = memoryview(state)[HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise SnapshotError("the snapshot is damaged: its checksum is wrong")
    return json.loads(bytes(body[:length])), body[length:]


def _layouts(banks: Mapping[str, Bank], silence: Silence) -> dict[str, str]:
    layouts = {name: str(bank.packed) for name, bank in banks.items()}
    return {**layouts, "silence": str(silence.rows.dtype)}

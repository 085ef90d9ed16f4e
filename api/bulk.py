"""Bulk reads: what takes so much at once that the audit keeps who took it.

- a file to keep: telemetry, latest readings and sites as CSV or Parquet, of whatever size;
- a report, in any format: it sums up every site that it is about;
- a range of more than a day, or readings of devices over more than a day of theirs together.
"""

from __future__ import annotations

from fastapi import Request

LONG_MS = 86_400_000


def is_long(range_ms: int, devices: int = 1) -> bool:
    """Whether a range of so many devices is a bulk read: more than a day, of all together."""
    return range_ms * devices > LONG_MS


def note_bulk(request: Request) -> None:
    """Have the answer to a request audited as a bulk read, before its first byte goes out."""
    request.state.bulk = True

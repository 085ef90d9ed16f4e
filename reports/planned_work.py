"""Planned work in a report: which windows left out which bins, and what is told of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.availability import MINUTES
from detection.outages import BIN_MS
from reports.periods import iso
from storage.ledger.report_data import LeftOut, WindowFacts


def left_out_until(left_out: Sequence[LeftOut], until_ms: int) -> list[LeftOut]:
    """Those before the end of a report's data."""
    return [one for one in left_out if one.start_ms < until_ms]


def minutes_by_window(
    left_out: Sequence[LeftOut], counted: NDArray[np.bool_], start_ms: int
) -> dict[str, dict[str, int]]:
    """Minutes that count, by window and site. counted: bool[bins] from start_ms on."""
    found: dict[str, dict[str, int]] = {}
    for one in left_out:
        at_sites = found.setdefault(one.window, {})
        minutes = int(MINUTES) if counted[(one.start_ms - start_ms) // BIN_MS] else 0
        at_sites[one.site] = at_sites.get(one.site, 0) + minutes
    return found


def told_of(
    windows: Mapping[str, WindowFacts], minutes: Mapping[str, Mapping[str, int]]
) -> list[dict[str, Any]]:
    """What a report says of each window that left out bins of its own, the first to begin first.

    It says nothing of any other. One that is in the ledger no more is not told of, and its minutes
    have no reason.
    """
    told = [windows[name] for name in minutes if name in windows]
    return [
        {
            "window": one.window,
            "kind": one.kind,
            "scope": {"type": one.scope_type, "id": one.scope_id},
            "start": iso(one.start_ms),
            "end": iso(one.end_ms),
            "late": one.is_late,
            "withdrawn": one.state == "withdrawn",
            "reason": one.reason,
            "sites": len(minutes[one.window]),
            "minutes": sum(minutes[one.window].values()),
        }
        for one in sorted(told, key=lambda one: (one.start_ms, one.window))
    ]


def digest_of_left_out(left_out: Sequence[LeftOut]) -> str:
    """SHA-256 over a line for each bin in order of site and time: site, start in ms, window."""
    lines = "".join(f"{one.site} {one.start_ms} {one.window}\n" for one in left_out)
    return hashlib.sha256(lines.encode()).hexdigest()

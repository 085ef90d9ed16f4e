"""Ranges of time that a question is about: the last day unless it says otherwise."""

from __future__ import annotations

from api.parameters import check_order
from api.platform import Platform
from api.problems import invalid
from storage.ledger.bins import DAY_MS


def range_of(
    platform: Platform, from_ms: int | None, to_ms: int | None, longest_ms: int
) -> tuple[int, int]:
    """Start and end, in milliseconds; a 422 where it is longer than that or ends too soon."""
    end_ms = platform.now_ms() if to_ms is None else to_ms
    start_ms = end_ms - DAY_MS if from_ms is None else from_ms
    check_range(start_ms, end_ms, longest_ms)
    return start_ms, end_ms


def check_range(start_ms: int, end_ms: int, longest_ms: int) -> None:
    """Refuse a range that ends before it begins, or is longer than that."""
    check_order(start_ms, end_ms)
    if end_ms - start_ms > longest_ms:
        raise invalid(
            "from",
            "makes the range too long",
            got=f"{(end_ms - start_ms) / DAY_MS:.1f} days",
            allowed=f"at most {longest_ms // DAY_MS} days",
        )

"""How long a window may be, and when it may begin: what is past is not rewritten silently."""

from __future__ import annotations

from api.problems import ProblemError, invalid
from api.times import iso
from storage.ledger.windows import REVISED_MS

MINUTE_MS, DAY_MS = 60_000, 86_400_000
LONGEST_MS = {"silence": 7 * DAY_MS, "maintenance": 14 * DAY_MS}
AHEAD_MS = 366 * DAY_MS
GRACE_MS = MINUTE_MS  # by which a caller's clock may be behind ours


def check_span(
    kind: str, start_ms: int | None, end_ms: int, *, now_ms: int, is_admin: bool
) -> tuple[int, bool]:
    """When a window begins and whether that rewrites the past; a 422 or 403 else.

    Only maintenance begins in the past, at most four days ago, and only an admin says so.
    """
    asked_ms = now_ms if start_ms is None else start_ms
    is_late = asked_ms < now_ms - GRACE_MS
    begins_ms = asked_ms if is_late else max(asked_ms, now_ms)
    if is_late and kind == "silence":
        raise invalid("start", "is past", got=iso(asked_ms), allowed=f"from {iso(now_ms)} on")
    if is_late and not is_admin:
        raise ProblemError(403, "only an admin announces maintenance that has begun already")
    earliest_ms, latest_ms = now_ms - REVISED_MS, now_ms + AHEAD_MS
    if not earliest_ms <= begins_ms <= latest_ms:
        allowed = f"{iso(earliest_ms)} to {iso(latest_ms)}"
        raise invalid("start", "is too far away", got=iso(asked_ms), allowed=allowed)
    _check_end(kind, begins_ms, end_ms)
    return begins_ms, is_late


def _check_end(kind: str, begins_ms: int, end_ms: int) -> None:
    longest_ms = LONGEST_MS[kind]
    if begins_ms < end_ms <= begins_ms + longest_ms:
        return
    why = f"makes a {kind} of more than {longest_ms // DAY_MS} days"
    if end_ms <= begins_ms:
        why = "is not after the start"
    allowed = f"after {iso(begins_ms)}, up to {iso(begins_ms + longest_ms)}"
    raise invalid("end", why, got=iso(end_ms), allowed=allowed)

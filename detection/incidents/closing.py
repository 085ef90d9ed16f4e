"""Closing: when an incident that is over is done with, and what of it then stands alone."""

from __future__ import annotations

from collections.abc import Sequence

from detection.incidents.incident import Incident
from detection.incidents.signs import Sign

STRAGGLER_MS = 10 * 60_000  # still down so long after its group is back: a trouble of its own
LINGER_MS = 20 * 60_000  # so long what comes late still finds an incident that is over
SETTLE_MS = 60 * 60_000  # after so long it is resolved, whatever still hangs below it
HABIT_MS = 3 * SETTLE_MS  # a metric needs so long to be back in its habits


def is_straggler(sign: Sign, closed_ms: int, now_ms: int) -> bool:
    """Whether it is still so, too long after its incident was over to be a part of it."""
    wait_ms = STRAGGLER_MS if sign.outage else _settle_ms(sign)
    return sign.ended_ms is None and now_ms >= closed_ms + wait_ms


def is_done(one: Incident, signs: Sequence[Sign], now_ms: int) -> bool:
    """Whether nothing more will come of it. What may be part of a group waits for it."""
    if one.closed_ms is None:
        return False
    waits = [_settle_ms(sign) for sign in signs if sign.ended_ms is None]
    if now_ms >= one.closed_ms + max(waits, default=SETTLE_MS):
        return True
    if any(not sign.settled for sign in signs):
        return False
    return not any(sign.family for sign in signs) or now_ms >= one.closed_ms + LINGER_MS


def _settle_ms(sign: Sign) -> int:
    return HABIT_MS if sign.is_of_habits else SETTLE_MS

"""Closing: when an incident that is over is done with, and what of it then stands alone."""

from __future__ import annotations

from collections.abc import Sequence

from detection.incidents.incident import Incident
from detection.incidents.joining import AFTERMATH_MS, is_silence
from detection.incidents.signs import Sign

STRAGGLER_MS = 10 * 60_000  # still down so long after its group is back: a trouble of its own
GLIMPSE_MS = 10 * 60_000  # a short silence may be all that a site shows of a group, known then
SETTLE_MS = 60 * 60_000  # what comes late finds an incident that has been over for so long
HABIT_MS = 3 * SETTLE_MS  # a room, or a lossy link, needs so long to be as before
LEVEL_MS = 6 * SETTLE_MS + AFTERMATH_MS  # begun as aftermath, six hours to a new level
TESTED = ("slow-link",)  # rules that hours pass for until the next test shows that it is over


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
    if any(map(is_silence, signs)) and now_ms < one.closed_ms + GLIMPSE_MS:
        return False
    return all(sign.settled and not sign.family for sign in signs)


def _settle_ms(sign: Sign) -> int:
    """Another way, or another load once people have gone home, may stay."""
    if sign.alert is not None and sign.alert.rule in TESTED:
        return LEVEL_MS
    if sign.is_of_habits:
        return LEVEL_MS if sign.is_of_link or sign.is_of_supply else HABIT_MS
    return HABIT_MS if sign.is_vague else SETTLE_MS

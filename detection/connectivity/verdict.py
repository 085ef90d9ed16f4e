"""The verdict: is it the device, one uplink or the whole site that fell silent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from detection.outages import WHOLE_SITE, Scope

SLACK_MS = 5_000  # a message may be this long on its way
WILL_SPREAD_MS = 45_000  # a broken link breaks all its sessions within this of each other


class Member(NamedTuple):
    """One device of a site. good_ms: last sign that its link worked. uplink: 1 or 2."""

    device: int
    uplink: int
    interval_ms: int
    silent: bool
    good_ms: int
    received_ms: int
    online: int  # 1, 0; -1: never told
    will_ms: int  # 0: none since it was last heard

    @property
    def latest_ms(self) -> int:
        """It fell silent before this, or it would have been heard again."""
        return self.good_ms + self.interval_ms


class Verdict(NamedTuple):
    """What fell silent; uplink 1 or 2, or the whole site."""

    scope: Scope
    uplink: int
    others_alive: bool
    other_uplink_alive: bool


def judge_silence(fallen: Member, members: Iterable[Member], now_ms: int) -> Verdict:
    """Why a device is silent, by who of its site was heard after it must have fallen silent.

    Another device alive on the same uplink: the device. One alive on the other uplink: the
    uplink. Nobody: the site.
    """
    alive = [m for m in members if m.device != fallen.device and is_alive(m, fallen, now_ms)]
    mates = any(m.uplink == fallen.uplink for m in alive)
    others = any(m.uplink != fallen.uplink for m in alive)
    if mates:
        return Verdict("device", fallen.uplink, mates, others)
    if others:
        return Verdict("uplink", fallen.uplink, mates, others)
    return Verdict("site", WHOLE_SITE, mates, others)


def is_alive(member: Member, fallen: Member, now_ms: int) -> bool:
    """Whether a device is known to live on after another fell silent.

    It was heard after the other's link must have been dead; or the broker has given up the
    other's session some time ago, and its own not.
    """
    if member.silent:
        return False
    if member.received_ms > fallen.latest_ms + SLACK_MS:
        return True
    session = member.online == 1 and not member.will_ms
    return session and 0 < fallen.will_ms < now_ms - WILL_SPREAD_MS


def is_undecided(member: Member, fallen: Member, now_ms: int) -> bool:
    """Whether a device may still prove that it lives."""
    quiet = member.silent or member.will_ms
    return not quiet and not is_alive(member, fallen, now_ms)


def fell_together(one: Member, other: Member) -> bool:
    """Whether one cut can have silenced both."""
    first, last = max(one.good_ms, other.good_ms), min(one.latest_ms, other.latest_ms)
    return first <= last + SLACK_MS

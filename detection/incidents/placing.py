"""Placing: which incident a sign that waits goes to, and where it goes when it leaves one."""

from __future__ import annotations

from collections.abc import Sequence

from detection.incidents.gathering import TYPES, Gathering
from detection.incidents.incident import Incident, incident_id
from detection.incidents.joining import hangs_below
from detection.incidents.rates import Rates
from detection.incidents.shelf import Shelf
from detection.incidents.signs import Sign

BACKFILL_MS = 2 * 60_000  # what an outbox kept of a short outage has come so long after it


class Placing:
    """Finds incidents for the signs of a shelf, and opens them where there are none."""

    def __init__(self, shelf: Shelf, rates: Rates, gathering: Gathering) -> None:
        self._shelf = shelf
        self._rates = rates
        self._gathering = gathering
        self._world = gathering.world

    def place(self, now_ms: int) -> None:
        """Find an incident for what waits; make one where the wait is over."""
        for sign in self._shelf.waiting():
            self._join(sign, now_ms)
        self._gathering.gather(now_ms)
        left = [sign for sign in self._shelf.waiting() if not self._join(sign, now_ms)]
        dark = [sign for sign in left if sign.outage]
        for sign in sorted(left, key=lambda s: s.outage is None):
            due = (sign.due_ms <= now_ms and not _is_coming_in(sign, now_ms)) or _is_past(sign)
            if sign.incident or not due or self._join(sign, now_ms):
                continue
            if sign.outage or not self._is_below(sign, dark):
                self._open_for(sign, now_ms)

    def part(self, sign: Sign, one: Incident, now_ms: int) -> None:
        """A sign leaves an incident: for the group that it failed with, or for one of its own.

        The alerts that hang below an outage go with it; they have left already when it is their
        turn.
        """
        if sign.incident != one.incident:
            return
        self._shelf.release(sign)
        if not self._shelf.join_group(sign, self._world, other_than=one):
            sign.alone = True
            self._open_for(sign, now_ms)
        for other in self._shelf.of(one) if sign.outage else ():
            below = other.alert and other.site == sign.site
            if below and hangs_below(other, sign, self._world):
                self._shelf.transfer(other, self._shelf.open[sign.incident])

    def _join(self, sign: Sign, now_ms: int) -> bool:
        return self._shelf.join(sign, self._world, now_ms)

    def _is_below(self, alert: Sign, dark: Sequence[Sign]) -> bool:
        """Whether it hangs below an outage that still waits."""
        return any(
            alert.site == sign.site and not sign.incident and hangs_below(alert, sign, self._world)
            for sign in dark
        )

    def _open_for(self, sign: Sign, now_ms: int) -> None:
        """An incident of its own."""
        if sign.family in TYPES and not sign.alone:
            down = sign.family == "down"
            self._rates.count(self._world.groups.link_type(sign.site) if down else sign.family)
        name = incident_id(sign, "alone" if sign.alone else "own")
        one = self._shelf.new(name, None, sign, sign.family, now_ms)
        self._shelf.assign(sign, one)
        self._shelf.absorb(one, self._world, now_ms)


def _is_past(sign: Sign) -> bool:
    """An alert that is over already: nothing is gained by waiting."""
    return sign.alert is not None and sign.ended_ms is not None


def _is_coming_in(sign: Sign, now_ms: int) -> bool:
    """An outage that is over before it was told, of which devices still send what they measured:
    it is told once they have said what it was."""
    returned_ms = sign.outage.returned_ms if sign.outage else None
    return returned_ms is not None and now_ms < returned_ms + BACKFILL_MS

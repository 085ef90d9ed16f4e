"""Telling: what operators are told of the incidents that changed, each at most once a step."""

from __future__ import annotations

from detection.incidents.changes import IncidentChange
from detection.incidents.closing import is_done
from detection.incidents.incident import Incident, World, look
from detection.incidents.placing import Placing
from detection.incidents.shelf import Shelf


class Telling:
    """Publishes what changed on a shelf; resolves what is done with."""

    def __init__(self, shelf: Shelf, world: World, placing: Placing) -> None:
        self._shelf = shelf
        self._world = world
        self._placing = placing

    def publish(self, now_ms: int) -> None:
        """Add to the changes how every incident looks that was touched and is unlike before.

        One that is done with is resolved; of two that look alike to operators one is left.
        """
        while self._shelf.touched:
            name = next(iter(self._shelf.touched))
            del self._shelf.touched[name]
            if name in self._shelf.open:
                self._publish_one(self._shelf.open[name], now_ms)
        self._publish_merged()

    def _publish_merged(self) -> None:
        """The ends of what became part of another incident, with that one's cause."""
        homes = {end.incident: into for end, into in self._shelf.merged}
        told = {change.incident: change for change in self._shelf.changes}
        for end, home in self._shelf.merged:
            while home in homes:
                home = homes[home]
            one = self._shelf.open.get(home)
            known = told.get(home) or (one and one.published)
            if known:
                end = end._replace(cause=known.cause, confidence=known.confidence)
            self._shelf.changes.append(end)
        self._shelf.merged = []

    def _publish_one(self, one: Incident, now_ms: int) -> None:
        done = is_done(one, self._shelf.of(one), now_ms)
        signs = self._shelf.of(one)
        change = look(one, signs, self._world, now_ms=now_ms, resolved=done)
        twin = self._twin(one, change)
        if twin is not None and twin.closed_ms is not None and not done:
            self._resolve(twin, now_ms)
        elif twin is not None and not done:
            older, younger = sorted((one, twin), key=lambda o: (o.opened_ms, o.incident))
            self._shelf.merge(younger, older, now_ms)
            return
        if done:
            self._resolve(one, now_ms)
        elif one.published is None or _differs(change, one.published):
            self._shelf.changes.append(change)
            one.published = change

    def _resolve(self, one: Incident, now_ms: int) -> None:
        for sign in self._shelf.of(one):
            if sign.ended_ms is None:
                self._placing.part(sign, one, now_ms)
        if one.incident not in self._shelf.open:
            return  # merged into what was opened for its last sign
        signs = self._shelf.of(one)
        change = look(one, signs, self._world, now_ms=now_ms, resolved=True)
        if one.published is None:
            self._shelf.changes.append(change._replace(state="open", phase="provisional"))
        self._shelf.changes.append(change)
        self._shelf.forget(one, now_ms)

    def _twin(self, one: Incident, change: IncidentChange) -> Incident | None:
        """Another incident that looks the same to operators; there must not be two of it."""
        for other in self._shelf.open.values():
            seen = other.published
            if (
                other is not one
                and seen
                and (seen.scope, seen.cause) == (change.scope, change.cause)
            ):
                return other
        return None


def _differs(a: IncidentChange, b: IncidentChange) -> bool:
    """Whether an operator should see the change: not for evidence or confidence alone."""
    return (a.scope, a.cause, a.phase, a.started_ms, a.ended_ms, a.sites, a.devices) != (
        (b.scope, b.cause, b.phase, b.started_ms, b.ended_ms, b.sites, b.devices)
    )

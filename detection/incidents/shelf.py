"""The shelf: every sign that is not done with, and the incident that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detection.incidents import incident as incidents_json
from detection.incidents import signs as signs_json
from detection.incidents.alert_verdicts import Hint
from detection.incidents.causes import Reason
from detection.incidents.changes import IncidentChange
from detection.incidents.groups import Key
from detection.incidents.incident import Incident, World
from detection.incidents.joining import belongs, failed_with, is_older_trouble
from detection.incidents.rates import DAY_MS
from detection.incidents.signs import Family, Sign
from detection.incidents.wording import say

REMEMBER_MS = 3 * DAY_MS  # outages that are done with are known for so long


class Shelf:
    """signs: by id. open: incidents that are not resolved, in order of opening.

    touched: incidents that must be looked at again. changes: what this step published.
    merged: ends of incidents that became part of another one, with its id.
    parent_of: incident of each alert that has one. hints: by site and alert, of alerts that are
    too small for an incident.
    """

    def __init__(self) -> None:
        self.signs: dict[str, Sign] = {}
        self.open: dict[str, Incident] = {}
        self.touched: dict[str, None] = {}
        self.changes: list[IncidentChange] = []
        self.parent_of: dict[str, str] = {}
        self.hints: dict[str, dict[str, Hint]] = {}
        self.merged: list[tuple[IncidentChange, str]] = []
        self._gone: list[str] = []
        self._done: dict[str, int] = {}

    def begin(self) -> None:
        """A new step."""
        self.changes, self.merged = [], []
        for alert in self._gone:
            self.parent_of.pop(alert, None)
        self._gone = []

    def is_done(self, outage: str) -> bool:
        """Whether an outage was settled before; what is said of it now comes too late."""
        return outage in self._done

    def hint(self, site: str, hint: Hint) -> None:
        """Keep a hint, or its end, for a day; the older ones of its site are left out."""
        mine = self.hints.setdefault(site, {})
        mine[hint.alert] = hint
        for old in list(mine.values()):
            if old.ended_ms is not None and old.ended_ms < hint.onset_ms - DAY_MS:
                del mine[old.alert]

    def waiting(self) -> list[Sign]:
        """Signs without an incident, in order of arrival."""
        return [sign for sign in self.signs.values() if not sign.incident]

    def ungrouped(self, now_ms: int) -> list[Sign]:
        """Signs for which it is time to look for what failed with them; each is given once."""
        due = [s for s in self.signs.values() if s.group_ms is not None and s.group_ms <= now_ms]
        for sign in due:
            sign.group_ms = None
        return due

    def of(self, one: Incident) -> list[Sign]:
        """The signs of an incident, in order of joining."""
        return [self.signs[name] for name in one.signs]

    def sites(self, one: Incident) -> set[str]:
        """Where its signs are."""
        return {sign.site for sign in self.of(one)}

    def dark(self) -> dict[str, int]:
        """Since when, at the latest, sites as a whole cannot be reached."""
        found: dict[str, int] = {}
        for sign in self.signs.values():
            if sign.outage and sign.outage.scope == "site" and sign.ended_ms is None:
                found[sign.site] = min(sign.latest_ms, found.get(sign.site, sign.latest_ms))
        return found

    def new(self, name: str, key: Key | None, sign: Sign, family: Family, now_ms: int) -> Incident:
        """An empty incident that is about what a sign is about."""
        self.open[name] = Incident(name, key, family, sign.topic, [], now_ms, None, None)
        return self.open[name]

    def assign(self, sign: Sign, one: Incident) -> None:
        """The sign belongs to this incident from now on."""
        sign.incident = one.incident
        one.signs.append(sign.sign)
        if sign.alert:
            self.parent_of[sign.alert.alert] = one.incident
        self.touch(one.incident)

    def transfer(self, sign: Sign, one: Incident) -> None:
        """The sign belongs to this incident from now on, and no longer to its old one."""
        self._leave(sign)
        self.assign(sign, one)

    def release(self, sign: Sign) -> None:
        """The sign belongs to no incident."""
        self._leave(sign)
        sign.incident = ""
        if sign.alert:
            self.parent_of.pop(sign.alert.alert, None)

    def touch(self, incident: str) -> None:
        """Something about it changed."""
        if incident:
            self.touched[incident] = None

    def join(self, sign: Sign, world: World, now_ms: int) -> bool:
        """Put a sign into the open incident that it belongs to, if there is one."""
        if sign.alone:
            return False
        for one in self.open.values():
            if belongs(sign, one, self.of(one), world):
                self.assign(sign, one)
                if sign.outage:
                    self.absorb(one, world, now_ms)
                return True
        return False

    def join_group(self, sign: Sign, world: World, *, other_than: Incident) -> bool:
        """Put a sign into another open group that failed when it did, if there is one."""
        for one in self.open.values():
            if one is not other_than and failed_with(sign, one, self.of(one), world):
                self.assign(sign, one)
                return True
        return False

    def absorb(self, into: Incident, world: World, now_ms: int) -> None:
        """Merge the incidents of single sites that turn out to be part of this one."""
        for other in list(self.open.values()):
            if other is into or other.key is not None or other.family == "platform":
                continue
            if self._is_part(other, into, world):
                self.merge(other, into, now_ms)

    def merge(self, old: Incident, into: Incident, now_ms: int) -> None:
        """Everything of an incident belongs to another one; where it was published, it ends.

        What is told of that end waits in `merged` until the other one's cause is known.
        """
        for sign in self.of(old):
            self.assign(sign, into)
        del self.open[old.incident]
        self.touched.pop(old.incident, None)
        if old.published is None:
            return
        evidence = say([Reason("merged", {"incident": into.incident})])
        end = old.published._replace(
            at_ms=now_ms,
            state="resolved",
            ended_ms=old.published.ended_ms or now_ms,
            evidence=evidence[0],
            evidence_lo=evidence[1],
        )
        self.merged.append((end, into.incident))

    def forget(self, one: Incident, now_ms: int) -> None:
        """It is resolved."""
        del self.open[one.incident]
        for sign in self.of(one):
            del self.signs[sign.sign]
            if sign.alert:
                self._gone.append(sign.alert.alert)
            else:
                self._done[sign.sign] = now_ms
        while self._done and next(iter(self._done.values())) < now_ms - REMEMBER_MS:
            del self._done[next(iter(self._done))]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "signs": [signs_json.to_json(sign) for sign in self.signs.values()],
            "open": [incidents_json.to_json(one) for one in self.open.values()],
            "parent_of": list(self.parent_of.items()),
            "hints": {site: list(hints.values()) for site, hints in self.hints.items()},
            "gone": self._gone,
            "done": list(self._done.items()),
        }

    def hold(self, state: dict[str, Any]) -> None:
        """Go on from what `to_json` gave."""
        self.signs = {s["sign"]: signs_json.from_json(s) for s in state["signs"]}
        self.open = {o["incident"]: incidents_json.from_json(o) for o in state["open"]}
        self.parent_of = dict(state["parent_of"])
        self.hints.clear()
        for site, hints in state["hints"].items():
            self.hints[site] = {fields[0]: Hint(*fields) for fields in hints}
        self._gone = list(state["gone"])
        self._done = dict(state["done"])
        self.touched, self.changes = {}, []

    def _leave(self, sign: Sign) -> None:
        self.open[sign.incident].signs.remove(sign.sign)
        self.touch(sign.incident)

    def _is_part(self, other: Incident, into: Incident, world: World) -> bool:
        """Whether its outages, or where it has none its alerts, belong to another incident."""
        members, signs = self.of(into), self.of(other)
        if is_older_trouble(signs, first_of(members).onset_ms):
            return False
        main = [sign for sign in signs if sign.outage] or signs
        return all(belongs(sign, into, members, world) for sign in main)


def first_of(signs: Iterable[Sign]) -> Sign:
    """The one that began first."""
    return min(signs, key=lambda sign: (sign.onset_ms, sign.sign))

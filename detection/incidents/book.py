"""The book of incidents: outages and alerts become what operators work on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from detection.alerts import AlertChange
from detection.findings import PLATFORM
from detection.incidents.changes import IncidentChange
from detection.incidents.gathering import TYPES, Gathering
from detection.incidents.groups import Groups
from detection.incidents.incident import Incident, World, incident_id, is_over, look, telling_types
from detection.incidents.rates import Rates
from detection.incidents.shelf import Shelf
from detection.incidents.signs import (
    Sign,
    end_alert,
    follow_outage,
    sign_of_alert,
    sign_of_outage,
)
from detection.outages import Outage
from devices.registry import Registry

HOLD_INTERVALS = 2  # an ordinary site waits so long for others that fail with it
LONGEST_HOLD_MS = 10 * 60_000
STRAGGLER_MS = 10 * 60_000  # still down so long after its group is back: a trouble of its own
SETTLE_MS = 30 * 60_000  # after so long an incident is resolved without the rest of its backfill


class Step(NamedTuple):
    """What one step changed.

    parent_of: incident of every alert that has one, open ones and those that ended in this step.
    muted: alerts whose notification would repeat a message: they wait for grouping, hang below
    the incident of a group, or below another alert or outage. Both are the book's own and change
    with its next step.
    """

    changes: list[IncidentChange]
    parent_of: dict[str, str]
    muted: set[str]


class Incidents:
    """Every incident that is not resolved, and the signs that wait to be placed."""

    def __init__(self, registry: Registry) -> None:
        self._shelf = Shelf()
        self._rates = Rates()
        self._muted: set[str] = set()
        self.use(registry)

    def use(self, registry: Registry) -> None:
        """Follow the registry: from now on its sites and groups hold."""
        self._groups = Groups(registry)
        self._world = World(registry, self._groups)
        self._gathering = Gathering(self._shelf, self._rates, self._world)
        self._per_name: dict[str, int] = dict.fromkeys(TYPES, len(self._groups.sites))
        self._per_name.pop("down")
        for site in self._groups.sites:
            link = self._groups.link_type(site)
            self._per_name[link] = self._per_name.get(link, 0) + 1

    def step(self, now_ms: int, outages: Sequence[Outage], alerts: Sequence[AlertChange]) -> Step:
        """Take what changed up to now_ms. Costs nothing where nothing changed or waits."""
        self._shelf.begin()
        self._rates.pass_time(now_ms, self._per_name)
        self._take_outages(outages, now_ms)
        self._take_alerts(alerts, now_ms)
        self._place(self._shelf.waiting(), now_ms)
        self._review(now_ms)
        if self._shelf.touched or outages or alerts:
            self._publish(now_ms)
            self._muted = self._shelf.muted()
        return Step(self._shelf.changes, self._shelf.parent_of, self._muted)

    def open_incidents(self) -> list[IncidentChange]:
        """The last change of every incident that is not resolved, in order of opening."""
        return [one.published for one in self._shelf.open.values() if one.published]

    def snapshot(self) -> bytes:
        """Everything as bytes for `restore`."""
        state = {"shelf": self._shelf.to_json(), "rates": self._rates.to_json()}
        return json.dumps(state, ensure_ascii=False).encode()

    def restore(self, state: bytes) -> None:
        """Go on exactly where the snapshot was taken."""
        known: dict[str, Any] = json.loads(state)
        self._shelf.hold(known["shelf"])
        self._rates.hold(known["rates"])
        self._muted = self._shelf.muted()

    def _take_outages(self, outages: Iterable[Outage], now_ms: int) -> None:
        for outage in outages:
            sign = self._shelf.signs.get(outage.outage)
            if sign is not None:
                follow_outage(sign, outage)
                self._shelf.touch(sign.incident)
            elif not self._shelf.is_done(outage.outage):
                due_ms = now_ms + self._hold_ms(outage.site)
                self._shelf.signs[outage.outage] = sign_of_outage(outage, due_ms)

    def _take_alerts(self, alerts: Iterable[AlertChange], now_ms: int) -> None:
        for alert in alerts:
            sign = self._shelf.signs.get(alert.alert)
            if sign is not None and alert.state == "resolved":
                end_alert(sign, alert)
                self._shelf.touch(sign.incident)
            elif sign is None and alert.state == "firing" and alert.severity != "info":
                self._shelf.signs[alert.alert] = self._sign_of(alert, now_ms)

    def _sign_of(self, alert: AlertChange, now_ms: int) -> Sign:
        device = self._world.registry.devices.get(alert.device)
        interval_ms = round(device.interval_s * 1000) if device else 0
        sign = sign_of_alert(alert, device.kind if device else "", interval_ms // 2, now_ms)
        waits = sign.family not in ("", "platform") or alert.rule == "silence"
        if waits and alert.device != PLATFORM:
            sign.due_ms = now_ms + self._hold_ms(alert.site)
        return sign

    def _hold_ms(self, site: str) -> int:
        known = self._groups.sites.get(site)
        if known is None or known.priority == "critical":
            return 0
        return min(LONGEST_HOLD_MS, HOLD_INTERVALS * self._groups.interval_ms[site])

    def _place(self, waiting: Sequence[Sign], now_ms: int) -> None:
        """Find an incident for what waits; make one where the wait is over."""
        left = [sign for sign in waiting if not self._shelf.join(sign, self._world)]
        due = [sign for sign in left if sign.due_ms <= now_ms or _is_past(sign)]
        self._gathering.gather(due, now_ms)
        for sign in due:
            if not sign.incident and not self._shelf.join(sign, self._world):
                self._open_for(sign, now_ms)

    def _open_for(self, sign: Sign, now_ms: int) -> None:
        """An incident of its own."""
        if sign.family and not sign.alone:
            down = sign.family == "down"
            self._rates.count(self._groups.link_type(sign.site) if down else sign.family)
        name = incident_id(sign, "alone" if sign.alone else "own")
        one = self._shelf.new(name, None, sign, sign.family, now_ms)
        self._shelf.assign(sign, one)
        self._shelf.absorb(one, self._world, now_ms)

    def _review(self, now_ms: int) -> None:
        """Close what is over, open again what is not, let go of stragglers."""
        for one in list(self._shelf.open.values()):
            if one.incident not in self._shelf.touched and one.closed_ms is None:
                continue
            self._regroup(one, now_ms)
            over = is_over(one, self._shelf.of(one))
            if not over:
                one.closed_ms = None
            elif one.closed_ms is None:
                one.closed_ms = now_ms
            if one.closed_ms is not None:
                if now_ms >= one.closed_ms + STRAGGLER_MS:
                    self._let_go(one, now_ms)
                if self._is_done(one, now_ms):
                    self._shelf.touch(one.incident)

    def _regroup(self, one: Incident, now_ms: int) -> None:
        """Another group, where the evidence speaks against the one that was taken."""
        types = telling_types(one, self._shelf.of(one), self._world)
        if types and one.key is not None and one.key.type not in types:
            self._gathering.reconsider(one, types, now_ms)

    def _let_go(self, one: Incident, now_ms: int) -> None:
        """What is still so after its incident was over gets an incident of its own."""
        for sign in self._shelf.of(one):
            if sign.ended_ms is None:
                self._shelf.release(sign)
                self._open_for(sign, now_ms)

    def _publish(self, now_ms: int) -> None:
        while self._shelf.touched:
            name = next(iter(self._shelf.touched))
            del self._shelf.touched[name]
            if name in self._shelf.open:
                self._publish_one(self._shelf.open[name], now_ms)

    def _publish_one(self, one: Incident, now_ms: int) -> None:
        done = self._is_done(one, now_ms)
        signs = self._shelf.of(one)
        change = look(one, signs, self._world, now_ms=now_ms, resolved=done)
        twin = self._twin(one, change)
        if twin is not None and twin.closed_ms is not None and not done:
            self._let_go(twin, now_ms)
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

    def _is_done(self, one: Incident, now_ms: int) -> bool:
        """Whether nothing more will come of it."""
        signs = self._shelf.of(one)
        if one.closed_ms is None or any(sign.ended_ms is None for sign in signs):
            return False
        return all(sign.settled for sign in signs) or now_ms >= one.closed_ms + SETTLE_MS


def _is_past(sign: Sign) -> bool:
    """An alert that is over already: nothing is gained by waiting."""
    return sign.alert is not None and sign.ended_ms is not None


def _differs(a: IncidentChange, b: IncidentChange) -> bool:
    """Whether an operator should see the change: not for evidence or confidence alone."""
    return (a.scope, a.cause, a.phase, a.started_ms, a.ended_ms, a.sites, a.devices) != (
        (b.scope, b.cause, b.phase, b.started_ms, b.ended_ms, b.sites, b.devices)
    )

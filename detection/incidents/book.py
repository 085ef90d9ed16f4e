"""The book of incidents: outages and alerts become what operators work on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from detection.alerts import AlertChange
from detection.findings import PLATFORM
from detection.incidents import incident as incidents_json
from detection.incidents import signs as signs_json
from detection.incidents.causes import Reason
from detection.incidents.changes import IncidentChange
from detection.incidents.grouping import Explanation, Grouping, Onset, clusters
from detection.incidents.groups import ORDER, POWER, Groups, GroupType, Key
from detection.incidents.incident import Incident, World, incident_id, is_over, look
from detection.incidents.joining import belongs
from detection.incidents.rates import DAY_MS, Rates
from detection.incidents.signs import (
    Family,
    Sign,
    end_alert,
    follow_outage,
    sign_of_alert,
    sign_of_outage,
)
from detection.incidents.wording import say
from detection.outages import Outage
from devices.registry import Registry

HOLD_INTERVALS = 2  # an ordinary site waits so long for others that fail with it
LONGEST_HOLD_MS = 10 * 60_000
STRAGGLER_MS = 10 * 60_000  # still down so long after its group is back: a trouble of its own
SETTLE_MS = 30 * 60_000  # after so long an incident is resolved without the rest of its backfill
REMEMBER_MS = 3 * DAY_MS  # outages that are done with are known for so long
WIDER = 1.5  # a group takes over from a smaller one when it explains so many times as many sites
HEARD_INTERVALS = 3.5  # after so long a failure of a site is known


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
        self._signs: dict[str, Sign] = {}
        self._open: dict[str, Incident] = {}
        self._done: dict[str, int] = {}
        self._rates = Rates()
        self._parent_of: dict[str, str] = {}
        self._gone: list[str] = []
        self._muted: set[str] = set()
        self._changes: list[IncidentChange] = []
        self._touched: dict[str, None] = {}
        self.use(registry)

    def use(self, registry: Registry) -> None:
        """Follow the registry: from now on its sites and groups hold."""
        self._groups = Groups(registry)
        self._world = World(registry, self._groups)
        self._per_name: dict[str, int] = {}
        for site in self._groups.sites:
            link = self._groups.link_type(site)
            self._per_name[link] = self._per_name.get(link, 0) + 1
        for family in FAMILIES:
            self._per_name[family] = len(self._groups.sites)

    def step(self, now_ms: int, outages: Sequence[Outage], alerts: Sequence[AlertChange]) -> Step:
        """Take what changed up to now_ms. Costs nothing where nothing changed or waits."""
        self._changes = []
        for alert in self._gone:
            self._parent_of.pop(alert, None)
        self._gone = []
        self._rates.pass_time(now_ms, self._per_name)
        self._take_outages(outages, now_ms)
        self._take_alerts(alerts, now_ms)
        waiting = [sign for sign in self._signs.values() if not sign.incident]
        self._place(waiting, now_ms)
        self._review(now_ms)
        self._publish(now_ms)
        self._mute()
        return Step(self._changes, self._parent_of, self._muted)

    def open_incidents(self) -> list[IncidentChange]:
        """The last change of every incident that is not resolved, in order of opening."""
        return [one.published for one in self._open.values() if one.published]

    def snapshot(self) -> bytes:
        """Everything as bytes for `restore`."""
        state = {
            "signs": [signs_json.to_json(sign) for sign in self._signs.values()],
            "open": [incidents_json.to_json(one) for one in self._open.values()],
            "done": list(self._done.items()),
            "rates": self._rates.to_json(),
            "parent_of": list(self._parent_of.items()),
            "gone": self._gone,
        }
        return json.dumps(state, ensure_ascii=False).encode()

    def restore(self, state: bytes) -> None:
        """Go on exactly where the snapshot was taken."""
        known: dict[str, Any] = json.loads(state)
        self._signs = {s["sign"]: signs_json.from_json(s) for s in known["signs"]}
        self._open = {o["incident"]: incidents_json.from_json(o) for o in known["open"]}
        self._done = dict(known["done"])
        self._rates.hold(known["rates"])
        self._parent_of = dict(known["parent_of"])
        self._gone = known["gone"]
        self._touched = {}
        self._mute()

    def _place(self, waiting: Sequence[Sign], now_ms: int) -> None:
        """Find an incident for what waits; make one where the wait is over."""
        left = [sign for sign in waiting if not self._join(sign)]
        due = [sign for sign in left if sign.due_ms <= now_ms or _is_past(sign)]
        self._group(due, now_ms)
        for sign in due:
            if not sign.incident and not self._join(sign):
                self._open_for(sign, now_ms)

    def _take_outages(self, outages: Iterable[Outage], now_ms: int) -> None:
        for outage in outages:
            sign = self._signs.get(outage.outage)
            if sign is not None:
                follow_outage(sign, outage)
                self._touch(sign.incident)
            elif outage.outage not in self._done:
                hold_ms = self._hold_ms(outage.site)
                self._signs[outage.outage] = sign_of_outage(outage, now_ms + hold_ms)

    def _take_alerts(self, alerts: Iterable[AlertChange], now_ms: int) -> None:
        for alert in alerts:
            sign = self._signs.get(alert.alert)
            if sign is not None and alert.state == "resolved":
                end_alert(sign, alert)
                self._touch(sign.incident)
            elif sign is None and alert.state == "firing" and alert.severity != "info":
                self._signs[alert.alert] = self._sign_of(alert, now_ms)

    def _sign_of(self, alert: AlertChange, now_ms: int) -> Sign:
        device = self._world.registry.devices.get(alert.device)
        interval_ms = round(device.interval_s * 1000) if device else 0
        sign = sign_of_alert(alert, interval_ms // 2, now_ms)
        waits = sign.family not in ("", "platform") or alert.rule == "silence"
        if waits and alert.device != PLATFORM:
            sign.due_ms = now_ms + self._hold_ms(alert.site)
        return sign

    def _hold_ms(self, site: str) -> int:
        known = self._groups.sites.get(site)
        if known is None or known.priority == "critical":
            return 0
        return min(LONGEST_HOLD_MS, HOLD_INTERVALS * self._groups.interval_ms[site])

    def _join(self, sign: Sign) -> bool:
        """Put a sign into the open incident that it belongs to, if there is one."""
        if sign.alone:
            return False
        for one in self._open.values():
            if belongs(sign, one, self._signs_of(one), self._world):
                self._assign(sign, one)
                return True
        return False

    def _group(self, due: Iterable[Sign], now_ms: int) -> None:
        """Look for groups that explain what failed at the time of each sign that is due."""
        topics: dict[tuple[str, str], list[str]] = {}
        for sign in due:
            if sign.family not in ("", "platform") and not sign.alone:
                topics.setdefault((_bucket(sign.family), sign.topic), []).append(sign.sign)
        for (bucket, topic), names in topics.items():
            onsets = self._onsets(bucket, topic)
            known = [name for name in names if name in onsets]
            for near in clusters(onsets, known):
                grouping = self._grouping(now_ms)
                for found in grouping.explain(near):
                    self._settle_group(found, bucket, topic, now_ms)

    def _onsets(self, bucket: str, topic: str) -> dict[str, Onset]:
        """What may be grouped: everything of the kind that has not been over for long."""
        found = {}
        for sign in self._signs.values():
            fits = sign.family and _bucket(sign.family) == bucket and sign.topic == topic
            if not fits or sign.alone or sign.site not in self._groups.sites:
                continue
            home = self._open.get(sign.incident)
            if home is None or home.closed_ms is None:
                found[sign.sign] = _onset(sign)
        return found

    def _grouping(self, now_ms: int) -> Grouping:
        def audible(site: str, onset_ms: int) -> bool:
            return now_ms >= onset_ms + HEARD_INTERVALS * self._groups.interval_ms[site]

        def rate(site: str) -> float:
            return self._rates.per_day(self._groups.link_type(site))

        return Grouping(self._groups, rate, audible)

    def _settle_group(self, found: Explanation, bucket: str, topic: str, now_ms: int) -> None:
        """Make the incident of an explanation, or let one that exists grow."""
        signs = [self._signs[name] for name in found.signs]
        homes = {s.incident for s in signs if s.incident and self._open[s.incident].key}
        old = [self._open[name] for name in self._open if name in homes]
        if not old:
            family: Family = "down" if bucket == "down" else signs[0].family
            first = min(signs, key=lambda s: (s.onset_ms, s.sign))
            one = self._new(incident_id(first, "group"), found.key, family, topic, now_ms)
            self._gather(signs, one, now_ms)
            return
        largest = max(old, key=lambda o: (len(self._sites_of(o)), o.incident))
        if largest.key != found.key:
            mine = self._sites_of(largest)
            theirs = {sign.site for sign in signs}
            if not mine <= theirs or len(theirs) < WIDER * len(mine):
                return
            largest.key = found.key
        self._gather(signs, largest, now_ms)

    def _gather(self, signs: Iterable[Sign], one: Incident, now_ms: int) -> None:
        """Move signs into an incident; what they leave empty behind them is merged into it."""
        for sign in signs:
            before = self._open.get(sign.incident)
            if before is one:
                continue
            if before is None:
                self._assign(sign, one)
            elif before.key is None or self._sites_of(before) <= {s.site for s in signs}:
                self._merge(before, one, now_ms)
        for other in list(self._open.values()):
            if other is not one and other.key is None and other.family != "platform":
                members = self._signs_of(other)
                if all(belongs(s, one, self._signs_of(one), self._world) for s in members):
                    self._merge(other, one, now_ms)

    def _merge(self, old: Incident, into: Incident, now_ms: int) -> None:
        for sign in self._signs_of(old):
            self._assign(sign, into)
        del self._open[old.incident]
        self._touched.pop(old.incident, None)
        if old.published:
            evidence = say([Reason("merged", {"incident": into.incident})])
            change = old.published._replace(
                at_ms=now_ms,
                state="resolved",
                ended_ms=old.published.ended_ms or now_ms,
                evidence=evidence[0],
                evidence_lo=evidence[1],
            )
            self._changes.append(change)

    def _open_for(self, sign: Sign, now_ms: int) -> None:
        """An incident of its own."""
        if not sign.alone:
            if sign.family == "down":
                self._rates.count(self._groups.link_type(sign.site))
            elif sign.family:
                self._rates.count(sign.family)
        kind = "alone" if sign.alone else "own"
        one = self._new(incident_id(sign, kind), None, sign.family, sign.topic, now_ms)
        self._assign(sign, one)
        for other in list(self._open.values()):
            if other is one or other.key is not None or other.closed_ms is not None:
                continue
            members = self._signs_of(other)
            if all(belongs(s, one, [sign], self._world) for s in members):
                self._merge(other, one, now_ms)

    def _new(self, name: str, key: Key | None, family: Family, topic: str, now_ms: int) -> Incident:
        self._open[name] = Incident(name, key, family, topic, [], now_ms, None, None)
        return self._open[name]

    def _assign(self, sign: Sign, one: Incident) -> None:
        sign.incident = one.incident
        one.signs.append(sign.sign)
        if sign.alert:
            self._parent_of[sign.alert.alert] = one.incident
        self._touch(one.incident)

    def _touch(self, incident: str) -> None:
        if incident:
            self._touched[incident] = None

    def _review(self, now_ms: int) -> None:
        """Close what is over, open again what is not, let go of stragglers."""
        for one in list(self._open.values()):
            if one.incident not in self._touched and one.closed_ms is None:
                continue
            over = is_over(one, self._signs_of(one))
            if not over:
                one.closed_ms = None
            elif one.closed_ms is None:
                one.closed_ms = now_ms
                self._touch(one.incident)
            if one.closed_ms is not None and now_ms >= one.closed_ms + STRAGGLER_MS:
                self._let_go(one, now_ms)

    def _let_go(self, one: Incident, now_ms: int) -> None:
        """What is still so after its incident was over gets an incident of its own."""
        for sign in self._signs_of(one):
            if sign.ended_ms is None:
                one.signs.remove(sign.sign)
                sign.incident, sign.alone, sign.due_ms = "", True, now_ms
                if sign.alert:
                    self._parent_of.pop(sign.alert.alert, None)
                self._touch(one.incident)
                self._open_for(sign, now_ms)

    def _publish(self, now_ms: int) -> None:
        for name in list(self._open):
            one = self._open.get(name)
            if one is None or (name not in self._touched and one.closed_ms is None):
                continue
            self._publish_one(one, now_ms)
        self._touched = {}

    def _publish_one(self, one: Incident, now_ms: int) -> None:
        signs = self._signs_of(one)
        resolved = self._is_done(one, signs, now_ms)
        if not resolved and one.incident not in self._touched:
            return
        change = look(one, signs, self._world, now_ms=now_ms, resolved=resolved)
        if resolved and one.published is None:
            self._changes.append(change._replace(state="open"))
        if resolved:
            self._changes.append(change._replace(state="resolved"))
            self._forget(one, now_ms)
        elif one.published is None or _differs(change, one.published):
            self._changes.append(change)
            one.published = change

    def _is_done(self, one: Incident, signs: Sequence[Sign], now_ms: int) -> bool:
        """Whether nothing more will come of it."""
        if one.closed_ms is None or any(sign.ended_ms is None for sign in signs):
            return False
        return all(sign.settled for sign in signs) or now_ms >= one.closed_ms + SETTLE_MS

    def _forget(self, one: Incident, now_ms: int) -> None:
        del self._open[one.incident]
        for sign in self._signs_of(one):
            del self._signs[sign.sign]
            if sign.alert:
                self._gone.append(sign.alert.alert)
            else:
                self._done[sign.sign] = now_ms
        while self._done and next(iter(self._done.values())) < now_ms - REMEMBER_MS:
            del self._done[next(iter(self._done))]

    def _mute(self) -> None:
        muted = {s.sign for s in self._signs.values() if s.alert and not s.incident}
        for one in self._open.values():
            alerts = [s.sign for s in self._signs_of(one) if s.alert]
            muted.update(alerts if one.key is not None else alerts[1:])
        self._muted = muted

    def _signs_of(self, one: Incident) -> list[Sign]:
        return [self._signs[name] for name in one.signs]

    def _sites_of(self, one: Incident) -> set[str]:
        return {sign.site for sign in self._signs_of(one)}


FAMILIES: tuple[Family, ...] = ("power", "dns", "international", "blocked", "facility")


def _bucket(family: Family) -> str:
    """Loss of power without silence counts together with silence."""
    return "down" if family == "power" else family


def _onset(sign: Sign) -> Onset:
    uplink = sign.outage.uplink if sign.outage else 0
    types: tuple[GroupType, ...] = POWER if sign.family == "power" else ORDER
    return Onset(sign.sign, sign.site, uplink, sign.onset_ms, sign.error_ms, types)


def _is_past(sign: Sign) -> bool:
    """An alert that is over already: nothing is gained by waiting."""
    return sign.alert is not None and sign.ended_ms is not None


def _differs(a: IncidentChange, b: IncidentChange) -> bool:
    """Whether an operator should see the change: not for evidence or confidence alone."""
    return (a.scope, a.cause, a.phase, a.started_ms, a.ended_ms, a.sites, a.devices) != (
        (b.scope, b.cause, b.phase, b.started_ms, b.ended_ms, b.sites, b.devices)
    )

"""The book of incidents: outages and alerts become what operators work on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from detection.alerts import AlertChange
from detection.findings import PLATFORM
from detection.incidents.alert_causes import cause_of_alert
from detection.incidents.alert_verdicts import Hint
from detection.incidents.changes import IncidentChange
from detection.incidents.closing import is_done, is_straggler
from detection.incidents.gathering import TYPES, Gathering
from detection.incidents.groups import Groups
from detection.incidents.incident import Incident, World, is_over, telling_types
from detection.incidents.placing import Placing
from detection.incidents.rates import Rates
from detection.incidents.shelf import Shelf
from detection.incidents.signs import (
    GRADUAL_MS,
    Sign,
    end_alert,
    follow_outage,
    sign_of_alert,
    sign_of_outage,
)
from detection.incidents.telling import Telling
from detection.outages import Outage
from devices.registry import Device, Registry

PROBE = "connectivity-probe"
HOLD_INTERVALS = 2  # an ordinary site waits so long for others that fail with it
LONGEST_HOLD_MS = 10 * 60_000


class Step(NamedTuple):
    """What one step changed.

    parent_of: incident of every alert that has one, open ones and those that ended in this step.
    It is the book's own and changes with its next step.
    """

    changes: list[IncidentChange]
    parent_of: dict[str, str]


class Incidents:
    """Every incident that is not resolved, and the signs that wait to be placed."""

    def __init__(self, registry: Registry) -> None:
        self._shelf = Shelf()
        self._rates = Rates()
        self.use(registry)

    def use(self, registry: Registry) -> None:
        """Follow the registry: from now on its sites and groups hold."""
        self._groups = Groups(registry)
        self._world = World(registry, self._groups, self._shelf.hints)
        self._gathering = Gathering(self._shelf, self._rates, self._world)
        self._placing = Placing(self._shelf, self._rates, self._gathering)
        self._telling = Telling(self._shelf, self._world, self._placing)
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
        self._placing.place(now_ms)
        self._review(now_ms)
        if self._shelf.touched or outages or alerts:
            self._telling.publish(now_ms)
        return Step(self._shelf.changes, self._shelf.parent_of)

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

    def _take_outages(self, outages: Iterable[Outage], now_ms: int) -> None:
        for outage in outages:
            sign = self._shelf.signs.get(outage.outage)
            if sign is not None:
                follow_outage(sign, outage)
                self._shelf.touch(sign.incident)
            elif not self._shelf.is_done(outage.outage):
                self._shelf.signs[outage.outage] = self._sign_of_outage(outage, now_ms)

    def _take_alerts(self, alerts: Iterable[AlertChange], now_ms: int) -> None:
        for alert in alerts:
            sign = self._shelf.signs.get(alert.alert)
            if alert.severity == "info":
                self._take_hint(alert)
            elif sign is not None and alert.state == "resolved":
                end_alert(sign, alert)
                self._shelf.touch(sign.incident)
            elif sign is None and alert.state == "firing":
                self._shelf.signs[alert.alert] = self._sign_of(alert, now_ms)

    def _take_hint(self, alert: AlertChange) -> None:
        """Too small for an incident; it may still tell of a cause."""
        known = self._shelf.hints.get(alert.site, {}).get(alert.alert)
        device = self._world.registry.devices.get(alert.device)
        cause = cause_of_alert(alert, device.kind if device else "", self._link(device))
        if alert.state == "firing":
            hint = Hint(alert.alert, alert.rule, cause, alert.event_ms, None, alert.metric)
            self._shelf.hint(alert.site, hint)
        elif alert.state == "resolved" and known is not None:
            self._shelf.hint(alert.site, known._replace(ended_ms=alert.event_ms))

    def _sign_of_outage(self, outage: Outage, now_ms: int) -> Sign:
        devices = self._world.registry.devices
        kinds = {devices[device].kind for device in outage.devices if device in devices}
        return sign_of_outage(
            outage,
            probe=kinds == {PROBE},
            due_ms=now_ms + self._hold_ms(outage.site),
            group_ms=now_ms + self._gather_ms(outage.site),
        )

    def _sign_of(self, alert: AlertChange, now_ms: int) -> Sign:
        device = self._world.registry.devices.get(alert.device)
        interval_ms = round(device.interval_s * 1000) if device else 0
        sign = sign_of_alert(
            alert,
            device.kind if device else "",
            self._link(device),
            error_ms=interval_ms,
            due_ms=now_ms,
            group_ms=now_ms + self._gather_ms(alert.site),
        )
        waits = alert.nature == "connectivity" or sign.family not in ("", "platform")
        if waits and alert.device != PLATFORM:
            critical = alert.severity == "critical"
            sign.due_ms = now_ms + (self._hold_ms(alert.site) if critical else LONGEST_HOLD_MS)
        elif sign.is_of_habits:
            sign.due_ms = now_ms + GRADUAL_MS
        return sign

    def _link(self, device: Device | None) -> str:
        return self._groups.link_type(device.site, device.uplink) if device else ""

    def _gather_ms(self, site: str) -> int:
        """How long to wait for what fails with a site."""
        return min(LONGEST_HOLD_MS, HOLD_INTERVALS * self._groups.interval_ms.get(site, 0))

    def _hold_ms(self, site: str) -> int:
        """How long to wait before a site has an incident of its own."""
        known = self._groups.sites.get(site)
        return 0 if known and known.priority == "critical" else self._gather_ms(site)

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
                self._let_go(one, now_ms)
                if is_done(one, self._shelf.of(one), now_ms):
                    self._shelf.touch(one.incident)

    def _regroup(self, one: Incident, now_ms: int) -> None:
        """Another group, where the evidence speaks against the one that was taken."""
        types = telling_types(one, self._shelf.of(one), self._world)
        if types and one.key is not None and one.key.type not in types:
            self._gathering.reconsider(one, types, now_ms)

    def _let_go(self, one: Incident, now_ms: int) -> None:
        """What is still so after its incident was over gets an incident of its own."""
        assert one.closed_ms is not None
        for sign in self._shelf.of(one):
            if is_straggler(sign, one.closed_ms, now_ms):
                self._placing.part(sign, one, now_ms)

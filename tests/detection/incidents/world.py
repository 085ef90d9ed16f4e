"""Small countries for the tests of incidents, and outages and alerts as their parts report them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from detection.alerts import AlertChange
from detection.incidents.book import Incidents, Step
from detection.incidents.changes import IncidentChange
from detection.outages import Evidence, Outage
from devices.geography import DISTRICTS
from devices.registry import Device, Registry, Site, Uplink

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000
TICK_MS = 10_000
PROVINCES = ("LA-LP", "LA-SV", "LA-CH", "LA-XA")
CUT = Evidence(rounds=20, failed={"isp": 20, "nat": 20, "int": 20}, booted=False)
DARK_COUNTRY = Evidence(rounds=20, failed={"nat": 20, "int": 20}, booted=False)
BLACKOUT = Evidence(booted=True, silent_devices=2, site_devices=2)


def district(province: str, n: int = 0) -> str:
    """The n-th district of a province."""
    return [d for p, d in DISTRICTS if p == province][n]


def site(
    name: str,
    province: str = "LA-LP",
    *,
    place: int = 0,
    provider: str = "Unitel",
    link: str = "fibre",
    feeder: str = "",
    priority: str = "normal",
    second: str = "",
) -> Site:
    """An office in the place-th district of its province."""
    uplinks = [Uplink(provider, link, None, None)]
    if second:
        uplinks.append(Uplink(second, "4g", None, None))
    return Site(
        name, name, "", "office", province, district(province, place), None, None, "agency",
        tuple(uplinks), feeder, priority,
    )  # fmt: skip


def registry(sites: Iterable[Site], interval_s: float = 60, sensors: int = 1) -> Registry:
    """These sites, each with a probe and some sensors behind its first uplink."""
    sites = list(sites)
    kinds = ["connectivity-probe"] + ["environment"] * sensors
    devices = [
        Device(f"probe-{one.site}" if not n else f"env{n - 1}-{one.site}",
               one.site, kind, interval_s, 1, {})
        for one in sites
        for n, kind in enumerate(kinds)
    ]  # fmt: skip
    return Registry({s.site: s for s in sites}, {d.device: d for d in devices})


def country(n: int = 48) -> list[Site]:
    """Sites over four provinces with three districts each, two providers, feeders of four."""
    sites = []
    for i in range(n):
        province = PROVINCES[i % 4]
        place = (i // 4) % 3
        provider = ("Unitel", "LTC")[(i // 12) % 2]
        link = ("fibre", "4g")[(i // 24) % 2]
        name = f"s{i:02d}"
        feeder = f"F-{province}-{i // 16}"
        sites.append(site(name, province, place=place, provider=provider, link=link, feeder=feeder))
    return sites


class Play:
    """A book that is fed outages and alerts at their time and ticked every ten seconds."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.book = Incidents(registry)
        self.now_ms = START_MS
        self.changes: list[IncidentChange] = []
        self.parents: dict[str, str] = {}
        self.fired: dict[str, AlertChange] = {}
        self.orphans: set[str] = set()  # alerts that were resolved before they had an incident
        self.last: Step | None = None
        self._coming: list[tuple[int, Outage | AlertChange]] = []

    def outage(self, name: str, minute: float, until: float | None = None, **more: Any) -> Outage:
        """A site that is silent from a minute on, known three intervals later; back at `until`.

        It is settled five minutes after it came back. more: fields of the outage; `evidence` is
        what is known once it is settled, `live` before.
        """
        onset_ms = START_MS + round(minute * MINUTE_MS)
        interval_ms = self.interval_ms(name)
        evidence = more.pop("evidence", Evidence())
        live = more.pop("live", Evidence())
        uplink, scope = more.pop("uplink", 0), more.pop("scope", "site")
        mine = [d.device for d in self.registry.devices.values() if d.site == name]
        first = Outage(
            outage=f"o-{name}-{onset_ms}-{scope}{uplink}",
            scope=scope,
            site=name,
            uplink=uplink,
            devices=tuple(more.pop("devices", mine)),
            onset_ms=onset_ms,
            error_ms=interval_ms // 2,
            known_ms=onset_ms + 3 * interval_ms,
            ended_ms=None,
            returned_ms=None,
            phase="live",
            measured=False,
            backfilled=False,
            flapping=more.pop("flapping", False),
            evidence=live,
        )
        self._coming.append((first.known_ms, first))
        if until is not None:
            back_ms = START_MS + round(until * MINUTE_MS)
            over = replace(first, ended_ms=back_ms, returned_ms=back_ms, phase="over")
            settled = replace(over, phase="settled", evidence=evidence)
            self._coming.append((max(back_ms, first.known_ms + 1), over))
            self._coming.append((max(back_ms, first.known_ms) + 5 * MINUTE_MS, settled))
        return first

    def alert(
        self, device: str, minute: float, until: float | None = None, **more: Any
    ) -> AlertChange:
        """An alert that fires at a minute and is resolved at `until`.

        onset: the minute at which the condition began, where that is another one.
        """
        at_ms = START_MS + round(minute * MINUTE_MS)
        onset_ms = START_MS + round(more.pop("onset", minute) * MINUTE_MS)
        known = self.registry.devices.get(device)
        fields: dict[str, Any] = {
            "metric": "temperature_c", "rule": "limits", "nature": "condition",
            "severity": "warning", **more,
        }  # fmt: skip
        first = AlertChange(
            alert=f"a-{device}-{fields['metric']}-{fields['rule']}-{at_ms}",
            state="firing",
            device=device,
            site=known.site if known else "",
            event_ms=onset_ms,
            at_ms=at_ms,
            value=1.0,
            expected=None,
            text_en="",
            text_lo="",
            **fields,
        )
        self._coming.append((at_ms, first))
        self.fired[first.alert] = first
        if until is not None:
            end_ms = START_MS + round(until * MINUTE_MS)
            ended = first._replace(state="resolved", event_ms=end_ms, at_ms=end_ms)
            self._coming.append((end_ms, ended))
        return first

    def interval_ms(self, name: str) -> int:
        """Of the site's devices."""
        known = [d.interval_s for d in self.registry.devices.values() if d.site == name]
        return round(1000 * min(known))

    def until(self, minute: float, restart: Sequence[int] = ()) -> list[IncidentChange]:
        """Every change up to a minute. restart: at these ticks a new book takes over."""
        end_ms = START_MS + round(minute * MINUTE_MS)
        self._coming.sort(key=lambda c: c[0])
        found = []
        while self.now_ms <= end_ms:
            due = [what for at_ms, what in self._coming if at_ms <= self.now_ms]
            self._coming = [c for c in self._coming if c[0] > self.now_ms]
            outages = [one for one in due if isinstance(one, Outage)]
            alerts = [one for one in due if isinstance(one, AlertChange)]
            self.last = self.book.step(self.now_ms, outages, alerts)
            self.parents.update(self.last.parent_of)
            over = {a.alert for a in alerts if a.state == "resolved" and a.severity != "info"}
            self.orphans |= over - self.last.parent_of.keys()
            found += self.last.changes
            self.now_ms += TICK_MS
            if (self.now_ms - START_MS) // TICK_MS in restart:
                state = self.book.snapshot()
                self.book = Incidents(self.registry)
                self.book.restore(state)
        self.changes += found
        return found

    def latest(self) -> dict[str, IncidentChange]:
        """The last change of every incident that there ever was, by id, in order of opening."""
        return {change.incident: change for change in self.changes}


def of_state(play: Play, state: str) -> list[str]:
    """Ids of the incidents with a change to that state, in order."""
    return [change.incident for change in play.changes if change.state == state]

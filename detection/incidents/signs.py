"""Signs: the outages and alerts that incidents are made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from detection.alerts import AlertChange
from detection.findings import PLATFORM
from detection.incidents.alert_causes import cause_of_alert
from detection.incidents.changes import Cause
from detection.incidents.grouping import reach_ms
from detection.outages import Evidence, Outage

Family = Literal[
    "down", "agents", "power", "dns", "international", "blocked", "facility", "platform", ""
]

FAILOVER_MS = 180_000  # a site takes over its second uplink within about so long
GRADUAL_MS = 600_000  # how exactly rules that compare with habits know the onset, and waited for
FLEETING_MS = 25 * 60_000  # five readings of a slow sensor

# Rules that compare a metric with its own past. What they find has no name of its own.
HABITS = ("shift", "noise", "drift")
# Rules that need a while before they are sure.
GRADUAL = (*HABITS, "loss", "international-slow", "congestion", "slow-trips", "route-change")

# What a link shows under many causes.
VAGUE = ("limits", "shift", "loss", "slow-trips", "congestion")

SUPPLY = ("mains_", "frequency_", "current_")  # how the names of such metrics begin

# Causes whose alerts at several sites may have one origin. The others are each site's own.
GROUPED: dict[Cause, Family] = {
    "power": "power",
    "dns": "dns",
    "international": "international",
    "blocked": "blocked",
    "facility": "facility",
    "platform": "platform",
}


@dataclass(slots=True)
class Sign:
    """One outage, or one alert that fired; exactly one of `outage` and `alert` is there.

    family: signs of one family may have one origin; "" stands for itself. topic: what it is about
    (kind and metric of a facility's alert); only signs on one topic are grouped. incident: the one
    it belongs to, "" while it waits. ended_ms: event time, None while it lasts. due_ms: how long
    it waits for others, platform time. alone: it is not grouped again.
    """

    sign: str
    family: Family
    topic: str
    cause: Cause
    site: str
    devices: tuple[str, ...]
    onset_ms: int
    error_ms: int
    due_ms: int
    group_ms: int | None
    ended_ms: int | None
    incident: str
    alone: bool
    outage: Outage | None
    alert: AlertChange | None

    @property
    def latest_ms(self) -> int:
        """When, at the latest, it began: by its onset, and by when it was known."""
        latest_ms = self.onset_ms + reach_ms(2 * self.error_ms)
        return min(latest_ms, self.outage.known_ms) if self.outage else latest_ms

    @property
    def is_of_habits(self) -> bool:
        """It says only that a metric is not as it used to be."""
        return self.alert is not None and self.alert.rule in HABITS

    @property
    def lags(self) -> bool:
        """It tells late of something that may be over: a habit, or how full a backup battery is."""
        return self.alert is not None and _lags(self.alert)

    @property
    def is_of_link(self) -> bool:
        """An alert about the link of its site, not about silence."""
        known = self.alert
        return known is not None and known.nature == "connectivity" and known.rule != "silence"

    @property
    def is_vague(self) -> bool:
        """An alert about the link of its site that may have many causes."""
        return self.is_of_link and self.alert is not None and self.alert.rule in VAGUE

    @property
    def is_of_supply(self) -> bool:
        """An alert about the power that its site has, or draws."""
        return self.alert is not None and self.alert.metric.startswith(SUPPLY)

    @property
    def settled(self) -> bool:
        """Nothing more will be learnt of it."""
        return self.outage.phase == "settled" if self.outage else self.ended_ms is not None

    @property
    def whole_site(self) -> bool:
        """The site as a whole, or one of its uplinks, cannot be reached."""
        return self.outage is not None and self.outage.scope != "device"


def sign_of_outage(outage: Outage, *, probe: bool, due_ms: int, group_ms: int) -> Sign:
    """A new sign; an incident of its own is opened at due_ms, groups are looked for at group_ms."""
    sign = Sign(
        sign=outage.outage,
        family=family_of(outage, probe=probe),
        topic="",
        cause="unknown",
        site=outage.site,
        devices=(),
        onset_ms=0,
        error_ms=0,
        due_ms=due_ms,
        group_ms=group_ms,
        ended_ms=None,
        incident="",
        alone=False,
        outage=None,
        alert=None,
    )
    follow_outage(sign, outage)
    return sign


def family_of(outage: Outage, *, probe: bool) -> Family:
    """What an outage may be grouped with. probe: it is one of a connectivity probe."""
    if outage.flapping:
        return ""
    if outage.scope != "device":
        return "down"
    return "agents" if probe else ""


def follow_outage(sign: Sign, outage: Outage) -> None:
    """Take what is known of an outage by now."""
    sign.outage = outage
    sign.devices = outage.devices
    sign.onset_ms = outage.onset_ms
    sign.error_ms = outage.error_ms
    if outage.scope == "uplink":  # what is seen is that the other uplink took over
        sign.onset_ms = min(outage.onset_ms, outage.known_ms)
        sign.error_ms += FAILOVER_MS
    sign.ended_ms = outage.ended_ms


def sign_of_alert(
    alert: AlertChange, kind: str, link: str, *, error_ms: int, due_ms: int, group_ms: int
) -> Sign:
    """A new sign of an alert that fires, of a device of a kind behind a link of a type.

    error_ms: how exactly its onset is known.
    """
    cause = cause_of_alert(alert, kind, link)
    family = GROUPED.get(cause, "")
    if family in ("facility", "power") and _lags(alert):
        family = ""  # the weather, or a day of generator tests, moves the habits of many at once
    if alert.rule in GRADUAL:
        error_ms = max(error_ms, GRADUAL_MS)
    return Sign(
        sign=alert.alert,
        family=family,
        topic=f"{kind}/{alert.metric}" if family == "facility" else "",
        cause=cause,
        site=alert.site,
        devices=() if alert.device == PLATFORM else (alert.device,),
        onset_ms=alert.event_ms,
        error_ms=error_ms,
        due_ms=due_ms,
        group_ms=group_ms,
        ended_ms=None,
        incident="",
        alone=False,
        outage=None,
        alert=alert,
    )


def end_alert(sign: Sign, change: AlertChange) -> None:
    """The alert was resolved; what it said when it fired is kept.

    What left its habits and was back so soon was the sensor, not what it measures: rooms, tanks
    and air are slower. A voltage is not.
    """
    sign.ended_ms = change.event_ms
    fleeting = change.rule == "shift" and change.event_ms - sign.onset_ms <= FLEETING_MS
    if fleeting and sign.cause in ("facility", "unknown") and _is_slow(change):
        sign.cause = "sensor"


def _lags(alert: AlertChange) -> bool:
    return alert.rule in HABITS or alert.metric.startswith("ups_")


def _is_slow(alert: AlertChange) -> bool:
    return alert.nature != "connectivity" and not alert.metric.startswith("mains_")


def to_json(sign: Sign) -> dict[str, Any]:
    """As plain values; the opposite of `from_json`."""
    fields = {name: getattr(sign, name) for name in Sign.__slots__}
    fields["outage"] = asdict(sign.outage) if sign.outage else None
    return fields


def from_json(fields: dict[str, Any]) -> Sign:
    """The sign that `to_json` was given."""
    if outage := fields["outage"]:
        evidence = Evidence(**outage["evidence"])
        devices = tuple(outage["devices"])
        fields["outage"] = Outage(**{**outage, "devices": devices, "evidence": evidence})
    if alert := fields["alert"]:
        change = AlertChange(*alert)
        if change.expected is not None:
            low, high = change.expected
            change = change._replace(expected=(low, high))
        fields["alert"] = change
    fields["devices"] = tuple(fields["devices"])
    return Sign(**fields)

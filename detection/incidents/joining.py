"""Joining: which open incident a new sign belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detection.incidents.changes import Cause
from detection.incidents.grouping import reach_ms
from detection.incidents.incident import Incident, World
from detection.incidents.signs import Sign

BEFORE_MS = 15 * 60_000  # a related alert may come so long before the outage that it leads to
REOPEN_MS = 10 * 60_000  # an outage so soon after the last one belongs to it: two bins
LEADING: tuple[Cause, ...] = ("power", "rain-fade", "radio", "blocked")
COLD = "cold-chain"


def belongs(sign: Sign, incident: Incident, signs: Sequence[Sign], world: World) -> bool:
    """Whether an open incident with these signs is what a new sign is about."""
    if incident.family == "platform":
        return _of_platform(sign, signs)
    if incident.key is not None:
        return _of_group(sign, incident, signs, world)
    if sign.site != signs[0].site:
        return False
    if sign.alert is not None:
        return _alert_of_site(sign, signs, world)
    return _outage_of_site(sign, incident, signs)


def _of_platform(sign: Sign, signs: Sequence[Sign]) -> bool:
    """While nothing can reach us, that sites seem silent is no news."""
    if sign.family == "platform":
        return True
    start_ms = min(s.onset_ms for s in signs)
    silent = sign.whole_site or _is_silence(sign)
    return silent and sign.onset_ms >= start_ms - reach_ms(sign.error_ms)


def _of_group(sign: Sign, incident: Incident, signs: Sequence[Sign], world: World) -> bool:
    own = [s for s in signs if s.site == sign.site and s.whole_site]
    if sign.alert is not None and own:
        return _alert_of_site(sign, own, world)
    if sign.family == "" or sign.alone or incident.closed_ms is not None:
        return False
    same = incident.family == sign.family and incident.topic == sign.topic
    powers = incident.family == "down" and sign.family == "power" and incident.key is not None
    if not same and not (powers and incident.key and incident.key.type == "feeder"):
        return False
    uplink = sign.outage.uplink if sign.outage else 0
    if incident.key not in world.groups.keys_of(sign.site, uplink):
        return False
    return any(abs(s.onset_ms - sign.onset_ms) <= reach_ms(s.error_ms + sign.error_ms)
               for s in signs)  # fmt: skip


def _alert_of_site(sign: Sign, signs: Sequence[Sign], world: World) -> bool:
    """An alert hangs below an outage of its site, or stands beside alerts with its cause."""
    assert sign.alert is not None
    for other in signs:
        if other.outage and _hangs_below(sign, other, world):
            return True
    alerts = [s for s in signs if s.alert]
    if sign.cause == "unknown" or len(alerts) < len(signs):
        return False
    warms = alerts[0].cause == "power" and _is_cold_chain(sign, world)
    if sign.cause != alerts[0].cause and not warms:
        return False
    wide = sign.cause in ("sensor", "facility", "clock", "probe", "agent")
    return warms or not wide or sign.devices == alerts[0].devices


def _hangs_below(sign: Sign, outage: Sign, world: World) -> bool:
    assert sign.alert is not None
    if outage.outage and outage.outage.scope == "device":
        return _is_silence(sign) and set(sign.devices) <= set(outage.devices)
    leads = sign.cause in LEADING or _is_silence(sign)
    start_ms = outage.onset_ms - (BEFORE_MS if leads else reach_ms(outage.error_ms))
    end_ms = outage.ended_ms
    if sign.onset_ms < start_ms or (end_ms is not None and sign.onset_ms > end_ms):
        return False
    if sign.alert.nature == "connectivity" or sign.cause == "power":
        return True
    return _is_cold_chain(sign, world) and outage.cause == "power"


def _outage_of_site(sign: Sign, incident: Incident, signs: Sequence[Sign]) -> bool:
    assert sign.outage is not None
    others = [s for s in signs if s.outage]
    if not others:
        return incident.closed_ms is None and any(_leads_to(s, sign) for s in signs)
    if sign.outage.scope == "device" or any(not s.whole_site for s in others):
        return any(set(sign.devices) == set(s.devices) and _soon_after(sign, s) for s in others)
    same = any(s.outage and s.outage.uplink == sign.outage.uplink for s in others)
    return same and any(_soon_after(sign, s) for s in others)


def _leads_to(alert: Sign, outage: Sign) -> bool:
    if not outage.whole_site or alert.cause not in LEADING:
        return _is_silence(alert) and set(alert.devices) <= set(outage.devices)
    ended_ms = alert.ended_ms
    return ended_ms is None or outage.onset_ms - ended_ms <= BEFORE_MS


def _soon_after(sign: Sign, other: Sign) -> bool:
    ended_ms = other.ended_ms
    return ended_ms is None or -REOPEN_MS <= sign.onset_ms - ended_ms <= REOPEN_MS


def _is_silence(sign: Sign) -> bool:
    return sign.alert is not None and sign.alert.rule == "silence"


def _is_cold_chain(sign: Sign, world: World) -> bool:
    """A fridge that warms: without power it must."""
    devices: Iterable[str] = sign.devices
    known = [world.registry.devices[d] for d in devices if d in world.registry.devices]
    return any(device.kind == COLD for device in known) and sign.cause == "facility"

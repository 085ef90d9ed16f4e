"""Joining: which open incident a new sign belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from detection.incidents.changes import Cause
from detection.incidents.grouping import reach_ms
from detection.incidents.incident import DEVICE_CAUSES, Incident, World
from detection.incidents.signs import Sign

BEFORE_MS = 15 * 60_000  # a related alert may come so long before the outage that it leads to
REOPEN_MS = 10 * 60_000  # an outage so soon after the last one belongs to it: two bins
AROUND_MS = 60 * 60_000  # alerts about one link this near to each other are about one trouble
AFTERMATH_MS = 90 * 60_000  # rooms, fridges and batteries recover for so long after a power cut
LEADING: tuple[Cause, ...] = ("power", "rain-fade", "radio", "blocked")
COLD = "cold-chain"


def belongs(sign: Sign, incident: Incident, signs: Sequence[Sign], world: World) -> bool:
    """Whether an open incident with these signs is what a new sign is about."""
    if incident.family == "platform":
        return _of_platform(sign, signs)
    mine = signs
    if incident.key is not None:
        if failed_with(sign, incident, signs, world):
            return True
        mine = [other for other in signs if other.site == sign.site]
        if _shows_group(sign, incident, mine) or _is_glimpse(sign, incident, signs, world):
            return True
    elif sign.site != signs[0].site:
        return False
    if not mine:
        return False
    if sign.alert is not None:
        return _alert_of_site(sign, mine, world)
    return _outage_of_site(sign, incident, mine)


def is_older_trouble(signs: Sequence[Sign], start_ms: int) -> bool:
    """Whether an incident is about a link that was in trouble long before something began, or about
    an outage that was over by then."""
    if min(s.onset_ms for s in signs) >= start_ms - AROUND_MS:
        return False
    ends = [s.ended_ms for s in signs if s.outage]
    over = [end for end in ends if end is not None and end < start_ms - REOPEN_MS]
    return signs[0].is_of_link or 0 < len(ends) == len(over)


def failed_with(sign: Sign, incident: Incident, signs: Sequence[Sign], world: World) -> bool:
    """Whether it failed with the others (`signs`) of an incident that is a group's."""
    key = incident.key
    if key is None or sign.alone or not _is_alike(sign, incident):
        return False
    uplink = sign.outage.uplink if sign.outage else 0
    if key not in world.groups.keys_of(sign.site, uplink):
        return False
    return any(_began_with(sign, other) for other in signs)


def is_silence(sign: Sign) -> bool:
    """Whether it says no more than that nothing is heard of a device."""
    return sign.alert is not None and sign.alert.rule == "silence"


def hangs_below(sign: Sign, outage: Sign, world: World) -> bool:
    """Whether an alert is a consequence, or the beginning, of an outage of its site."""
    assert sign.alert is not None
    if outage.outage and outage.outage.scope == "device":
        same = set(sign.devices) <= set(outage.devices)
        return same and (is_silence(sign) or sign.cause == "clock")
    leads = sign.cause in LEADING or is_silence(sign)
    start_ms = outage.onset_ms - (BEFORE_MS if leads else reach_ms(outage.error_ms))
    end_ms = outage.ended_ms
    late_ms = reach_ms(outage.error_ms) if is_silence(sign) else 0
    if sign.onset_ms < start_ms or (end_ms is not None and sign.onset_ms > end_ms + late_ms):
        return False
    return sign.alert.nature == "connectivity" or sign.cause == "power"


def _of_platform(sign: Sign, signs: Sequence[Sign]) -> bool:
    """While nothing can reach us, that sites seem silent is no news."""
    if sign.family == "platform":
        return True
    start_ms = min(s.onset_ms for s in signs)
    silent = sign.outage is not None or is_silence(sign)
    return silent and sign.onset_ms >= start_ms - reach_ms(sign.error_ms)


def _is_alike(sign: Sign, incident: Incident) -> bool:
    """Whether it is trouble of the sort that a group of sites has."""
    assert incident.key is not None
    if incident.family == "down":
        if incident.key.type == "platform":  # then every silence is
            return sign.outage is not None and not sign.outage.flapping
        if incident.key.type == "feeder" and sign.family == "power":
            return True
    return sign.family == incident.family and sign.topic == incident.topic


def _shows_group(sign: Sign, incident: Incident, signs: Sequence[Sign]) -> bool:
    """Whether the link of a member suffers while the group does, and nothing says from what else.

    signs: of the same site.
    """
    if not sign.is_vague or incident.family == "facility" or sign.cause in LEADING:
        return False
    return any(
        other.family
        and sign.onset_ms >= other.onset_ms - reach_ms(sign.error_ms + other.error_ms)
        and (other.ended_ms is None or sign.onset_ms <= other.ended_ms)
        for other in signs
    )


def _is_glimpse(sign: Sign, incident: Incident, signs: Sequence[Sign], world: World) -> bool:
    """Whether a device fell silent with the group, at a site that took over its other uplink."""
    known = world.registry.sites.get(sign.site)
    if incident.family != "down" or known is None or len(known.uplinks) < 2:
        return False
    if not is_silence(sign) or incident.key not in world.groups.of_site.get(sign.site, ()):
        return False
    return any(_began_with(sign, other) for other in signs)


def _began_with(sign: Sign, other: Sign) -> bool:
    return abs(sign.onset_ms - other.onset_ms) <= reach_ms(sign.error_ms + other.error_ms)


def _alert_of_site(sign: Sign, signs: Sequence[Sign], world: World) -> bool:
    """An alert hangs below an outage of its site, or stands beside alerts on the same trouble."""
    if any(other.outage and hangs_below(sign, other, world) for other in signs):
        return True
    if sign.lags and any(_is_aftermath(sign, other) for other in signs):
        return True
    if any(_on_one_metric(sign, other) for other in signs):
        return True
    alerts = [other for other in signs if other.alert and not is_silence(other)]
    if not alerts or is_silence(sign):
        return False
    if any(_on_one_link(sign, other) for other in alerts):
        return True
    if _is_cold_chain(sign, world) and any(other.cause == "power" for other in alerts):
        return True
    if len(alerts) < len(signs) or sign.cause != alerts[0].cause or sign.cause == "unknown":
        return False
    return sign.cause not in DEVICE_CAUSES or sign.devices == alerts[0].devices


def _on_one_link(sign: Sign, other: Sign) -> bool:
    natures = {s.alert.nature for s in (sign, other) if s.alert}
    if natures != {"connectivity"}:
        return False
    if sign.cause == "power" != other.cause:  # a slow line does not take the mains away
        return abs(sign.onset_ms - other.onset_ms) <= BEFORE_MS
    if abs(sign.onset_ms - other.onset_ms) <= AROUND_MS:
        return True
    same = sign.cause == other.cause or "unknown" in (sign.cause, other.cause)
    return same and _not_long_after(sign, other)


def _on_one_metric(sign: Sign, other: Sign) -> bool:
    """Whether two rules found something in one metric of a device at about one time."""
    if sign.alert is None or other.alert is None or not sign.alert.metric:
        return False
    same = sign.devices == other.devices and sign.alert.metric == other.alert.metric
    return same and _not_long_after(sign, other)


def _not_long_after(sign: Sign, other: Sign) -> bool:
    return other.ended_ms is None or sign.onset_ms <= other.ended_ms + AROUND_MS


def _is_aftermath(sign: Sign, other: Sign) -> bool:
    """Whether a metric left its habits because the power, or the link, of its site came back."""
    if sign.is_of_link:
        if not other.whole_site:
            return False  # a backlog fills the line after its outage
    elif not _is_of_power(other) and not (other.outage and other.outage.evidence.booted):
        return False
    late = other.ended_ms is not None and sign.onset_ms > other.ended_ms + AFTERMATH_MS
    return sign.onset_ms >= other.onset_ms - BEFORE_MS and not late


def _outage_of_site(sign: Sign, incident: Incident, signs: Sequence[Sign]) -> bool:
    assert sign.outage is not None
    others = [s for s in signs if s.outage]
    if any(_leads_to(s, sign) for s in signs if s.alert):
        return True
    if any(s.outage and s.outage.evidence.mains_lost and _soon_after(sign, s) for s in others):
        return True
    if sign.outage.scope == "device":
        if sign.family != "agents" and any(_took_with_it(s, sign) for s in signs):
            return True
        return any(set(sign.devices) == set(s.devices) and _soon_after(sign, s) for s in others)
    # A link in trouble, with what fell silent on it, is not yet a dark site.
    return not signs[0].is_of_link and any(_continues(sign, s) for s in others)


def _continues(sign: Sign, other: Sign) -> bool:
    """Whether an outage goes on with, or widens, another one of its site."""
    assert sign.outage is not None
    if other.outage is None or not _soon_after(sign, other):
        return False
    if other.outage.scope == "device":
        inside = set(other.devices) <= set(sign.devices)
        return inside and _began_with(sign, other)
    return other.outage.uplink == sign.outage.uplink


def _leads_to(alert: Sign, outage: Sign) -> bool:
    """Whether an alert is how an outage began: first on battery, then dark."""
    ended_ms = alert.ended_ms
    near = ended_ms is None or outage.onset_ms - ended_ms <= BEFORE_MS
    reach = reach_ms(outage.error_ms + alert.error_ms)
    if alert.onset_ms > outage.onset_ms + reach or not near:
        return False
    if is_silence(alert):
        return set(alert.devices) <= set(outage.devices)
    if alert.cause == "power":
        return True
    recent = alert.onset_ms >= outage.onset_ms - AROUND_MS
    return outage.whole_site and alert.cause in LEADING and recent


def _took_with_it(alert: Sign, outage: Sign) -> bool:
    """Whether the link of a site was in trouble, lossy or faded, when one device fell silent."""
    if not alert.is_of_link or alert.cause in ("unknown", "power"):
        return False
    reach = reach_ms(outage.error_ms + alert.error_ms)
    during = alert.onset_ms - reach <= outage.onset_ms
    return during and (alert.ended_ms is None or outage.onset_ms <= alert.ended_ms)


def _is_of_power(sign: Sign) -> bool:
    if sign.outage:
        return bool(sign.outage.evidence.mains_lost)
    return sign.cause == "power" and not sign.lags


def _soon_after(sign: Sign, other: Sign) -> bool:
    """Whether it began about when the other one ended, or while that lasts, and was not over long
    before."""
    if sign.ended_ms is not None and other.onset_ms - sign.ended_ms > REOPEN_MS:
        return False
    ended_ms = other.ended_ms
    return ended_ms is None or -REOPEN_MS <= sign.onset_ms - ended_ms <= REOPEN_MS


def _is_cold_chain(sign: Sign, world: World) -> bool:
    """A fridge that warms: without power it must."""
    known = [world.registry.devices[d] for d in sign.devices if d in world.registry.devices]
    mine = any(device.kind == COLD for device in known)
    return mine and sign.cause in ("facility", "unknown")

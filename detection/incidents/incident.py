"""One incident: the signs that belong to it, and how it looks to operators."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from detection.incidents.alert_verdicts import (
    Hint,
    reason_of_alerts,
    verdict_of_alerts,
    verdict_of_group,
)
from detection.incidents.causes import Case, Reason, Verdict, cause_of_outage
from detection.incidents.changes import Cause, IncidentChange, IncidentPhase, IncidentState, Scope
from detection.incidents.group_causes import FITTING, cause_of_group, votes_of, winner_of
from detection.incidents.groups import WHOLE_COUNTRY, Groups, GroupType, Key
from detection.incidents.signs import Family, Sign
from detection.incidents.wording import say
from detection.outages import Outage
from devices.registry import Registry

BACK_SHARE = 0.7  # of a group's sites; then its cause is gone
# Of these a device is to blame or concerned; of the others its site.
DEVICE_CAUSES: tuple[Cause, ...] = (
    "sensor", "facility", "clock", "probe", "agent", "duplicate-identity", "unknown",
)  # fmt: skip
TELLING: tuple[Cause, ...] = ("power", "rain-fade", "radio", "blocked")


class World(NamedTuple):
    """What is known besides the signs. hints: by site and alert."""

    registry: Registry
    groups: Groups
    hints: Mapping[str, Mapping[str, Hint]]


@dataclass(slots=True)
class Incident:
    """key: the group that explains it, None for one site or device. signs: in order of joining.

    opened_ms, closed_ms: platform time at which it was opened, and since which it is over, None
    while it lasts. published: as operators saw it last.
    """

    incident: str
    key: Key | None
    family: Family
    topic: str
    signs: list[str]
    opened_ms: int
    closed_ms: int | None
    published: IncidentChange | None


def incident_id(first: Sign, kind: str) -> str:
    """The id of the incident that began with a sign: the same wherever it is found."""
    digest = hashlib.blake2b(f"{kind}\0{first.sign}".encode(), digest_size=6)
    return "i" + digest.hexdigest()


def outages_of(signs: Sequence[Sign]) -> list[Sign]:
    """Those that are outages; of whole sites only, where there are any.

    A device that falls silent while the link of its site is in trouble is a consequence.
    """
    outages = [sign for sign in signs if sign.outage]
    whole = [sign for sign in outages if sign.whole_site]
    return whole or ([] if signs[0].is_of_link else outages)


def main_of(incident: Incident, signs: Sequence[Sign]) -> list[Sign]:
    """The signs that make it: its outages, or its alerts where there are none; of a group those
    that it was found by.

    In a power cut a site that has a battery is a member by its alerts alone.
    """
    outages = outages_of(signs)
    if incident.key is None:
        return outages or list(signs)
    if not outages or incident.family != "down":
        alike = (incident.family, incident.topic)
        return [s for s in signs if (s.family, s.topic) == alike] or list(signs)
    dark = {sign.site for sign in outages}
    return outages + [s for s in signs if s.family == "power" and s.site not in dark]


def is_over(incident: Incident, signs: Sequence[Sign]) -> bool:
    """Whether the cause is gone: of a group 70 % of the sites are back, else everything is."""
    main = main_of(incident, signs)
    if incident.key is None:
        return all(sign.ended_ms is not None for sign in main)
    still = {sign.site for sign in main if sign.ended_ms is None}
    sites = {sign.site for sign in main}
    return len(still) <= (1 - BACK_SHARE) * len(sites)


def look(
    incident: Incident, signs: Sequence[Sign], world: World, *, now_ms: int, resolved: bool
) -> IncidentChange:
    """How an incident looks at a time."""
    verdict = verdict_of(incident, signs, world)
    outages = [sign for sign in signs if sign.outage]
    known = all(sign.settled for sign in outages) if outages else resolved
    over = incident.closed_ms is not None
    phase: IncidentPhase = "final" if resolved or (known and over) else "provisional"
    state: IncidentState = "resolved" if resolved else "updated" if incident.published else "open"
    main = main_of(incident, signs)
    began = [*main, *(sign for sign in signs if sign.family == "power")]  # a battery hides it
    ends = [sign.ended_ms for sign in main if sign.ended_ms is not None]
    evidence = say((*_pattern(incident, main, began, world), *verdict.reasons))
    return IncidentChange(
        at_ms=now_ms,
        incident=incident.incident,
        state=state,
        scope=scope_of(incident, signs, world),
        cause=verdict.cause,
        phase=phase,
        confidence=verdict.confidence,
        started_ms=min(sign.onset_ms for sign in began),
        ended_ms=max(ends) if over and ends else None,
        sites=tuple(sorted({sign.site for sign in main if sign.site})),
        devices=tuple(sorted({device for sign in main for device in sign.devices})),
        evidence=evidence[0],
        evidence_lo=evidence[1],
    )


def scope_of(incident: Incident, signs: Sequence[Sign], world: World) -> Scope:
    """How far it reaches."""
    if incident.key is not None:
        return world.groups.scope(incident.key)
    first = signs[0]
    if incident.family == "platform":
        return Scope("platform", WHOLE_COUNTRY)
    if any(sign.whole_site for sign in signs) or not first.devices:
        return Scope("site", first.site)
    if not outages_of(signs) and all(_is_of_site(sign) for sign in signs if sign.alert):
        return Scope("site", first.site)
    return Scope("device", first.devices[0])


def _is_of_site(sign: Sign) -> bool:
    """Whether an alert tells of its site rather than of the device that found it."""
    assert sign.alert is not None
    return sign.cause not in DEVICE_CAUSES or (
        sign.cause == "unknown" and sign.alert.nature == "connectivity"
    )


def verdict_of(incident: Incident, signs: Sequence[Sign], world: World) -> Verdict:
    """The cause by what is known now."""
    if incident.key is not None:
        if incident.family != "down":
            main = main_of(incident, signs)
            return verdict_of_group(incident.key.type, main, signs, world.hints)
        verdict = cause_of_group(incident.key.type, *_told(signs, world))
        return verdict._replace(confidence=_weaker(verdict.confidence, incident, world))
    outages = [sign.outage for sign in outages_of(signs) if sign.outage]
    if outages:
        outage = _plainest(outages)
        verdict = cause_of_outage(case_of(outage, world))
        return _with_alerts(verdict, outage, signs)
    return verdict_of_alerts(signs, world.hints.get(signs[0].site, {}).values())


def _plainest(outages: Sequence[Outage]) -> Outage:
    """Of the outages of one site the one that tells most of it as it is now: the first, mostly.

    A line that comes and goes often begins with an outage that does not show it yet, and a site
    whose uplinks go one after the other with the outage of one.
    """
    later = [one for one in outages if one.flapping]
    if outages[0].scope == "uplink":
        later += [one for one in outages if one.scope == "site" and one.phase == "live"]
    return later[0] if later else outages[0]


def telling_types(incident: Incident, signs: Sequence[Sign], world: World) -> tuple[GroupType, ...]:
    """The types of groups that the evidence speaks for, the most likely first; () for any."""
    if incident.key is None or incident.key.type == "platform" or incident.family != "down":
        return ()
    winner = winner_of(votes_of(*_told(signs, world)))
    return FITTING.get(winner, ()) if winner else ()


def _told(signs: Sequence[Sign], world: World) -> tuple[list[Case], set[str]]:
    """What the members of a group tell: their outages, and which sites say by alerts that they
    have no mains power."""
    outages = [sign.outage for sign in outages_of(signs) if sign.outage]
    mains = {sign.site for sign in signs if sign.alert and sign.cause == "power"}
    return [case_of(outage, world) for outage in outages], mains


def case_of(outage: Outage, world: World) -> Case:
    """An outage with what the registry says of its site."""
    registry = world.registry
    site = registry.sites.get(outage.site)
    known = [registry.devices[d] for d in outage.devices if d in registry.devices]
    return Case(
        outage=outage,
        link_type=world.groups.link_type(outage.site, outage.uplink),
        uplinks=len(site.uplinks) if site else 1,
        probe=any(device.kind == "connectivity-probe" for device in known),
    )


def _weaker(confidence: float, incident: Incident, world: World) -> float:
    """Two sites of two are a pattern, not a proof."""
    assert incident.key is not None
    pair = len(world.groups.members.get(incident.key, ())) == 2
    return round(confidence * 0.6, 2) if pair else confidence


def _with_alerts(verdict: Verdict, outage: Outage, signs: Sequence[Sign]) -> Verdict:
    """What the site's alerts add where the outage itself does not tell."""
    telling = ("clock", "power") if outage.scope == "device" else TELLING
    if outage.scope != "device" and verdict.confidence >= 0.6:
        return verdict
    causes = Counter(sign.cause for sign in signs if sign.alert and sign.cause in telling)
    if not causes:
        return verdict
    cause = causes.most_common(1)[0][0]
    if cause == "power" and outage.evidence.rounds:
        return verdict
    first = next(s.alert for s in signs if s.alert and s.cause == cause)
    reason = reason_of_alerts(causes[cause], first)
    return Verdict(cause, 0.75, (reason, *verdict.reasons))


def _pattern(
    incident: Incident, main: Sequence[Sign], began: Sequence[Sign], world: World
) -> tuple[Reason, ...]:
    """The sentences on the group as such. began: by which signs its sites failed."""
    key = incident.key
    if key is None:
        return ()
    onsets: dict[str, int] = {}  # of each site the first
    for sign in began:
        onsets[sign.site] = min(sign.onset_ms, onsets.get(sign.site, sign.onset_ms))
    spread_ms = max(onsets.values()) - min(onsets.values())
    together = Reason(
        "together",
        {
            "n": len(onsets),
            "sites": max(len(onsets), len(world.groups.members.get(key, ()))),
            "group": key.type,
            "id": key.id,
            "minutes": max(1, round(spread_ms / 60_000)),
        },
    )
    back = len(onsets.keys() - {sign.site for sign in main if sign.ended_ms is None})
    pair = (Reason("pair", {}),) if len(world.groups.members.get(key, ())) == 2 else ()
    if not back:
        return (together, *pair)
    return (together, *pair, Reason("back", {"n": back, "sites": len(onsets)}))


def to_json(incident: Incident) -> dict[str, Any]:
    """As plain values; the opposite of `from_json`."""
    return {name: getattr(incident, name) for name in Incident.__slots__}


def from_json(fields: Mapping[str, Any]) -> Incident:
    """The incident that `to_json` was given."""
    key, published = fields["key"], fields["published"]
    return Incident(
        **{
            **fields,
            "key": Key(*key) if key else None,
            "published": _change(published) if published else None,
        }
    )


def _change(fields: Sequence[Any]) -> IncidentChange:
    change = IncidentChange(*fields)
    return change._replace(
        scope=Scope(*change.scope),
        sites=tuple(change.sites),
        devices=tuple(change.devices),
        evidence=tuple(change.evidence),
        evidence_lo=tuple(change.evidence_lo),
    )

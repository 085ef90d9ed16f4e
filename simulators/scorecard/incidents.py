"""Incidents against truth: groups, their scope and number, causes, and what a page is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulators.scorecard.alarms import Alarm, alerts_of, histories, parent_of
from simulators.scorecard.detection import Judged
from simulators.scorecard.files import GROUPS, Fault, IncidentLine, World
from simulators.scorecard.matching import TOLERANCE_MS, speaks_of
from simulators.scorecard.tallies import Score

NEAR_MS = 900_000  # an onset this near to a fault's start is its onset
LATE_MS = 21_600_000  # what is told so long after a fault's end is about something else
LEAST_GROUP = 3  # sites; two that fail together may do so by chance


@dataclass(frozen=True)
class Told:
    """An incident as it was told in the end, when it was first, and the fault it belongs to."""

    first: IncidentLine
    last: IncidentLine
    merged: bool
    fault: Fault | None

    @property
    def is_group(self) -> bool:
        """Whether it names more than a site."""
        return self.last.scope.type in GROUPS and len(self.last.sites) > 1


def told_of(world: World) -> list[Told]:
    """Every incident with the fault that it is about, None where it is about none."""
    below: dict[str, list[Alarm]] = {}
    for alarm in alerts_of(world.alerts):
        if alarm.incident:
            below.setdefault(alarm.incident, []).append(alarm)
    found = []
    for name, changes in histories(world.incidents).items():
        last = changes[-1]
        fault = explanation(last, world, below.get(name, ()), told_ms=changes[0].at)
        found.append(Told(changes[0], last, parent_of(last) is not None, fault))
    return found


def explanation(
    incident: IncidentLine, world: World, alarms: Sequence[Alarm], *, told_ms: int
) -> Fault | None:
    """The fault that an incident is about: it hits devices that the incident names, while it lasts.

    What was told (told_ms) more than 15 minutes before the fault began, or six hours after it was
    over, is not about it. Where alerts hang below the incident (`alarms`), one of them is about
    what the fault does. Of several faults one that began within 15 minutes of it comes before one
    that did not; then the one with the greatest common share of devices.
    """
    mine = _devices(incident.devices, incident.sites, world)
    best: tuple[bool, float, Fault] | None = None
    for fault in world.faults:
        if incident.started_at > fault.end + NEAR_MS:
            continue
        if (incident.ended_at or world.end_ms) < fault.start - NEAR_MS:
            continue
        if not fault.start - NEAR_MS <= told_ms <= fault.end + LATE_MS:
            continue
        theirs = _devices(fault.devices, fault.sites, world)
        common = len(mine & theirs)
        if not common or not _is_about(alarms, fault):
            continue
        near = abs(incident.started_at - fault.start) <= NEAR_MS
        rank = (near, common / len(mine | theirs))
        if best is None or rank > best[:2]:
            best = (*rank, fault)
    return best[2] if best else None


def _devices(devices: Sequence[str], sites: Sequence[str], world: World) -> frozenset[str]:
    """The devices that an incident or a fault names; where it names none, all of its sites."""
    if devices:
        return frozenset(devices)
    at = world.devices_at_sites
    return frozenset[str]().union(*(at.get(site, ()) for site in sites))


def _is_about(alarms: Sequence[Alarm], fault: Fault) -> bool:
    on_it = [alarm for alarm in alarms if {*alarm.devices} & {*fault.devices}]
    return not on_it or any(speaks_of(alarm, fault) for alarm in on_it)


def score_incidents(score: Score, world: World, judged: Judged) -> None:
    """Add the counts of one world to the tables "group", "false_group", "cause" and "page"."""
    told = told_of(world)
    of_fault: dict[str, list[Told]] = {}
    for one in told:
        if one.fault is not None and not one.merged:
            of_fault.setdefault(one.fault.fault, []).append(one)
    for fault in world.faults:
        if fault.scope.type in GROUPS and len(fault.sites) > 1:
            _count_group(score, world, fault, of_fault.get(fault.fault, []))
        elif fault.fault in of_fault:
            score.row("per_fault", fault.scope.type).add(
                faults=1, incidents=len(of_fault[fault.fault])
            )
    for one in told:
        if one.is_group and not one.merged:
            row = score.row("false_group", one.last.scope.type)
            row.add(groups=1, false=not _explains_half(one, world))
        if one.fault is not None and not one.merged:
            _count_cause(score, one, one.fault)
    score.row("incident", "all").add(
        incidents=len(told),
        merged=sum(one.merged for one in told),
        unmatched=sum(one.fault is None and not one.merged for one in told),
    )
    _count_pages(score, judged)


def _count_group(score: Score, world: World, fault: Fault, told: Sequence[Told]) -> None:
    names = ["two sites"] if len(fault.sites) < LEAST_GROUP else [fault.scope.type, "all groups"]
    sites = set(fault.sites)
    groups = [
        one for one in told if one.is_group and len(sites & {*one.last.sites}) * 2 >= len(sites)
    ]
    right = any(_same_scope(one.last, fault, world) for one in groups)
    for name in names:
        row = score.row("group", name)
        row.add(
            faults=1,
            found=bool(groups),
            right=right,
            one=bool(groups) and len(told) == 1,
            incidents=len(told),
        )
        if groups:
            row.observe("delay_s", max(0, min(g.first.at for g in groups) - fault.start) / 1000)


def _same_scope(incident: IncidentLine, fault: Fault, world: World) -> bool:
    """Whether both name the same scope, or scopes that hold the same sites of the registry."""
    said, true = incident.scope, fault.scope
    if said.type == true.type and said.id.rpartition("/")[2] == true.id.rpartition("/")[2]:
        return True
    sites = world.site_groups.get((said.type, said.id))
    return sites is not None and sites == world.site_groups.get((true.type, true.id))


def _explains_half(one: Told, world: World) -> bool:
    """Whether one fault at several sites lies behind at least half of a group's sites."""
    said = set(one.last.sites)
    until = one.last.ended_at or world.end_ms
    return any(
        len(fault.sites) > 1
        and len(said & {*fault.sites}) * 2 >= len(said)
        and fault.start - NEAR_MS <= until
        and one.last.started_at <= fault.end + TOLERANCE_MS
        for fault in world.faults
    )


def _count_cause(score: Score, one: Told, fault: Fault) -> None:
    said = one.last.cause
    score.row("cause", fault.cause).add(**{said: 1})
    if fault.cause == "unknown":  # the truth itself does not say
        return
    names = ["all incidents"]
    names += ["connectivity"] if fault.nature == "connectivity" else ["sensors and facilities"]
    for name in names:
        score.row("cause_total", name).add(
            incidents=1,
            right=said == fault.cause,
            unknown=said == "unknown",
            wrong=said not in ("unknown", fault.cause),
            final=one.last.phase == "final",
        )


def _count_pages(score: Score, judged: Judged) -> None:
    """Critical alarms after correlation: those of one incident reach the operator as one."""
    pages: dict[str, bool] = {}
    for alarms, is_true in ((judged.true, True), (judged.false, False)):
        for alarm in alarms:
            if alarm.severity == "critical":
                name = alarm.incident or alarm.alarm
                pages[name] = pages.get(name, False) or is_true
    score.row("page", "critical").add(
        pages=len(pages), true=sum(pages.values()), false=len(pages) - sum(pages.values())
    )

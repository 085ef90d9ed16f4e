"""Alarms: what an operator was told, from alerts and from incidents that no alert hangs below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simulators.scorecard.files import AlertLine, IncidentLine, World

EPISODE_MS = 3_600_000  # alarms of one device that begin within an hour are one episode
MERGED = re.compile(r"merged into ([\w-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that was said. source: the device, or the incident, whose episodes it joins.

    began_ms, ended_ms: event times, the end None while it lasts. at_ms: when the platform knew.
    """

    alarm: str
    source: str
    devices: tuple[str, ...]
    sites: tuple[str, ...]
    metric: str
    rule: str
    nature: str
    severity: str
    began_ms: int
    at_ms: int
    ended_ms: int | None
    incident: str | None = None
    backfilled: bool = False


def alarms_of(world: World) -> list[Alarm]:
    """Every alert that fired, and every incident that stands for no alert, in order of time."""
    alerts = alerts_of(world.alerts)
    with_alerts = {alarm.incident for alarm in alerts if alarm.incident}
    lone = [a for a in incident_alarms(world.incidents) if a.incident not in with_alerts]
    return sorted(alerts + lone, key=lambda alarm: (alarm.at_ms, alarm.alarm))


def alerts_of(lines: Iterable[AlertLine]) -> list[Alarm]:
    """The alerts that fired; of each the first firing, its end, and its last incident."""
    fired: dict[str, AlertLine] = {}
    ends: dict[str, int] = {}
    incidents: dict[str, str] = {}
    for line in lines:
        if line.incident:
            incidents[line.alert] = line.incident
        if line.state == "firing":
            fired.setdefault(line.alert, line)
        elif line.state == "resolved":
            ends.setdefault(line.alert, line.event_time)
    return [_alarm(line, ends.get(name), incidents.get(name)) for name, line in fired.items()]


def _alarm(line: AlertLine, ended_ms: int | None, incident: str | None) -> Alarm:
    return Alarm(
        alarm=line.alert,
        source=line.device or line.site or "",
        devices=(line.device,) if line.device else (),
        sites=(line.site,) if line.site else (),
        metric=line.metric or "",
        rule=line.rule,
        nature=line.nature,
        severity=line.severity,
        began_ms=line.event_time,
        at_ms=line.at,
        ended_ms=ended_ms,
        incident=incident,
        backfilled=line.backfilled,
    )


def incident_alarms(lines: Iterable[IncidentLine]) -> list[Alarm]:
    """Each incident as an alarm of its own: known when it was opened, with its last members.

    One that was merged speaks for the incident that took it in.
    """
    found = []
    all_changes = histories(lines)
    parents = {name: parent_of(changes[-1]) for name, changes in all_changes.items()}
    for name, changes in all_changes.items():
        first, last = changes[0], changes[-1]
        root = _root(name, parents)
        found.append(
            Alarm(
                alarm=first.incident,
                source=root,
                devices=last.devices if last.scope.type == "device" else (),
                sites=last.sites,
                metric="",
                rule=f"incident/{last.scope.type}",
                nature="connectivity",
                severity="warning",
                began_ms=last.started_at,
                at_ms=first.at,
                ended_ms=last.ended_at,
                incident=root,
                backfilled=first.state == "resolved",
            )
        )
    return found


def parent_of(last: IncidentLine) -> str | None:
    """The incident into which one was merged, from its last change; None where it was not."""
    if last.state != "resolved":
        return None
    said = (MERGED.search(str(one)) for one in last.evidence)
    return next((found[1] for found in said if found), None)


def _root(name: str, parents: Mapping[str, str | None]) -> str:
    seen = {name}
    while (parent := parents.get(name)) and parent not in seen:
        seen.add(parent)
        name = parent
    return name


def histories(lines: Iterable[IncidentLine]) -> dict[str, list[IncidentLine]]:
    """The changes of each incident, in order."""
    changes: dict[str, list[IncidentLine]] = {}
    for line in lines:
        changes.setdefault(line.incident, []).append(line)
    return changes


def episodes(alarms: Sequence[Alarm]) -> int:
    """How many episodes these alarms are: those of one source that are an hour apart at most.

    An alarm belongs to the episode before it where it begins within an hour of the beginning or
    of the end of an alarm in it.
    """
    reach: dict[str, int] = {}
    count = 0
    for alarm in sorted(alarms, key=lambda one: one.began_ms):
        until = reach.get(alarm.source)
        if until is None or alarm.began_ms > until + EPISODE_MS:
            count += 1
            until = alarm.began_ms
        reach[alarm.source] = max(until, alarm.began_ms, alarm.ended_ms or 0)
    return count

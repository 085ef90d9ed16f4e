"""Whether every alert was opened once and resolved once."""

from __future__ import annotations

from collections.abc import Iterable

from simulators.scorecard.alarms import alerts_of
from simulators.scorecard.detection import Judged
from simulators.scorecard.files import AlertLine, World
from simulators.scorecard.tallies import Score

UNRESOLVED_AFTER_MS = 6 * 3_600_000


def score_lifecycle(score: Score, world: World, judged: Judged) -> None:
    """Add the counts of one world to the table "lifecycle"."""
    row = score.row("lifecycle", "alerts")
    fired, resolved_before, twice_fired, twice_resolved = _turns(world.alerts)
    row.add(
        fired=fired,
        resolved_without_firing=resolved_before,
        fired_twice=twice_fired,
        resolved_twice=twice_resolved,
        two_open=two_open(world.alerts),
        never_resolved=never_resolved(world, judged),
        backfilled=sum(line.backfilled for line in world.alerts if line.state == "firing"),
    )


def _turns(lines: Iterable[AlertLine]) -> tuple[int, int, int, int]:
    """How many fired; were resolved before that; fired again; were resolved again."""
    fired: set[str] = set()
    resolved: set[str] = set()
    early = again = twice = 0
    for line in lines:
        if line.state == "firing":
            again += line.alert in fired
            fired.add(line.alert)
        elif line.state == "resolved":
            early += line.alert not in fired
            twice += line.alert in resolved
            resolved.add(line.alert)
    return len(fired), early, again, twice


def two_open(lines: Iterable[AlertLine]) -> int:
    """How often an alert began while another one of its device, metric and rule was open.

    Alerts that were opened and closed in the past are left out: they were never open.
    """
    open_now: dict[tuple[str, str, str], str] = {}
    count = 0
    for line in lines:
        key = (line.device or line.site or "", line.metric or "", line.rule)
        if line.backfilled:
            continue
        if line.state == "firing":
            count += open_now.get(key, line.alert) != line.alert
            open_now[key] = line.alert
        elif line.state == "resolved" and open_now.get(key) == line.alert:
            del open_now[key]
    return count


def never_resolved(world: World, judged: Judged) -> int:
    """Alerts that still fire at the end although nothing was wrong in the last six hours."""
    quiet_from = world.end_ms - UNRESOLVED_AFTER_MS
    count = 0
    for alarm in alerts_of(world.alerts):
        if alarm.ended_ms is not None or alarm.at_ms > quiet_from:
            continue
        behind = judged.faults.behind(alarm)
        count += all(fault.end < quiet_from for fault in behind)
    return count

"""Hard outages of sites, and the five-minute bins, against the times that sites truly had none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from simulators.scorecard.alarms import histories
from simulators.scorecard.detection import Judged
from simulators.scorecard.files import BIN_MS, BinRow, Fault, World
from simulators.scorecard.matching import EARLY_INTERVALS, EARLY_MS, TOLERANCE_MS
from simulators.scorecard.tallies import Score

Span = tuple[int, int]
Expected = Literal["down", "not down", "either"]

JOIN_MS = 2 * BIN_MS  # outages closer than two bins are one
AROUND_MS = 3_600_000  # a wrong bin this near to an outage is that outage's
UNREACHABLE = {"power", "last-mile", "backbone", "provider"}


def is_down(fault: Fault, world: World) -> bool:
    """Whether a fault cuts its sites off: it says so, or it is such a cause at whole sites."""
    if fault.down is not None:
        return fault.down
    if fault.cause not in UNREACHABLE or fault.metric is not None or fault.scope.type == "device":
        return False
    at = world.devices_at_sites
    return set(fault.devices) >= {d for site in fault.sites for d in at.get(site, ())}


def spans(found: Iterable[Span], join_ms: int = 0) -> list[Span]:
    """Times as a sorted list of times apart: what overlaps, or is join_ms apart, is one."""
    joined: list[Span] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1] + join_ms:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


class Said(NamedTuple):
    """When something at a site was said to begin, and when that was known."""

    began_ms: int
    at_ms: int


class Truth:
    """Of every site: when it was down, and when nobody can say from the truth file."""

    def __init__(self, world: World) -> None:
        down: dict[str, list[Span]] = {}
        either: dict[str, list[Span]] = {}
        for fault in world.faults:
            cut = is_down(fault, world)
            for dark in fault.dark if cut else ():
                down.setdefault(dark.site, []).append((dark.start, dark.end))
            for site in fault.sites:
                if cut and not fault.dark:
                    down.setdefault(site, []).append((fault.start, fault.end))
                elif fault.nature == "connectivity" or fault.cause == "platform":
                    either.setdefault(site, []).append((fault.start, fault.end))
        self.down = {site: spans(found) for site, found in down.items()}
        self.either = {site: spans(found) for site, found in either.items()}

    def outages(self, site: str) -> list[Span]:
        """The outages of a site; those less than two bins apart are one."""
        return spans(self.down.get(site, ()), JOIN_MS)

    def expected(self, site: str, start_ms: int) -> Expected:
        """What a bin must be: a bin that a cut or a lesser fault touches in part may be either."""
        end_ms = start_ms + BIN_MS
        for start, end in self.down.get(site, ()):
            if start <= start_ms and end_ms <= end:
                return "down"
            if start < end_ms and start_ms < end:
                return "either"
        touched = any(s < end_ms and start_ms < e for s, e in self.either.get(site, ()))
        return "either" if touched else "not down"


def score_outages(score: Score, world: World, judged: Judged) -> None:
    """Add the counts of one world to the tables "outage" and "bins"."""
    truth = Truth(world)
    said = _first_said(judged, world)
    at = world.devices_at_sites
    for site, devices in at.items():
        interval_ms = _interval_ms(world, devices)
        for start, end in truth.outages(site):
            long = end - start >= 3 * interval_ms
            known_ms = _known(said.get(site, ()), start, end, interval_ms)
            for name in ["all outages"] + ["three intervals or longer"] * long:
                row = score.row("outage", name)
                row.add(outages=1, found=known_ms is not None)
                if known_ms is not None:
                    row.observe("delay_s", max(0, known_ms - start) / 1000)
                    row.observe("delay_intervals", max(0, known_ms - start) / interval_ms)
    _count_bins(score, "after backfill", world, world.bins, truth)
    if world.bins_without_backfill is not None:
        _count_bins(score, "before backfill", world, world.bins_without_backfill, truth)


def _interval_ms(world: World, devices: Sequence[str]) -> int:
    """The probe's interval; the shortest of the site's where it has no probe."""
    probes = [d for d in devices if world.devices[d].kind == "connectivity-probe"]
    return min(world.devices[device].interval_ms for device in probes or devices)


def _first_said(judged: Judged, world: World) -> dict[str, list[Said]]:
    """What was said of every site's connectivity: by alarms, and by incidents as it joined them."""
    said: dict[str, list[Said]] = {}
    for alarm in judged.true + judged.false:
        if alarm.nature == "connectivity" and alarm.severity != "info":
            for site in alarm.sites:
                said.setdefault(site, []).append(Said(alarm.began_ms, alarm.at_ms))
    for changes in histories(world.incidents).values():
        members: set[str] = set()
        for line in changes:
            began_ms = line.at if members else line.started_at
            for site in set(line.sites) - members:
                said.setdefault(site, []).append(Said(began_ms, line.at))
            members.update(line.sites)
    return said


def _known(said: Iterable[Said], start: int, end: int, interval_ms: int) -> int | None:
    """When an outage was first known: by what was said to begin in it."""
    earliest = start - EARLY_INTERVALS * interval_ms - EARLY_MS
    latest = end + TOLERANCE_MS
    return min(
        (s.at_ms for s in said if earliest <= s.began_ms <= end and s.at_ms <= latest), default=None
    )


def _count_bins(
    score: Score, name: str, world: World, rows: Sequence[BinRow], truth: Truth
) -> None:
    outages = {site: truth.outages(site) for site in world.devices_at_sites}
    row = score.row("bins", name)
    row.add(outages=sum(map(len, outages.values())), sites=len(outages))
    there = {(one.site, one.start) for one in rows}
    for one in rows:
        expected = truth.expected(one.site, one.start)
        down = one.state == "DOWN"
        wrong = (expected == "down" and not down) or (expected == "not down" and down)
        near = wrong and _is_near(outages.get(one.site, ()), one.start)
        row.add(
            bins=1,
            judged=expected != "either",
            wrong=wrong,
            missed=expected == "down" and not down,
            invented=expected == "not down" and down,
            near=near,
            unknown=expected == "not down" and one.state == "UNKNOWN",
        )
        if wrong:
            score.row("bins " + name, f"{expected}, said {one.state}").add(bins=1)
    absent = sum(
        (site, start) not in there
        for site, found in outages.items()
        for start in _bins_inside(found, world)
        if truth.expected(site, start) == "down"
    )
    row.add(wrong=absent, missed=absent, near=absent, absent=absent)


def _bins_inside(found: Iterable[Span], world: World) -> Iterable[int]:
    for start, end in found:
        first = max(start, world.start_ms)
        yield from range(-(-first // BIN_MS) * BIN_MS, min(end, world.end_ms) - BIN_MS + 1, BIN_MS)


def _is_near(outages: Iterable[Span], start_ms: int) -> bool:
    return any(s - AROUND_MS <= start_ms <= e + AROUND_MS for s, e in outages)

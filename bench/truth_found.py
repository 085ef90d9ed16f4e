"""What a report says against the truth file: bins that cannot be right, by outage and by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from detection.outages import BIN_MS, LETTERS
from devices.registry import Registry
from reports.grids import Grid
from reports.periods import Period
from simulators.scorecard.files import Fault, Place, World
from simulators.scorecard.outages import AROUND_MS, Span, Truth, is_down

DOWN = LETTERS["DOWN"]
SHOWN = 15  # classes of wrong bins


@dataclass
class Found:
    """Sums over sites. A bin that an outage touches in part may be down or not: it is not wrong.

    wrong: outages by the number of bins near them that are. apart: bins said down far from every
    outage and every lesser fault; lesser: those within a fault that cuts nobody off. minutes: down
    in the report; true_minutes: in the truth file. returning: bins in which power was back and the
    router booted, but the simulated probe, which does not wait for it, was heard. classes: bins
    that are wrong, by what was the matter.
    """

    sites: int = 0
    differing: int = 0
    outages: int = 0
    wrong: Counter[int] = field(default_factory=Counter)
    apart: int = 0
    lesser: int = 0
    minutes: int = 0
    true_minutes: float = 0.0
    returning: int = 0
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, other: Found) -> None:
        """Add those of other sites."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            setattr(self, one.name, mine + theirs)

    @property
    def most(self) -> int:
        """Wrong bins of the outage that has most."""
        return max((bins for bins, count in self.wrong.items() if count), default=0)

    def __str__(self) -> str:
        near = sum(bins * count for bins, count in self.wrong.items())
        spread = ", ".join(f"{count} by {bins}" for bins, count in sorted(self.wrong.items()))
        lines = [
            f"{self.outages} outages at {self.sites} sites; {near} bins wrong,"
            f" {near / max(1, self.outages):.3f} an outage, at most {self.most}",
            f"outages by bins that are wrong: {spread}",
            f"minutes down: {self.minutes} in the report, {self.true_minutes:.1f} in the truth;"
            f" sites with a wrong bin: {self.differing}",
            f"bins down far from any outage: {self.apart}; within lesser faults: {self.lesser};"
            f" up while a router booted: {self.returning}",
            *(f"  {count} bins: {name}" for name, count in self.classes.most_common(SHOWN)),
        ]
        return "\n  ".join(lines)


def compare(
    report: dict[str, Any],
    grid: Grid,
    registry: Registry,
    faults: Sequence[Fault],
    decoys: Sequence[Fault],
    period: Period,
) -> Found:
    """What a report says of every site. grid: the bins that it is made of, of whole local days."""
    places = {
        name: Place(one.site, one.kind, round(one.interval_s * 1000))
        for name, one in registry.devices.items()
    }
    world = World(places, {}, list(faults), list(decoys))
    truth, total = Truth(world), Found()
    rows = dict(zip(grid.sites, grid.letters, strict=True))
    for site in report["sites"]:
        letters = rows[site["id"]].tobytes().decode()
        letters = letters[(period.start_ms - grid.start_ms) // BIN_MS :]
        letters = letters[: (period.end_ms - period.start_ms) // BIN_MS]
        found = _compare(site["id"], letters, truth, world, period)
        if site["minutes"]["down"] != found.minutes:
            raise ValueError(f"{site['id']}: {site['minutes']['down']} is not the sum of its bins")
        total.add(found)
    return total


def _compare(site: str, letters: str, truth: Truth, world: World, period: Period) -> Found:
    found = Found(sites=1, minutes=letters.count(DOWN) * BIN_MS // 60_000)
    outages = [
        one for one in truth.outages(site) if period.start_ms < one[1] and one[0] < period.end_ms
    ]
    cuts = _clipped(truth.down.get(site, ()), period)
    found.outages = len(outages)
    found.true_minutes = sum(end - start for start, end in cuts) / 60_000
    wrong = [0] * len(outages)
    boots = [
        (fault.end, dark.end) for fault in world.faults for dark in fault.dark if dark.site == site
    ]
    for place, start_ms in _of_interest(letters, cuts, period):
        letter = letters[place]
        inside = any(s <= start_ms and start_ms + BIN_MS <= e for s, e in cuts)
        touched = any(s < start_ms + BIN_MS and start_ms < e for s, e in cuts)
        if (letter == DOWN) == inside or (touched and not inside):
            continue
        number = _nearest(outages, start_ms)
        if inside and any(s < start_ms + BIN_MS and start_ms < e for s, e in boots):
            found.returning += 1
        elif number is None:
            lesser = _touching(world.faults, site, start_ms, start_ms + BIN_MS, world)
            harmless = _touching(world.decoys, site, start_ms, start_ms + BIN_MS, world)
            found.lesser += bool(lesser)
            found.apart += not lesser
            found.classes[f"said down in {lesser or harmless or 'nothing'}"] += 1
        else:
            wrong[number] += 1
            found.classes[_class(letter, start_ms, outages[number], site, world)] += 1
    found.wrong.update(wrong)
    found.differing = int(any(wrong))
    return found


def _clipped(spans: Iterable[Span], period: Period) -> list[Span]:
    cut = [(max(s, period.start_ms), min(e, period.end_ms)) for s, e in spans]
    return [(s, e) for s, e in cut if s < e]


def _of_interest(letters: str, cuts: Sequence[Span], period: Period) -> Iterator[tuple[int, int]]:
    """The bins that are down or in an outage: number and start."""
    places = {n for n, letter in enumerate(letters) if letter == DOWN}
    for start, end in cuts:
        first = -(-(start - period.start_ms) // BIN_MS)
        places.update(range(first, (end - period.start_ms) // BIN_MS))
    for place in sorted(places):
        yield place, period.start_ms + place * BIN_MS


def _nearest(outages: Sequence[Span], start_ms: int) -> int | None:
    """The outage that a bin lies in or next to, None where it is an hour away from each."""
    near = [
        (max(s - start_ms - BIN_MS, start_ms - e, 0), n)
        for n, (s, e) in enumerate(outages)
        if s - AROUND_MS <= start_ms <= e + AROUND_MS
    ]
    return min(near)[1] if near else None


def _class(letter: str, start_ms: int, outage: Span, site: str, world: World) -> str:
    start, end = outage
    if start_ms + BIN_MS <= start:
        where = f"{(start - start_ms - BIN_MS) // BIN_MS + 1} before"
    elif start_ms >= end:
        where = f"{(start_ms - end) // BIN_MS + 1} after"
    else:
        ahead = (start_ms - start) // BIN_MS
        where = f"{ahead + 1} from the start" if ahead < 3 else "inside"
        if end - start_ms < 2 * BIN_MS:
            where = "last one"
    cause = _touching([one for one in world.faults if is_down(one, world)], site, start, end, world)
    return f"{cause}: {letter}, {where}"


def _touching(faults: Iterable[Fault], site: str, start: int, end: int, world: World) -> str:
    """The types of the faults of a site in a time."""
    types = {one.type for one in faults if _is_at(one, site, start, end, world)}
    return " and ".join(sorted(types))


def _is_at(fault: Fault, site: str, start: int, end: int, world: World) -> bool:
    """Whether it touches the site's probe in a time."""
    of_probe = any(world.devices[name].kind == "connectivity-probe" for name in fault.devices)
    return of_probe and site in fault.sites and fault.start <= end and start <= fault.end

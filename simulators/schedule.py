"""Schedules: which troubles and decoys a whole country has in a run, drawn by the seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from simulators.decoys import DECOYS, Decoy, decoy_hit
from simulators.failure_modes import MODES, Mode, at_work_ms
from simulators.group_modes import GROUP_MODES, GroupMode, distinct
from simulators.hits import trouble_of
from simulators.premises import Premises
from simulators.troubles import Trouble
from simulators.weather import WetSpell, wet_spells
from simulators.world.chance import stream
from simulators.world.links import LINKS

DAY_MS = 86_400_000
QUIET_MS = 12 * 3_600_000  # a run begins without troubles; a short run with a tenth of itself
APART_MS = 2 * 3_600_000  # between two troubles of a site, so that each has an end of its own
DECOY_APART_MS = 20 * 60_000
TRIES = 40
LIGHTNING = 0.7  # rain from which power lines are hit
CUTS_A_STORM = 0.12
FADES = 0.5  # rain from which a dish loses its satellite
SHORTEST_FADE_MS = 8 * 60_000


@dataclass(slots=True)
class Diary:
    """When each site has trouble."""

    times: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def is_free(self, site: str, start_ms: int, end_ms: int, apart_ms: int) -> bool:
        """Whether a site has no trouble near a time."""
        return all(
            end_ms + apart_ms <= start or end + apart_ms <= start_ms
            for start, end in self.times.get(site, ())
        )

    def note(self, sites: Iterable[str], start_ms: int, end_ms: int) -> None:
        """Remember a trouble."""
        for site in sites:
            self.times.setdefault(site, []).append((start_ms, end_ms))


class Scheduler:
    """Draws troubles one after the other, so that no site has two at once."""

    def __init__(
        self, premises: Mapping[str, Premises], seed: int, start_ms: int, end_ms: int
    ) -> None:
        self._premises = premises
        self._seed = seed
        length_ms = end_ms - start_ms
        self._first_ms = start_ms + min(QUIET_MS, length_ms // 10)
        self._end_ms = end_ms
        self._days = (end_ms - self._first_ms) / DAY_MS
        self._diary = Diary()

    def troubles(self) -> list[Trouble]:
        """Every failure mode at least once where it fits, groups first."""
        found: list[Trouble] = []
        for group in GROUP_MODES.values():
            draw = stream(self._seed, "schedule", group.type)
            for number in range(max(1, _poisson(draw, group.a_day * self._days))):
                found += self._group(group, number, draw)
        found += self._storms()
        for mode in MODES.values():
            draw = stream(self._seed, "schedule", mode.type)
            fitting = [at for at in self._premises.values() if mode.fits(at)]
            expected = mode.a_day * self._days * len(fitting)
            for number in range(max(1, _poisson(draw, expected)) if fitting else 0):
                found += self._single(mode, number, fitting, draw)
        return sorted(found, key=lambda trouble: (trouble.start_ms, trouble.fault))

    def decoys(self) -> list[Trouble]:
        """What happens every day, away from the troubles that `troubles` drew before."""
        found: list[Trouble] = []
        for decoy in DECOYS:
            draw = stream(self._seed, "decoys", decoy.type)
            fitting = [at for at in self._premises.values() if at.probes]
            for number in range(_poisson(draw, decoy.a_day * self._days * len(fitting))):
                found += self._decoy(decoy, number, fitting, draw)
        return sorted(found, key=lambda trouble: (trouble.start_ms, trouble.fault))

    def _group(self, mode: GroupMode, number: int, draw: Random) -> list[Trouble]:
        members = distinct(mode, self._premises)
        for _ in range(TRIES if members else 0):
            name = draw.choice(list(members))
            start_ms, end_ms = self._window(mode.length_ms(draw), draw)
            sites = [at.name for at in members[name]]
            if all(self._diary.is_free(site, start_ms, end_ms, APART_MS) for site in sites):
                fault = f"{mode.type}-{number + 1}"
                return self._strike(mode, fault, name, members[name], (start_ms, end_ms), draw)
        return []

    def _strike(
        self,
        mode: GroupMode,
        fault: str,
        name: str,
        members: Sequence[Premises],
        window: tuple[int, int],
        draw: Random,
    ) -> list[Trouble]:
        """A failure of something shared."""
        self._diary.note([at.name for at in members], *window)
        return mode.troubles(fault, name, members, window, draw)

    def _befall(
        self, mode: Mode, fault: str, at: Premises, window: tuple[int, int], draw: Random
    ) -> Trouble:
        """A failure of one site or its probe."""
        hit = mode.build(at, *window, draw)
        self._diary.note([at.name], *window)
        return trouble_of(mode, fault, mode.scope_of(at, hit), hit, [at], *window)

    def _storms(self) -> list[Trouble]:
        """Cuts of feeders and fades over dishes, where it rains hard."""
        found: list[Trouble] = []
        by_feeder: dict[str, list[Premises]] = {}
        for at in self._premises.values():
            by_feeder.setdefault(at.site.feeder or f"site {at.name}", []).append(at)
        for feeder, members in sorted(by_feeder.items()):
            draw = stream(self._seed, "lightning", feeder)
            for spell in self._spells(members[0], LIGHTNING):
                if draw.random() < CUTS_A_STORM:
                    found += self._lightning(feeder, members, spell, draw)
        for at in self._premises.values():
            if at.probes and LINKS[at.link_type()].radio == "vsat":
                found += self._fades(at)
        return found

    def _spells(self, at: Premises, least: float) -> list[WetSpell]:
        return wet_spells(self._seed, at.site, self._first_ms, self._end_ms, least)

    def _lightning(
        self, feeder: str, members: Sequence[Premises], spell: WetSpell, draw: Random
    ) -> list[Trouble]:
        group, single = GROUP_MODES["feeder-cut"], MODES["power-cut"]
        window = (spell.peak_ms, spell.peak_ms + group.length_ms(draw))
        if not all(self._diary.is_free(at.name, *window, APART_MS) for at in members):
            return []
        if len(members) > 1:
            return self._strike(
                group, f"storm-{feeder}-{spell.peak_ms}", feeder, members, window, draw
            )
        at = members[0]
        return [self._befall(single, f"storm-{at.name}-{spell.peak_ms}", at, window, draw)]

    def _fades(self, at: Premises) -> list[Trouble]:
        draw = stream(self._seed, "fades", at.name)
        found = []
        for spell in self._spells(at, FADES):
            window = (spell.start_ms, spell.end_ms)
            is_short = spell.end_ms - spell.start_ms < SHORTEST_FADE_MS
            if not is_short and self._diary.is_free(at.name, *window, APART_MS):
                fault = f"rain-{at.name}-{spell.peak_ms}"
                found.append(self._befall(MODES["rain-fade"], fault, at, window, draw))
        return found

    def _single(
        self, mode: Mode, number: int, fitting: Sequence[Premises], draw: Random
    ) -> list[Trouble]:
        for _ in range(TRIES):
            at = draw.choice(fitting)
            start_ms, end_ms = self._window(mode.length_ms(draw), draw)
            if mode.at_work:
                length_ms = end_ms - start_ms
                start_ms = at_work_ms(start_ms) + round(draw.uniform(0, 1) * 3_600_000)
                end_ms = start_ms + length_ms
            if start_ms < self._first_ms or start_ms > self._end_ms - 600_000:
                continue
            if self._diary.is_free(at.name, start_ms, end_ms, APART_MS):
                fault = f"{mode.type}-{number + 1}"
                return [self._befall(mode, fault, at, (start_ms, end_ms), draw)]
        return []

    def _decoy(
        self, decoy: Decoy, number: int, fitting: Sequence[Premises], draw: Random
    ) -> list[Trouble]:
        at = draw.choice(fitting)
        start_ms = draw.randrange(self._first_ms, self._end_ms)
        hit, end_ms = decoy_hit(decoy, at, start_ms, draw)
        if not hit.mishaps or not self._diary.is_free(at.name, start_ms, end_ms, DECOY_APART_MS):
            return []
        self._diary.note([at.name], start_ms, end_ms)
        return [
            Trouble(
                fault=f"decoy-{decoy.type}-{number + 1}",
                type=decoy.type,
                nature="decoy",
                cause="none",
                scope=("site", at.name),
                start_ms=start_ms,
                end_ms=end_ms,
                mishaps=hit.mishaps,
                sites=[at.name],
                devices=list(hit.mishaps),
                metric=decoy.metric,
            )
        ]

    def _window(self, length_ms: int, draw: Random) -> tuple[int, int]:
        """A time that begins early enough to be felt, and mostly ends before the run does."""
        latest_ms = max(self._first_ms + 1, self._end_ms - min(length_ms, DAY_MS) - 900_000)
        start_ms = draw.randrange(self._first_ms, latest_ms)
        return start_ms, start_ms + length_ms


def _poisson(draw: Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    count, left = 0, draw.expovariate(1.0)
    while left < mean:
        count += 1
        left += draw.expovariate(1.0)
    return count

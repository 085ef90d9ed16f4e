"""Schedules: which troubles and decoys a whole country has in a run, drawn by the seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from simulators.decoys import DECOYS, Decoy, decoy_hit
from simulators.failure_modes import MODES, Mode, at_work_ms
from simulators.group_modes import GROUP_MODES, GroupMode
from simulators.hits import Hit
from simulators.premises import Premises
from simulators.troubles import Trouble
from simulators.world.chance import stream

DAY_MS = 86_400_000
QUIET_MS = 12 * 3_600_000  # a run begins without troubles; a short run with a tenth of itself
APART_MS = 2 * 3_600_000  # between two troubles of a site, so that each has an end of its own
DECOY_APART_MS = 20 * 60_000
TRIES = 40


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
        members = {
            name: some
            for name, some in sorted(mode.members(self._premises).items())
            if len(some) >= mode.least
        }
        for _ in range(TRIES if members else 0):
            name = draw.choice(list(members))
            start_ms, end_ms = self._window(mode.length_ms(draw), draw)
            sites = [at.name for at in members[name]]
            if all(self._diary.is_free(site, start_ms, end_ms, APART_MS) for site in sites):
                hit = Hit()
                for at in members[name]:
                    felt_ms = start_ms + round(draw.uniform(0, mode.spread_s) * 1000)
                    hit.join(mode.build(name, at, felt_ms, end_ms, draw))
                self._diary.note(sites, start_ms, end_ms)
                return [_trouble(mode, f"{mode.type}-{number + 1}", (mode.scope, name), hit,
                                 members[name], start_ms, end_ms)]  # fmt: skip
        return []

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
                hit = mode.build(at, start_ms, end_ms, draw)
                self._diary.note([at.name], start_ms, end_ms)
                scope = (mode.scope, at.name if mode.scope == "site" else next(iter(hit.mishaps)))
                return [_trouble(mode, f"{mode.type}-{number + 1}", scope, hit, [at],
                                 start_ms, end_ms)]  # fmt: skip
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


def _trouble(
    mode: Mode | GroupMode,
    name: str,
    scope: tuple[str, str],
    hit: Hit,
    members: Sequence[Premises],
    start_ms: int,
    end_ms: int,
) -> Trouble:
    return Trouble(
        fault=name,
        type=mode.type,
        nature=mode.nature,
        cause=mode.cause,
        scope=scope,
        start_ms=start_ms,
        end_ms=end_ms,
        mishaps=hit.mishaps,
        sites=[at.name for at in members if any(d.device in hit.mishaps for d in at.devices)],
        devices=list(hit.mishaps),
        dark=hit.dark,
        on_backup=hit.on_backup,
        metric=mode.metric,
    )


def _poisson(draw: Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    count, left = 0, draw.expovariate(1.0)
    while left < mean:
        count += 1
        left += draw.expovariate(1.0)
    return count

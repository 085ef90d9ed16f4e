"""What happens to a device beyond its ordinary life, by name and time, for the models to obey."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal, NamedTuple

from devices.registry import Site
from simulators.world.climate import Sky, sky_over

Now = Mapping[str, float]
Shape = Literal["flat", "ramp"]

NOTHING_NOW: Now = MappingProxyType({})


class Effect(NamedTuple):
    """One thing that happens at start_ms <= time < end_ms (event time).

    what: its name, as a model knows it. size: how strong, in what the model says. shape: at full
    size all the time, or growing up to it. metric: of an effect on a sensor, that the world does
    not feel; None where it is the world's.
    """

    what: str
    start_ms: int
    end_ms: int
    size: float = 1.0
    shape: Shape = "flat"
    metric: str | None = None

    def size_at(self, at_ms: int) -> float:
        """How strong it is at a time that it covers."""
        if self.shape == "flat":
            return self.size
        return self.size * (at_ms - self.start_ms) / (self.end_ms - self.start_ms)


class Effects:
    """Everything that happens to one device; asking is cheap while nothing does."""

    def __init__(self, effects: Sequence[Effect] = ()) -> None:
        self._effects = tuple(effect for effect in effects if effect.metric is None)
        edges = {edge for effect in self._effects for edge in (effect.start_ms, effect.end_ms)}
        self._edges = sorted(edges)
        self._on: tuple[Effect, ...] = ()
        self._segment = -1

    def at(self, at_ms: int) -> Now:
        """What is on at a time: name to size. Of several of one name the last in order counts."""
        edges = self._edges
        if not edges or not edges[0] <= at_ms < edges[-1]:
            return NOTHING_NOW
        segment = bisect_right(edges, at_ms)
        if segment != self._segment:
            self._segment = segment
            self._on = tuple(e for e in self._effects if e.start_ms <= at_ms < e.end_ms)
        if not self._on:
            return NOTHING_NOW
        return {effect.what: effect.size_at(at_ms) for effect in self._on}


@dataclass(frozen=True)
class Place:
    """Where a device stands: its site, the weather that it shares, and what happens to it."""

    seed: int
    site: Site
    effects: Effects

    @cached_property
    def sky(self) -> Sky:
        """The weather over the site, the same for every device of its place."""
        return sky_over(self.seed, self.site)

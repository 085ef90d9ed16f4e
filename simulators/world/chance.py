"""Seeded chance: streams of random numbers by name, and noise that wanders and jumps."""

from __future__ import annotations

import hashlib
import math
from random import Random


def stream(seed: int, *names: str) -> Random:
    """The random numbers that belong to these names: the same for the same seed, always."""
    text = "\x1f".join((str(seed), *names)).encode()
    return Random(int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big"))


class Wander:
    """Noise with a memory: a mean-reverting walk (Ornstein-Uhlenbeck), exact for any time step.

    spread: standard deviation in the long run. memory_s: time after which 1/e of a deviation
    is left.
    """

    __slots__ = ("_memory_s", "_random", "_spread", "value")

    def __init__(self, random: Random, *, spread: float, memory_s: float) -> None:
        self._random = random
        self._spread = spread
        self._memory_s = memory_s
        self.value = random.gauss(0.0, spread)

    def step(self, dt_s: float) -> float:
        """The deviation `dt_s` seconds later."""
        kept = math.exp(-dt_s / self._memory_s)
        fresh = self._spread * math.sqrt(1.0 - kept * kept)
        self.value = self.value * kept + self._random.gauss(0.0, fresh)
        return self.value


class SharedWander:
    """Noise that several devices see alike: a smooth walk that is a pure function of time.

    names: who shares it. spread: standard deviation at every time. memory_s: between two knots,
    which are drawn independently; times may go back.
    """

    __slots__ = ("_knot", "_memory_ms", "_names", "_pair", "_seed", "_spread")

    def __init__(self, seed: int, *names: str, spread: float, memory_s: float) -> None:
        self._seed = seed
        self._names = names
        self._spread = spread
        self._memory_ms = round(memory_s * 1000)
        self._knot = -1
        self._pair = (0.0, 0.0)

    def at(self, at_ms: int) -> float:
        """The deviation at a time."""
        knot, past_ms = divmod(at_ms, self._memory_ms)
        if knot != self._knot:
            behind = self._pair[1] if knot == self._knot + 1 else self._draw(knot)
            self._pair = behind, self._draw(knot + 1)
            self._knot = knot
        share = past_ms / self._memory_ms
        share *= share * (3.0 - 2.0 * share)
        left, right = self._pair
        return (left + (right - left) * share) / math.hypot(share, 1.0 - share)

    def _draw(self, knot: int) -> float:
        return stream(self._seed, *self._names, str(knot)).gauss(0.0, self._spread)


class Bursts:
    """Something that comes at random and stays for a while: rain on a dish, a door held open.

    per_s: chance a second that one begins. lasts_s: mean length, exponentially distributed.
    """

    __slots__ = ("_lasts_s", "_left_s", "_random")

    def __init__(self, random: Random, *, lasts_s: float) -> None:
        self._random = random
        self._lasts_s = lasts_s
        self._left_s = 0.0

    def step(self, dt_s: float, *, per_s: float) -> bool:
        """Whether one is on `dt_s` seconds later, given the chance that one began meanwhile."""
        self._left_s = max(0.0, self._left_s - dt_s)
        begins = self._random.random() < -math.expm1(-per_s * dt_s)
        if self._left_s == 0.0 and begins:
            self._left_s = self._random.expovariate(1.0 / self._lasts_s)
        return self._left_s > 0.0


def heavy_tail(random: Random, *, shape: float, most: float) -> float:
    """A Pareto draw from 1 upwards, cut at `most`: many small, few huge."""
    return min(random.paretovariate(shape), most)

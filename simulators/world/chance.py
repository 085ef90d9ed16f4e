"""Seeded chance: streams of random numbers by name, and noise that wanders and jumps."""

from __future__ import annotations

import hashlib
import math
from itertools import accumulate
from random import Random

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def stream(seed: int, *names: str) -> Random:
    """The random numbers that belong to these names: the same for the same seed, always."""
    text = "\x1f".join((str(seed), *names)).encode()
    return Random(int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big"))


def flicker(random: Random, spread: float) -> float:
    """Noise of a sensor, heavier in the tails than a normal law of the same standard deviation."""
    return random.gauss(0.0, spread * (3.0 if random.random() < 0.04 else 0.82))


class Wander:
    """Noise with a memory: a mean-reverting walk for any time step, pushed by heavy-tailed noise.

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
        self.value = self.value * kept + flicker(self._random, fresh)
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


def generator(seed: int, *names: str) -> np.random.Generator:
    """The same as `stream`, for arrays of random numbers."""
    return np.random.Generator(np.random.PCG64(stream(seed, *names).getrandbits(128)))


class Walk:
    """A `Wander` over whole arrays, pushed by a heavy-tailed law (Student's t of 4 degrees).

    spread: standard deviation in the long run. memory_s: time after which 1/e of a deviation
    is left.
    """

    __slots__ = ("_draw", "_memory_s", "_spread", "value")

    def __init__(self, draw: np.random.Generator, *, spread: float, memory_s: float) -> None:
        self._draw = draw
        self._spread = spread
        self._memory_s = memory_s
        self.value = float(draw.normal(0.0, spread))

    def steps(self, count: int, dt_s: float) -> NDArray[np.float64]:
        """float64[count]: the deviation after each of `count` steps of dt_s seconds."""
        kept = math.exp(-dt_s / self._memory_s)
        scale = self._spread * math.sqrt((1.0 - kept * kept) / 2.0)  # the variance of t4 is 2
        pushes = (self._draw.standard_t(4.0, count) * scale).tolist()
        path = list(accumulate(pushes, lambda at, push: at * kept + push, initial=self.value))
        self.value = path[-1]
        return np.array(path[1:])


class Spells:
    """`Bursts` over arrays: something that comes at random and stays, exponentially long."""

    __slots__ = ("_draw", "_lasts_s", "_until_s")

    def __init__(self, draw: np.random.Generator, *, lasts_s: float) -> None:
        self._draw = draw
        self._lasts_s = lasts_s
        self._until_s = 0.0

    def steps(self, at_s: NDArray[np.float64], dt_s: float, per_s: NDArray[np.float64]) -> Mask:
        """bool[n]: whether one is on at each time; per_s: float64[n], chance a second of one."""
        on: Mask = at_s < self._until_s
        for begin in np.flatnonzero(self._draw.random(len(at_s)) < -np.expm1(-per_s * dt_s)):
            until_s = float(at_s[begin]) + self._draw.exponential(self._lasts_s)
            self._until_s = max(self._until_s, until_s)
            on |= (at_s >= at_s[begin]) & (at_s < until_s)
            on[begin] = True
        return on

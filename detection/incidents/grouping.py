"""Grouping: which groups explain that several sites failed at about the same time.

A group explains its failures when so many of its sites would fail within one window by chance
less than once in two months, all groups and windows taken together (binomial test; each site
fails by itself at a learnt rate). Of the groups that pass, the one that says most wins: share of
its sites that failed times share of the failures that it covers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import comb, expm1
from types import MappingProxyType
from typing import NamedTuple

from detection.incidents.groups import ORDER, WHOLE_COUNTRY, Groups, GroupType, Key
from detection.incidents.rates import DAY_MS

LEAST_SITES = 3
LEAST_SHARE = 0.3
MONTH_MS = 30 * DAY_MS
FALSE_PER_MONTH = 0.5
JITTER_MS = 90_000  # one cause reaches its sites within this, besides how exactly onsets are known
EVERYTHING = 0.8  # share of all sites from which on it is the platform that is gone


class Onset(NamedTuple):
    """A failure that wants to be explained. uplink: 0 for the whole site. types: what may be
    behind it."""

    sign: str
    site: str
    uplink: int
    at_ms: int
    error_ms: int
    types: tuple[GroupType, ...] = ORDER


class Explanation(NamedTuple):
    """A group, the signs that it explains, how many of its sites failed and could have been heard.

    expected: how many groups would look like this by chance in a month.
    """

    key: Key
    signs: tuple[str, ...]
    failed: int
    sites: int
    expected: float


def together(a: Onset, b: Onset) -> bool:
    """Whether two failures may have begun at one time."""
    return abs(a.at_ms - b.at_ms) <= reach_ms(a.error_ms + b.error_ms)


def reach_ms(error_ms: int) -> int:
    """How far apart two onsets of one cause may be. error_ms: sum of their errors."""
    return error_ms + JITTER_MS


def tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Bin(n, p).

    For sites with different p and their mean: an upper bound where k > n p + 1 (Hoeffding 1956).
    """
    return float(sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)))


class Grouping:
    """Finds explanations. rate: failures per day of a site. audible: whether the failure of a site
    at a time would be known by now. pairs: whether both of two sites are a pattern. dark: since
    when, at the latest, sites cannot be reached; they cannot fail again."""

    def __init__(
        self,
        groups: Groups,
        rate: Callable[[str], float],
        audible: Callable[[str, int], bool],
        *,
        pairs: bool = True,
        dark: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._groups = groups
        self._dark = dark
        self._rate = rate
        self._audible = audible
        self._pairs = pairs

    def explain(
        self, onsets: Sequence[Onset], sites: frozenset[str] | None = None
    ) -> list[Explanation]:
        """Groups that explain onsets of one time, the best first, each onset in at most one.

        sites: which could have such a failure at all; None for every one. What another group
        explains counts in none of the others: the two left of a feeder's three are all of it.
        """
        left = list(onsets)
        found: list[Explanation] = []
        while len(left) >= 2:
            taken = frozenset(o.site for o in onsets) - {o.site for o in left}
            best = self.best(left, sites, taken=taken)
            if best is None:
                break
            found.append(best)
            left = [onset for onset in left if onset.sign not in best.signs]
        return found

    def may_be_platform(self, onsets: Sequence[Onset]) -> bool:
        """Whether all that could be known to have failed by now did, while too little is known."""
        failed = {onset.site for onset in onsets}
        everyone = self._members(Key("platform", WHOLE_COUNTRY), onsets) | failed
        start_ms = min(onset.at_ms for onset in onsets)
        heard = {s for s in everyone if s in failed or self._audible(s, start_ms)}
        return 2 * len(heard) < len(everyone) and self._nearly_all(failed, len(heard))

    def best(
        self,
        onsets: Sequence[Onset],
        sites: frozenset[str] | None = None,
        types: Sequence[GroupType] = ORDER,
        taken: frozenset[str] = frozenset(),
    ) -> Explanation | None:
        """The group of these types that says most about the onsets; None where none passes.

        Where several say the same, the smallest one, then the first of the types.
        """
        by_key: dict[Key, list[Onset]] = {}
        for onset in onsets:
            for key in self._groups.keys_of(onset.site, onset.uplink):
                if key.type in onset.types and key.type in types:
                    by_key.setdefault(key, []).append(onset)
        total = len({onset.site for onset in onsets})
        ranked: list[tuple[tuple[float, int, int, str], Explanation]] = []
        for key, members in by_key.items():
            one = self._test(key, members, sites, taken)
            if one is None:
                continue
            if key.type == "platform":
                return one
            size = len(self._groups.members[key])
            rank = (-self.score(one, total), size, types.index(key.type), key.id)
            ranked.append((rank, one))
        return min(ranked)[1] if ranked else None

    def score(self, found: Explanation, total: int) -> float:
        """Share of the group's sites that failed, times share of all `total` that it covers."""
        return round(found.failed / found.sites * found.failed / total, 9)

    def _test(
        self,
        key: Key,
        members: Sequence[Onset],
        sites: frozenset[str] | None,
        taken: frozenset[str],
    ) -> Explanation | None:
        failed = {onset.site for onset in members}
        everyone = (self._members(key, members) - taken) | failed
        if sites is not None:
            everyone &= sites | failed
        start_ms = min(onset.at_ms for onset in members)
        heard = {s for s in everyone if s in failed or self._audible(s, start_ms)}
        x, n = len(failed), len(heard)
        if key.type == "platform" and not self._everything(failed, heard, len(everyone)):
            return None
        if x / n < LEAST_SHARE or (
            x < LEAST_SITES and not (self._pairs and x == len(everyone) == 2)
        ):
            return None
        error_ms = sum(onset.error_ms for onset in members) / len(members)
        window_ms = 2 * reach_ms(round(2 * error_ms))
        chance = [-expm1(-self._rate(s) * window_ms / DAY_MS) for s in sorted(heard)]
        expected = tail(x, n, sum(chance) / n) * MONTH_MS / window_ms * self._groups.different
        if expected >= FALSE_PER_MONTH:
            return None
        return Explanation(key, tuple(onset.sign for onset in members), x, n, expected)

    def _members(self, key: Key, onsets: Sequence[Onset]) -> set[str]:
        """The sites of a group that were not dark already when the last of these was well."""
        well_ms = max(onset.at_ms for onset in onsets)
        members = self._groups.members.get(key, frozenset())
        return {site for site in members if self._dark.get(site, well_ms) >= well_ms}

    def _everything(self, failed: set[str], heard: set[str], everyone: int) -> bool:
        """Nearly all sites, of several provinces and providers: nothing else could do that.

        Where all that is heard of a province goes on, the country is cut, not the platform.
        """
        if 2 * len(heard) < everyone or not self._nearly_all(failed, len(heard)):
            return False
        known = Counter(self._groups.sites[site].province for site in heard)
        alive = Counter(self._groups.sites[site].province for site in heard - failed)
        return not any(n >= 2 and n == known[province] for province, n in alive.items())

    def _nearly_all(self, failed: set[str], heard: int) -> bool:
        if len(failed) < max(4, EVERYTHING * heard):
            return False
        sites = [self._groups.sites[s] for s in failed]
        provinces = {site.province for site in sites}
        return len(provinces) > 1 and len({site.uplinks[0].provider for site in sites}) > 1


def clusters(onsets: Mapping[str, Onset], fresh: Sequence[str]) -> list[list[Onset]]:
    """For each fresh sign the onsets that may be of its time, without doing one set twice."""
    seen: set[frozenset[str]] = set()
    found = []
    for name in fresh:
        near = [onset for onset in onsets.values() if together(onset, onsets[name])]
        names = frozenset(onset.sign for onset in near)
        if len(near) >= 2 and names not in seen:
            seen.add(names)
            found.append(near)
    return found

"""Gathering: groups that explain signs become incidents, grow, and change their explanation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from detection.incidents.grouping import LEAST_SITES, Explanation, Grouping, Onset, clusters
from detection.incidents.groups import LINKS, ORDER, PLACES, POWER, GroupType, Key
from detection.incidents.incident import Incident, World, incident_id
from detection.incidents.joining import is_older_trouble
from detection.incidents.rates import Rates
from detection.incidents.shelf import Shelf, first_of
from detection.incidents.signs import Family, Sign

WIDER = 1.5  # a group takes over from a smaller one when it explains so many times as many sites
HEARD_INTERVALS = 3.5  # after so long a failure of a site is known
AGAIN_MS = 20_000
AS_GOOD = 0.8  # of the score of the best group, for one that the evidence speaks for

# What may be behind signs of each family.
TYPES: dict[Family, tuple[GroupType, ...]] = {
    "down": ORDER,
    "power": POWER,
    "dns": (*LINKS, *PLACES, "platform"),
    "international": (*LINKS, *PLACES, "platform"),
    "blocked": (*LINKS, *PLACES),
    "facility": PLACES,
}


class Topic(NamedTuple):
    """Signs that are counted together. Loss of power without silence counts with silence."""

    family: Family
    topic: str
    kind: str  # of devices that can have it; "" where every site can


def topic_of(sign: Sign) -> Topic | None:
    """What a sign is counted with; None for what is never grouped."""
    if sign.alone or sign.family not in TYPES:
        return None
    if sign.family in ("down", "power"):
        return Topic("down", "", "")
    return Topic(sign.family, sign.topic, sign.topic.partition("/")[0] or "connectivity-probe")


class Gathering:
    """Groups over a shelf of signs, at rates that are learnt."""

    def __init__(self, shelf: Shelf, rates: Rates, world: World) -> None:
        self._shelf = shelf
        self._rates = rates
        self.world = world

    def gather(self, now_ms: int) -> None:
        """Look for groups that explain what failed at the time of each sign that is due."""
        topics: dict[Topic, list[str]] = {}
        for sign in self._shelf.ungrouped(now_ms):
            topic = topic_of(sign)
            if topic is not None and sign.site in self.world.groups.sites:
                topics.setdefault(topic, []).append(sign.sign)
        for topic, names in topics.items():
            sites = self.world.groups.with_kind.get(topic.kind)
            grouping = self._grouping(topic, now_ms)
            for near in clusters(self._onsets(topic), names):
                if topic.family == "down" and grouping.may_be_platform(near):
                    self._wait(near, now_ms)
                    continue
                for found in grouping.explain(near, sites):
                    left = self._left(found, near, grouping, sites)
                    if left is not None:
                        self._take(left, topic, now_ms)

    def _wait(self, onsets: Iterable[Onset], now_ms: int) -> None:
        """Everything heard from so far is silent: perhaps nobody can reach us. Look again soon."""
        for onset in onsets:
            sign = self._shelf.signs[onset.sign]
            sign.group_ms = now_ms + AGAIN_MS
            sign.due_ms = max(sign.due_ms, sign.group_ms)

    def reconsider(self, one: Incident, types: Sequence[GroupType], now_ms: int) -> None:
        """The evidence speaks for other kinds of groups: take the best one of those, if any.

        types: from the most to the least likely where they explain equally well.
        """
        signs = [sign for sign in self._shelf.of(one) if topic_of(sign)]
        topic = topic_of(signs[0])
        assert topic is not None
        onsets = [_onset(sign) for sign in signs]
        total = len({sign.site for sign in signs})
        grouping = self._grouping(topic, now_ms)
        before, found = grouping.best(onsets), grouping.best(onsets, None, types)
        if before is None or found is None:
            return
        if grouping.score(found, total) >= AS_GOOD * grouping.score(before, total):
            one.key = found.key

    def _onsets(self, topic: Topic) -> dict[str, Onset]:
        """What may be grouped: everything on the topic whose incident is not resolved."""
        found = {}
        for sign in self._shelf.signs.values():
            if topic_of(sign) == topic and sign.site in self.world.groups.sites:
                found[sign.sign] = _onset(sign)
        return found

    def _grouping(self, topic: Topic, now_ms: int) -> Grouping:
        groups = self.world.groups

        def audible(site: str, onset_ms: int) -> bool:
            return now_ms >= onset_ms + HEARD_INTERVALS * groups.interval_ms[site]

        def rate(site: str) -> float:
            name = groups.link_type(site) if topic.family == "down" else topic.family
            return self._rates.per_day(name)

        pairs = topic.family == "down"
        return Grouping(groups, rate, audible, pairs=pairs, dark=self._shelf.dark())

    def _left(
        self,
        found: Explanation,
        near: Sequence[Onset],
        grouping: Grouping,
        sites: frozenset[str] | None,
    ) -> Explanation | None:
        """What an explanation says of the signs that no group has, where it can take none over.

        Two providers may fail within minutes, at a site that has both.
        """
        signs = self._signs(found)
        one = self._group_of(signs, found.key)
        if one is None or one.key == found.key or self._takes_over(one, found.key, signs):
            return found
        grouped = {name for o in self._shelf.open.values() if o.key for name in o.signs}
        free = set(found.signs) - grouped
        others = frozenset(sign.site for sign in signs if sign.sign not in free)
        rest = [onset for onset in near if onset.sign in free]
        again = grouping.best(rest, sites, taken=others) if rest else None
        return again if again is not None and again.key == found.key else None

    def _take(self, found: Explanation, topic: Topic, now_ms: int) -> None:
        """Make the incident of an explanation, or let one that exists grow."""
        signs = self._signs(found)
        one = self._group_of(signs, found.key) or self._found(signs, topic, now_ms)
        one.key = found.key
        self._move(signs, one, now_ms)
        self._shelf.absorb(one, self.world, now_ms)

    def _signs(self, found: Explanation) -> list[Sign]:
        return [self._shelf.signs[name] for name in found.signs]

    def _group_of(self, signs: Sequence[Sign], key: Key) -> Incident | None:
        """The largest group that has some of the signs already, and may be that of a key."""
        homes = {sign.incident for sign in signs}
        old = [
            o
            for o in self._shelf.open.values()
            if o.incident in homes and o.key and not self._is_apart(o, key, signs)
        ]
        return max(old, key=lambda o: (len(self._shelf.sites(o)), o.incident), default=None)

    def _found(self, signs: Sequence[Sign], topic: Topic, now_ms: int) -> Incident:
        """The incident of a new group: the first one that was told of a single site, or its own.

        Operators see the incident that they know grow, not a second one; but not one about a
        link that was in trouble long before.
        """
        homes = {sign.incident for sign in signs}
        first = first_of(signs)
        told = [
            o
            for o in self._shelf.open.values()
            if o.incident in homes
            and o.published
            and o.key is None
            and not is_older_trouble(self._shelf.of(o), first.onset_ms)
        ]
        if not told:
            name = incident_id(first, "group")
            return self._shelf.new(name, None, first, topic.family, now_ms)
        one = min(told, key=lambda o: (o.opened_ms, o.incident))
        one.family, one.topic, one.closed_ms = topic.family, first.topic, None
        return one

    def _takes_over(self, one: Incident, key: Key, signs: Sequence[Sign]) -> bool:
        before, after = self._shelf.sites(one), {sign.site for sign in signs}
        scope = self.world.groups.scope
        told_alike = one.key is not None and scope(one.key) == scope(key)
        return before <= after and (told_alike or len(after) >= WIDER * len(before))

    def _move(self, signs: Sequence[Sign], one: Incident, now_ms: int) -> None:
        """Move signs into an incident; what they leave is merged into it, but for old trouble.

        A sign that a group explains which reaches further than this one, or is apart from it,
        stays there.
        """
        for sign in signs:
            before = self._shelf.open.get(sign.incident)
            if before is None:
                self._shelf.assign(sign, one)
            elif before is one or self._stays(before, one, signs):
                continue
            elif is_older_trouble(self._shelf.of(before), sign.onset_ms):
                self._shelf.transfer(sign, one)
            else:
                self._shelf.merge(before, one, now_ms)

    def _is_apart(self, other: Incident, key: Key, signs: Sequence[Sign]) -> bool:
        """Whether a group was away for certain while others that fell silent with all the country
        were still heard: it is no part of that."""
        if key.type != "platform" or other.key is None or other.key == key:
            return False
        well_ms = max(sign.onset_ms for sign in signs)
        before = {sign.site for sign in self._shelf.of(other) if sign.latest_ms < well_ms}
        return len(before) >= LEAST_SITES

    def _stays(self, other: Incident, one: Incident, signs: Sequence[Sign]) -> bool:
        """Whether another group has sites that are none of this one's, or is apart from it."""
        assert one.key is not None
        if other.key is None:
            return False
        members = self.world.groups.members[one.key]
        return not self._shelf.sites(other) <= members or self._is_apart(other, one.key, signs)


def _onset(sign: Sign) -> Onset:
    uplink = sign.outage.uplink if sign.outage else 0
    types = TYPES[sign.family]
    return Onset(sign.sign, sign.site, uplink, sign.onset_ms, sign.error_ms, types)

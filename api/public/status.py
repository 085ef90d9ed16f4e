"""The public status: counts by province and class of facility, and incidents, with nobody in it.

What is told must not lead to one site. Counts are given only of three sites or more, a province
of fewer has no state, and an incident names the provinces that have three sites or more; sites,
devices, providers, districts and agencies are never named. Unknown is neither up nor down.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from api.public.texts import TEXTS, Words, class_name, joined, local_time
from detection.outages import BIN_MS
from devices.geography import PROVINCES, Province
from storage.ledger.public import GroupNow, PublicFacts, SiteNow

LEAST_SITES = 3  # of which anything is told
RECENT_MS = 3 * BIN_MS  # an older bin says nothing of now
OVER_MS = 86_400_000  # an incident that is over is told for so long
LEAST_KNOWN = 0.5  # share of a province's sites below which its state is not known
SOME_TROUBLE, MUCH_TROUBLE = 0.1, 0.5  # shares of the known sites

State = Literal["reachable", "some-trouble", "much-trouble", "not-known", "too-few"]
CauseClass = Literal["power", "network", "weather", "measurement", "facility", "unknown"]
CAUSE_CLASSES: dict[str, CauseClass] = {
    "power": "power",
    **dict.fromkeys(("last-mile", "backbone", "provider", "international", "dns"), "network"),
    **dict.fromkeys(("congestion", "blocked", "radio", "flapping"), "network"),
    "rain-fade": "weather",
    **dict.fromkeys(("probe", "agent", "clock", "duplicate-identity"), "measurement"),
    **dict.fromkeys(("platform", "sensor"), "measurement"),
    "facility": "facility",
    "unknown": "unknown",
}
# A site's bin as the public reads it. Excluded: planned work, of which nothing is said.
MEANINGS = {"UP": "reachable", "DEGRADED": "in_trouble", "DOWN": "in_trouble"}
NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of URLs, RFC 9562


class Counts(NamedTuple):
    """Sites by what is known of them now."""

    reachable: int
    in_trouble: int
    not_known: int

    @property
    def sites(self) -> int:
        """All of them."""
        return sum(self)


class ClassStatus(NamedTuple):
    """One class of facilities in a province; counts None: too few to tell."""

    site_class: str
    counts: Counts | None


class ProvinceStatus(NamedTuple):
    """A province that has sites. known_ms: up to when its newest bin reaches."""

    province: Province
    state: State
    classes: list[ClassStatus]
    known_ms: int | None


class PublicIncident(NamedTuple):
    """An incident of several sites in plain words. id: a URN that says nothing of the incident."""

    id: str
    started_ms: int
    ended_ms: int | None
    changed_ms: int
    is_over: bool
    cause: CauseClass
    is_final: bool
    provinces: list[str]
    text: Words


class PublicStatus(NamedTuple):
    """All of it, as computed at one time. known_ms: up to when the newest bin reaches."""

    computed_ms: int
    known_ms: int | None
    provinces: list[ProvinceStatus]
    incidents: list[PublicIncident]


def status_of(facts: PublicFacts, now_ms: int) -> PublicStatus:
    """The public status that follows from facts that were read at now_ms."""
    by_province: dict[str, list[SiteNow]] = {}
    for site in facts.sites:
        by_province.setdefault(site.province, []).append(site)
    named = {code for code, sites in by_province.items() if len(sites) >= LEAST_SITES}
    place_of = {site.site: site.province for site in facts.sites}
    return PublicStatus(
        now_ms,
        _known_ms(facts.sites),
        [_province(p, by_province[p.code]) for p in PROVINCES.values() if p.code in by_province],
        [_incident(group, named, place_of) for group in facts.groups],
    )


def urn(name: str) -> str:
    """The same URN for the same name, from which the name cannot be read."""
    return uuid.uuid5(NAMESPACE, f"govsense:public:{name}").urn


def _province(province: Province, sites: Sequence[SiteNow]) -> ProvinceStatus:
    by_class: dict[str, list[SiteNow]] = {}
    for site in sites:
        by_class.setdefault(site.site_class, []).append(site)
    classes = [
        ClassStatus(name, _counts(here) if len(here) >= LEAST_SITES else None)
        for name, here in sorted(by_class.items())
    ]
    return ProvinceStatus(province, _state(_counts(sites)), classes, _known_ms(sites))


def _counts(sites: Iterable[SiteNow]) -> Counts:
    counted = Counter(MEANINGS.get(site.state or "", "not_known") for site in sites)
    return Counts(**{name: counted[name] for name in Counts._fields})


def _state(counts: Counts) -> State:
    if counts.sites < LEAST_SITES:
        return "too-few"
    known = counts.reachable + counts.in_trouble
    if known < LEAST_KNOWN * counts.sites:
        return "not-known"
    trouble = counts.in_trouble / known
    if trouble >= MUCH_TROUBLE:
        return "much-trouble"
    return "some-trouble" if trouble >= SOME_TROUBLE else "reachable"


def _known_ms(sites: Iterable[SiteNow]) -> int | None:
    known = (site.start_ms for site in sites if site.state in MEANINGS and site.start_ms)
    newest = max(known, default=None)
    return None if newest is None else newest + BIN_MS


def _incident(group: GroupNow, named: set[str], place_of: dict[str, str]) -> PublicIncident:
    touched = {place_of.get(site) for site in group.sites}
    provinces = [code for code in PROVINCES if code in touched and code in named]
    cause = CAUSE_CLASSES[group.cause]
    return PublicIncident(
        id=urn(group.incident),
        started_ms=group.started_ms,
        ended_ms=group.ended_ms,
        changed_ms=group.changed_ms,
        is_over=group.is_over,
        cause=cause,
        is_final=group.is_final,
        provinces=provinces,
        text=_sentences(group, cause, provinces),
    )


def _sentences(group: GroupNow, cause: CauseClass, provinces: Sequence[str]) -> Words:
    place = TEXTS["place.somewhere"]
    if provinces:
        names = [Words(PROVINCES[code].name_en, PROVINCES[code].name_lo) for code in provinces]
        place = TEXTS["place.in"].fill(provinces=joined(names))
    start = local_time(group.started_ms)
    if not group.is_over:
        what = TEXTS["open"].fill(place=place, start=start)
    elif group.ended_ms is None:
        what = TEXTS["over-unknown"].fill(place=place, start=start)
    else:
        what = TEXTS["over"].fill(place=place, start=start, end=local_time(group.ended_ms))
    why = TEXTS[f"cause.{cause}"]
    if cause != "unknown":
        why = TEXTS["certain" if group.is_final else "probable"].fill(cause=why)
    return Words(f"{what.en} {why.en}", f"{what.lo} {why.lo}")


def named_class(status: ClassStatus) -> Words:
    """A class with its counts in one line."""
    name = class_name(status.site_class)
    if status.counts is None:
        return TEXTS["few"].fill(name=name)
    return TEXTS["counts"].fill(name=name, sites=status.counts.sites, **status.counts._asdict())

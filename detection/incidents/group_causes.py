"""The cause of what several sites have in common, from what is known of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Literal, TypeVar

from detection.incidents.causes import Case, Reason, Tier, Verdict, broken_tier, cause_of_outage
from detection.incidents.changes import Cause
from detection.incidents.groups import GROUND, POWER, GroupType

Vote = Literal["power", "isp", "nat", "network", "rain-fade", "radio", "blocked", "fine"]

Told = TypeVar("Told")

NETWORK: dict[GroupType, Cause] = {
    "provider": "provider",
    "link-provider": "provider",
    "uplink": "backbone",
    "link-province": "backbone",
    "province": "backbone",
    "district": "backbone",
    "ground-district": "backbone",
    "ground-province": "backbone",
    "feeder": "unknown",
    "platform": "platform",
}
BEFORE_BACKFILL: dict[GroupType, float] = {
    "feeder": 0.6,
    "provider": 0.6,
    "link-provider": 0.5,
    "uplink": 0.6,
    "link-province": 0.4,
    "province": 0.5,
    "district": 0.4,
    "ground-district": 0.4,
    "ground-province": 0.5,
}
# Groups that fit what the members tell, from the one that it speaks for most.
FITTING: dict[Vote, tuple[GroupType, ...]] = {
    "power": ("feeder", "district", "province"),
    "isp": ("provider", "link-provider", "uplink", "district", "province", "link-province",
            *GROUND),
    "nat": ("district", "province", *GROUND, "uplink", "link-province", "provider",
            "link-provider"),
    "network": ("provider", "district", "uplink", "link-provider", "link-province", "province",
                *GROUND),
}  # fmt: skip
# A dead gateway tells nothing of what sites share.
VOTE_OF_TIER: dict[Tier, Vote] = {"isp": "isp", "nat": "nat", "int": "fine", "none": "fine"}
NETWORK_VOTES: tuple[Vote, ...] = ("isp", "nat", "network")


def cause_of_group(group: GroupType, cases: Sequence[Case], mains: Collection[str]) -> Verdict:
    """The one cause behind the outages of a group; mains: sites of it that say power is off."""
    if group == "platform":
        return _platform(cases)
    votes = votes_of(cases, mains)
    known = sum(votes.values())
    if not known:
        return _before_backfill(group)
    winner = winner_of(votes)
    if winner is None:
        return Verdict("unknown", 0.3, (Reason("disagree", {"n": known}),))
    n = votes[winner]
    if winner in NETWORK_VOTES:
        n = sum(votes[vote] for vote in NETWORK_VOTES)
    confidence = round(0.95 * n / known * min(1.0, 0.7 + 0.1 * n), 2)
    return _named(winner, group, confidence, Reason(f"members-{winner}", {"n": n, "known": known}))


def votes_of(cases: Sequence[Case], mains: Collection[str]) -> Counter[Vote]:
    """How many sites' evidence says what. mains: sites with alerts that say power is off."""
    votes = ((case.outage.site, _vote(case)) for case in cases)
    power: list[tuple[str, Vote]] = [(site, "power") for site in mains]
    return _by_site(chain(votes, power))


def winner_of(votes: Counter[Vote]) -> Vote | None:
    """What more than half of them say; the tiers that failed count together."""
    known = sum(votes.values())
    network = sum(votes[vote] for vote in NETWORK_VOTES)
    if 2 * network > known:
        return max(NETWORK_VOTES, key=lambda vote: votes[vote])
    for vote, n in votes.items():
        if 2 * n > known:
            return vote
    return None


def _vote(case: Case) -> Vote | None:
    """What one member's evidence says by itself; None where it says nothing yet."""
    outage, evidence = case.outage, case.outage.evidence
    if evidence.mains_lost:
        return "power"
    single = cause_of_outage(case).cause
    if single == "rain-fade" or single == "radio" or single == "blocked":
        return single
    tier = broken_tier(case)
    if tier is not None:
        return VOTE_OF_TIER.get(tier)
    if evidence.booted:
        return "power"
    if evidence.booted is False and outage.phase == "settled" and case.probe:
        return "network"
    return None


def _named(vote: Vote, group: GroupType, confidence: float, reason: Reason) -> Verdict:
    if vote == "power":
        weight = 1.0 if group in POWER else 0.8
        return Verdict("power", round(confidence * weight, 2), (reason,))
    if vote == "isp" and group == "uplink":
        return Verdict("provider", confidence, (reason,))
    if vote == "isp" or vote == "nat" or vote == "network":
        return Verdict(NETWORK[group], confidence, (reason,))
    if vote == "fine":
        return Verdict("unknown", 0.3, (reason,))
    return Verdict(vote, confidence, (reason,))


def _platform(cases: Sequence[Case]) -> Verdict:
    """Rounds that went well meanwhile prove that the network was fine and we were not."""
    tiers = _by_site((case.outage.site, broken_tier(case)) for case in cases)
    known, fine = tiers.total(), tiers["none"]
    if known >= 2 and 2 * fine < known:
        reason = Reason("members-network", {"n": known - fine, "known": known})
        return Verdict("backbone", 0.6, (reason,))
    reason = Reason("members-fine", {"n": fine, "known": known})
    return Verdict("platform", 0.95 if fine else 0.8, (reason,) if fine else ())


def _by_site(told: Iterable[tuple[str, Told | None]]) -> Counter[Told]:
    """How many sites tell what; None tells nothing.

    Of a site that told several things the one that it told most often counts, the first of equals.
    """
    of_site: dict[str, Counter[Told]] = {}
    for site, what in told:
        if what is not None:
            of_site.setdefault(site, Counter())[what] += 1
    return Counter(counts.most_common(1)[0][0] for counts in of_site.values())


def _before_backfill(group: GroupType) -> Verdict:
    if group == "feeder":
        return Verdict("power", BEFORE_BACKFILL[group], (Reason("shared-feeder", {}),))
    return Verdict(NETWORK[group], BEFORE_BACKFILL[group], ())

"""The cause of what several sites have in common, from what is known of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from detection.incidents.causes import (
    MOBILE,
    MOSTLY,
    SATELLITE,
    Case,
    Reason,
    Verdict,
    cause_of_outage,
    share,
)
from detection.incidents.changes import Cause
from detection.incidents.groups import POWER, GroupType

NETWORK: dict[GroupType, Cause] = {
    "provider": "provider",
    "link-provider": "provider",
    "uplink": "backbone",
    "link-province": "backbone",
    "province": "backbone",
    "district": "backbone",
    "feeder": "backbone",
    "platform": "platform",
}
PROVISIONAL: dict[GroupType, float] = {
    "feeder": 0.6,
    "provider": 0.6,
    "link-provider": 0.5,
    "uplink": 0.6,
    "link-province": 0.4,
    "province": 0.5,
    "district": 0.4,
    "platform": 0.8,
}


def cause_of_group(group: GroupType, cases: Sequence[Case], mains: int) -> Verdict:
    """The one cause behind the outages of a group; mains: alerts of it that say power is off."""
    if group == "platform":
        return _platform(cases)
    votes = Counter(vote for vote in (_vote(case) for case in cases) if vote)
    if mains:
        votes["power"] += mains
    known = sum(votes.values())
    if not known:
        return _before_backfill(group)
    winner, n = votes.most_common(1)[0]
    if n <= known / 2:
        return Verdict("unknown", 0.3, (Reason("disagree", {"n": known}),))
    agreement = n / known
    enough = min(1.0, 0.7 + 0.1 * n)
    confidence = round(0.95 * agreement * enough, 2)
    return _named(winner, group, confidence, n, known)


def _vote(case: Case) -> str | None:
    """What one member's evidence says by itself; None where it says nothing yet."""
    outage, evidence = case.outage, case.outage.evidence
    if evidence.mains_lost:
        return "power"
    single = cause_of_outage(case).cause
    if single in ("rain-fade", "radio", "blocked"):
        return single
    if evidence.rounds:
        if share(evidence, "nat") < MOSTLY and share(evidence, "gw") < MOSTLY:
            return "fine"
        return "network" if share(evidence, "gw") < MOSTLY else None
    if evidence.booted:
        return "power"
    if evidence.booted is False and outage.phase == "settled":
        return "network"
    return None


def _named(vote: str, group: GroupType, confidence: float, n: int, known: int) -> Verdict:
    facts = {"n": n, "known": known}
    reasons = (Reason(f"members-{vote}", {**facts}),)
    if vote == "power":
        weight = 1.0 if group in POWER else 0.8
        return Verdict("power", round(confidence * weight, 2), reasons)
    if vote == "network":
        return Verdict(NETWORK[group], confidence, reasons)
    if vote == "fine":
        return Verdict("unknown", 0.3, reasons)
    named: dict[str, Cause] = {"rain-fade": "rain-fade", "radio": "radio", "blocked": "blocked"}
    return Verdict(named[vote], confidence, reasons)


def _platform(cases: Sequence[Case]) -> Verdict:
    """Rounds that went well meanwhile prove that the network was fine and we were not."""
    measured = [case for case in cases if case.outage.evidence.rounds]
    fine = [case for case in measured if share(case.outage.evidence, "nat") < MOSTLY]
    if len(measured) >= 2 and 2 * len(fine) < len(measured):
        facts = {"n": len(measured) - len(fine), "known": len(measured)}
        return Verdict("backbone", 0.6, (Reason("members-network", {**facts}),))
    reason = Reason("members-fine", {"n": len(fine), "known": len(measured)})
    return Verdict("platform", 0.95 if fine else 0.8, (reason,) if fine else ())


def _before_backfill(group: GroupType) -> Verdict:
    if group == "feeder":
        return Verdict("power", PROVISIONAL[group], (Reason("shared-feeder", {}),))
    return Verdict(NETWORK[group], PROVISIONAL[group], ())


def all_satellite(cases: Sequence[Case]) -> bool:
    """Whether every member is behind a satellite link."""
    return all(case.link_type in SATELLITE for case in cases)


def all_mobile(cases: Sequence[Case]) -> bool:
    """Whether every member is behind a mobile link."""
    return all(case.link_type in MOBILE for case in cases)

"""The cause of one outage, from what is known of it: provisional at first, final after backfill.

The signatures are those of the table of failure modes in docs/incidents.md. Where they do not tell,
the cause is unknown: that is better than a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from detection.incidents.changes import Cause
from detection.outages import Evidence, Outage

Tier = Literal["gw", "isp", "nat", "int", "none"]

HOUR_MS = 3_600_000
FADE_DB = 2.0  # a satellite signal that fell by more, just before, was faded
FADE_LONGEST_MS = 90 * 60_000  # rain passes; a longer outage is something else
WEAK_RSRP_DBM = -110.0
WEAK_SINR_DB = 0.0
MOSTLY = 0.5  # share of the rounds that failed anywhere from which on a tier counts as dead
FEW, SELDOM = 3, 0.05  # so few failed rounds, of so many, are no outage of the network
OFTEN = 6  # changes within an hour, from which on two boots must be two machines
LOOP = 3  # new boots within an hour, from which on it is the restarts that interrupt
POWER_LONGEST_MS = 12 * HOUR_MS  # a lone device that comes back later and restarted tells little
MOBILE = ("3g", "4g", "5g")
SATELLITE = ("vsat-geo", "vsat-leo")

TIERS: tuple[Tier, ...] = ("gw", "isp", "nat", "int")

Facts = dict[str, int | float | str]


class Reason(NamedTuple):
    """A sentence of evidence: its name in incident_texts.csv, and what it needs."""

    text: str
    facts: Facts


class Verdict(NamedTuple):
    """A cause with its confidence, 0 to 1, and why."""

    cause: Cause
    confidence: float
    reasons: tuple[Reason, ...]


class Case(NamedTuple):
    """An outage with what the registry adds. probe: one of its devices is a connectivity probe."""

    outage: Outage
    link_type: str
    uplinks: int
    probe: bool


UNKNOWN = Verdict("unknown", 0.2, (Reason("dark", {}),))


def cause_of_outage(case: Case) -> Verdict:
    """The most likely cause of an outage that nothing else explains."""
    for rule in RULES:
        verdict = rule(case)
        if verdict is not None:
            return verdict
    return UNKNOWN


def broken_tier(case: Case) -> Tier | None:
    """The nearest tier that the rounds measured in an outage found dead; "none" where they went
    well, None where nothing tells.
    """
    evidence = case.outage.evidence
    if not evidence.rounds:
        return None
    dead = max(evidence.failed.values(), default=0)
    if dead < FEW and dead < SELDOM * evidence.rounds:
        well = evidence.rounds and case.probe and not evidence.booted
        return "none" if well and case.outage.scope != "uplink" else None
    for tier in TIERS:
        if evidence.failed.get(tier, 0) >= MOSTLY * dead:
            return tier
    return None


def length_ms(outage: Outage) -> int | None:
    """How long it lasted; None while it lasts."""
    return None if outage.ended_ms is None else outage.ended_ms - outage.onset_ms


def _duplicate(case: Case) -> Verdict | None:
    evidence = case.outage.evidence
    often = case.outage.flapping or evidence.transitions >= OFTEN
    if evidence.boots < 2 or not often:
        return None
    return Verdict("duplicate-identity", 0.8, (Reason("boots", {"n": evidence.boots}),))


def _restarts(case: Case) -> Verdict | None:
    """It starts anew again and again: for want of power, or by itself."""
    evidence = case.outage.evidence
    if evidence.restarts < LOOP or not case.outage.flapping:
        return None
    again = Reason("restarts", {"n": evidence.restarts})
    if evidence.mains_lost:
        return Verdict("power", 0.9, (again, Reason("mains-lost", {})))
    if evidence.site_devices == 1:
        return Verdict("unknown", 0.3, (again,))
    if evidence.silent_devices >= evidence.site_devices:
        return Verdict("power", 0.8, (again, Reason("booted-all", {"n": evidence.silent_devices})))
    return Verdict("probe" if case.probe else "sensor", 0.7, (again,))


def _flapping(case: Case) -> Verdict | None:
    if not case.outage.flapping and case.outage.evidence.transitions < OFTEN:
        return None
    times = case.outage.evidence.transitions // 2  # it came, and it went
    return Verdict("flapping", 0.85, (Reason("flapping", {"n": times}),))


def _blocked(case: Case) -> Verdict | None:
    evidence = case.outage.evidence
    if evidence.blocked < FEW or evidence.blocked < SELDOM * evidence.rounds:
        return None
    return Verdict("blocked", 0.85, (Reason("blocked", {"n": evidence.blocked}),))


def _device(case: Case) -> Verdict | None:
    """One device is silent while its site is not."""
    outage, evidence = case.outage, case.outage.evidence
    if outage.scope != "device":
        return None
    alive = Reason("others-alive", {"device": ", ".join(outage.devices)})
    if not case.probe:
        return Verdict("sensor", 0.7, (alive,))
    if evidence.agent_restarted and evidence.booted is False:
        return Verdict("agent", 0.85, (alive, Reason("agent-restarted", {})))
    if broken_tier(case) == "none":
        return Verdict("agent", 0.6, (alive, _rounds("measured-well", evidence)))
    if evidence.booted is False and outage.phase == "settled":
        return Verdict("agent", 0.55, (alive, Reason("same-boot", {})))
    if evidence.booted:
        return Verdict("probe", 0.85, (alive, Reason("booted", {})))
    return Verdict("probe", 0.8, (alive,))


def _mains(case: Case) -> Verdict | None:
    if not case.outage.evidence.mains_lost:
        return None
    return Verdict("power", 0.9, (Reason("mains-lost", {}),))


def _rain(case: Case) -> Verdict | None:
    outage = case.outage
    drop, lasted = outage.evidence.esno_drop_db, length_ms(outage)
    if case.link_type not in SATELLITE or drop is None or drop < FADE_DB:
        return None
    if lasted is not None and lasted > FADE_LONGEST_MS:
        return None
    confidence = 0.7 if lasted is None else 0.9
    return Verdict("rain-fade", confidence, (Reason("faded", {"db": round(drop, 1)}),))


def _radio(case: Case) -> Verdict | None:
    if case.link_type not in MOBILE or case.outage.evidence.booted:
        return None
    evidence = case.outage.evidence
    if evidence.rsrp_dbm is not None and evidence.rsrp_dbm < WEAK_RSRP_DBM:
        return Verdict("radio", 0.8, (Reason("weak-rsrp", {"dbm": round(evidence.rsrp_dbm)}),))
    if evidence.sinr_db is not None and evidence.sinr_db < WEAK_SINR_DB:
        return Verdict("radio", 0.75, (Reason("weak-sinr", {"db": round(evidence.sinr_db)}),))
    return None


def _other_uplink(case: Case) -> Verdict | None:
    """One of two ways out is gone; rounds over the other one say nothing of it, nor of rain."""
    if case.outage.scope != "uplink" or not case.outage.evidence.other_uplink_alive:
        return None
    lasted, alive = length_ms(case.outage), (Reason("other-uplink", {}),)
    if case.link_type in SATELLITE and lasted is not None and lasted <= FADE_LONGEST_MS:
        return Verdict("unknown", 0.3, alive)
    return Verdict("last-mile", 0.8, alive)


def _measured_tiers(case: Case) -> Verdict | None:
    """The probe went on measuring and told later where it broke."""
    evidence = case.outage.evidence
    tier = broken_tier(case)
    if tier is None:
        return None
    if tier == "isp":
        return Verdict("last-mile", 0.9, (_rounds("provider-dead", evidence),))
    if tier == "nat" and not evidence.near:  # nothing nearer is measured
        return Verdict("unknown", 0.3, (_rounds("country-away", evidence),))
    if tier == "nat":
        return Verdict("backbone", 0.6, (_rounds("country-dead", evidence),))
    if tier == "gw" and evidence.mains_lost is False and not evidence.booted:
        return Verdict("last-mile", 0.5, (_rounds("gateway-dead", evidence),))
    text = "gateway-dead" if tier == "gw" else "measured-well"
    return Verdict("unknown", 0.3, (_rounds(text, evidence),))


def _restarted(case: Case) -> Verdict | None:
    """Nothing was measured and the devices came back restarted."""
    evidence, lasted = case.outage.evidence, length_ms(case.outage)
    if not evidence.booted:
        return None
    every = evidence.silent_devices >= evidence.site_devices
    if evidence.site_devices > 1 and every:
        n = evidence.silent_devices
        return Verdict("power", 0.85, (Reason("booted-all", {"n": n}),))
    if lasted is not None and lasted <= POWER_LONGEST_MS and every:
        return Verdict("power", 0.6, (Reason("booted", {}),))
    return Verdict("unknown", 0.3, (Reason("booted", {}),))


def _kept_running(case: Case) -> Verdict | None:
    """The devices ran on, and nothing that was measured came later."""
    evidence = case.outage.evidence
    if evidence.booted is not False:
        return None
    if evidence.agent_restarted and evidence.site_devices == 1:
        return Verdict("agent", 0.7, (Reason("agent-restarted", {}),))
    if evidence.site_devices > 1 and evidence.silent_devices >= evidence.site_devices:
        return Verdict("last-mile", 0.6, (Reason("same-boot", {}),))
    return Verdict("unknown", 0.3, (Reason("same-boot", {}),))


def _rounds(text: str, evidence: Evidence) -> Reason:
    return Reason(text, {"n": evidence.rounds})


RULES: tuple[Callable[[Case], Verdict | None], ...] = (
    _duplicate,
    _restarts,
    _flapping,
    _blocked,
    _mains,
    _device,
    _rain,
    _other_uplink,
    _radio,
    _measured_tiers,
    _restarted,
    _kept_running,
)

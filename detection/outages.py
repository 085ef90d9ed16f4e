"""Outages and bins: what is known of a site's connectivity, now and in the past."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

BIN_MS = 300_000
WHOLE_SITE = 0  # as an uplink: every way out of the site

OutagePhase = Literal["live", "over", "settled"]
BinState = Literal["UP", "DEGRADED", "DOWN", "UNKNOWN", "EXCLUDED"]
Scope = Literal["site", "uplink", "device"]

# A bin as one character, in lower case where the site was on its backup; NO_BIN: none published.
LETTERS: dict[BinState, str] = {
    "UP": "U",
    "DEGRADED": "G",
    "DOWN": "D",
    "UNKNOWN": "K",
    "EXCLUDED": "X",
}
NO_BIN = "."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an outage besides that it happened; grows with backfill.

    rounds: of probes, measured during it and sent later. failed: how many of them found each tier
    dead, by tier ("gw", "isp", "nat", "int"). near: how many of the failed ones had an answer of
    the gateway or the provider. booted, agent_restarted, mains_lost: None while
    unknown.
    boots: distinct boots that spoke again after another one had. restarts: new ones within an hour
    that did not, of the device that restarted most. others_alive: another device of the
    site kept reporting over the same uplink; other_uplink_alive: over another one. transitions:
    changes between connected and not in the hour before its end. esno_drop_db: fall of the
    satellite signal just before. rsrp_dbm, sinr_db: medians just before. blocked: rounds whose
    page was not the known one. silent_devices, site_devices: how many of the site's devices fell
    silent with it, of how many that were alive.
    """

    rounds: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    near: int = 0
    booted: bool | None = None
    agent_restarted: bool | None = None
    mains_lost: bool | None = None
    boots: int = 1
    restarts: int = 0
    others_alive: bool = False
    other_uplink_alive: bool = False
    will: bool = False
    transitions: int = 0
    esno_drop_db: float | None = None
    rsrp_dbm: float | None = None
    sinr_db: float | None = None
    blocked: int = 0
    silent_devices: int = 1
    site_devices: int = 1


@dataclass(frozen=True, slots=True)
class Outage:
    """One time in which a site, one of its uplinks or one device was not reachable.

    outage: the same id wherever it is found. scope "device": the device alone, its link lives.
    onset_ms: best estimate, event time, within error_ms. known_ms: when the platform knew.
    ended_ms: event time of the first good measurement; returned_ms: when the platform knew.
    phase: live (lasts), over (back; backfill may come), settled (evidence is final).
    measured: found by a probe that could still report, not by silence. backfilled: nobody saw
    it live.
    """

    outage: str
    scope: Scope
    site: str
    uplink: int
    devices: tuple[str, ...]
    onset_ms: int
    error_ms: int
    known_ms: int
    ended_ms: int | None
    returned_ms: int | None
    phase: OutagePhase
    measured: bool
    backfilled: bool
    flapping: bool
    evidence: Evidence


class Bin(NamedTuple):
    """Five minutes of one site. revision: 1 when it was published first.

    excluded_by: the window for which it is EXCLUDED, None where it is not.
    """

    site: str
    start_ms: int
    state: BinState
    on_backup: bool
    revision: int
    excluded_by: str | None = None

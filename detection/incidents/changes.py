"""Incidents as operators see them, after each change."""

from __future__ import annotations

from typing import Literal, NamedTuple

IncidentState = Literal["open", "updated", "resolved"]
IncidentPhase = Literal["provisional", "final"]
ScopeType = Literal["device", "site", "district", "province", "provider", "feeder", "platform"]
Cause = Literal[
    "power", "last-mile", "backbone", "provider", "international", "dns", "congestion", "blocked",
    "rain-fade", "radio", "flapping", "probe", "agent", "clock", "duplicate-identity", "platform",
    "sensor", "facility", "unknown",
]  # fmt: skip


class Scope(NamedTuple):
    """How far an incident reaches. id: of a district "LA-LP/xieng-ngeun", as in the geography."""

    type: ScopeType
    id: str


class IncidentChange(NamedTuple):
    """An incident as it is after one change; the order of fields is that of the contract.

    at_ms: when the platform knew. started_ms, ended_ms: event times. confidence: 0 to 1.
    evidence: sentences in plain English; evidence_lo: the same in Lao.
    """

    at_ms: int
    incident: str
    state: IncidentState
    scope: Scope
    cause: Cause
    phase: IncidentPhase
    confidence: float
    started_ms: int
    ended_ms: int | None
    sites: tuple[str, ...]
    devices: tuple[str, ...]
    evidence: tuple[str, ...]
    evidence_lo: tuple[str, ...]

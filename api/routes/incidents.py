"""/incidents: what fails together, or alone, why, and what that is known from."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from api import cursors
from api.documentation import documented
from api.in_sight import Seen, part_of
from api.pages import Page, page_of
from api.parameters import Cursor, From, Limit, To, check_order
from api.platform import PlatformNow
from api.problems import not_found
from api.times import EXAMPLE, TimeOut, iso, iso_or_none
from detection.incidents.changes import Cause, IncidentPhase, IncidentState, ScopeType
from storage.ledger import incidents as ledger

router = APIRouter(tags=["incidents"])


class ScopeOut(BaseModel):
    """How far an incident reaches."""

    type: ScopeType
    id: str


class IncidentOut(BaseModel):
    """An incident as it is now.

    opened_at, at: when the platform first and last knew. started_at, ended_at: when it happened.
    phase: the cause is final when all that was kept meanwhile has come. confidence: 0 to 1. sites,
    devices: those that the caller may see; evidence only where those are all of them.
    """

    incident: str
    state: IncidentState
    scope: ScopeOut
    cause: Cause
    phase: IncidentPhase
    confidence: float
    started_at: TimeOut
    ended_at: TimeOut | None
    opened_at: TimeOut
    at: TimeOut
    sites: list[str]
    devices: list[str]
    evidence: list[str]
    evidence_lo: list[str]


class IncidentDetails(IncidentOut):
    """An incident with what it was after each change, the oldest first."""

    changes: list[IncidentOut]


INCIDENT_EXAMPLE = {
    "incident": "i4db4c652be66",
    "state": "updated",
    "scope": {"type": "province", "id": "LA-LP"},
    "cause": "backbone",
    "phase": "provisional",
    "confidence": 0.5,
    "started_at": "2026-10-05T01:26:30.000Z",
    "ended_at": None,
    "opened_at": EXAMPLE,
    "at": "2026-10-05T01:31:00.000Z",
    "sites": ["lp-health-01", "lp-office-02", "lp-school-03"],
    "devices": ["connectivity-probe-0001", "connectivity-probe-0002", "connectivity-probe-0003"],
    "evidence": ["3 of 4 sites of province LA-LP failed within 2 min."],
    "evidence_lo": ["3 ໃນ 4 ສະຖານທີ່ ຂອງແຂວງ LA-LP ຂັດຂ້ອງພາຍໃນ 2 ນາທີ."],
}


@router.get(
    "/incidents",
    response_model=Page[IncidentOut],
    responses=documented({"items": [INCIDENT_EXAMPLE], "next": None}),
)
def incidents(
    request: Request,
    platform: PlatformNow,
    state: Annotated[
        Literal["open", "resolved"] | None, Query(description="open: not resolved")
    ] = None,
    cause: Cause | None = None,
    scope: Annotated[ScopeType | None, Query(description="how far they reach")] = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Incidents, the newest first; `from` and `to` are about `opened_at`."""
    check_order(from_, to)
    before = cursors.decode(request, cursor, (int, str)) if cursor else None
    which = ledger.IncidentFilter(state, cause, scope, from_, to)
    rows = ledger.list_incidents(platform.ledger, which, before=before, limit=limit + 1)
    return page_of(
        request,
        rows,
        limit,
        item=partial(_incident, platform.seen()),
        position=lambda row: (row.opened_at_ms, row.incident),
    )


@router.get(
    "/incidents/{incident}",
    response_model=IncidentDetails,
    responses=documented({**INCIDENT_EXAMPLE, "changes": [INCIDENT_EXAMPLE]}, 404),
)
def incident_details(incident: str, platform: PlatformNow) -> dict[str, Any]:
    """One incident and what it went through."""
    is_id = incident.isascii() and incident.isalnum()
    row = ledger.get_incident(platform.ledger, incident) if is_id else None
    if row is None:
        raise not_found("incident", incident)
    changes = ledger.changes_of(platform.ledger, incident)
    seen = platform.seen()
    return {**_incident(seen, row), "changes": [_incident(seen, change) for change in changes]}


def _incident(seen: Seen | None, whole: ledger.IncidentRow) -> dict[str, Any]:
    row = whole if seen is None else ledger.IncidentRow(**part_of(whole._asdict(), seen))
    return {
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
        "scope": {"type": row.scope_type, "id": row.scope_id},
        "started_at": iso(row.started_ms),
        "ended_at": iso_or_none(row.ended_ms),
        "opened_at": iso(row.opened_at_ms),
        "at": iso(row.at_ms),
    }


_AS_THEY_ARE = (
    "incident", "state", "cause", "phase", "confidence", "sites", "devices", "evidence",
    "evidence_lo",
)  # fmt: skip

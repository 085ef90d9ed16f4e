"""/incidents: what fails together, or alone, why, and what that is known from."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from api import cursors
from api.documentation import documented
from api.in_sight import Seen, part_of
from api.operators import (
    ACTION_EXAMPLE,
    MOST_ACTIONS,
    ActionOut,
    CloseReason,
    history_of,
    is_id,
)
from api.pages import Page, page_of
from api.parameters import (
    PROVINCE_NAMES,
    WORD,
    Cursor,
    From,
    Limit,
    SiteFilter,
    TextFilter,
    To,
    check_order,
    check_province,
)
from api.platform import PlatformNow
from api.problems import not_found
from api.routes.alerts import ALERT_EXAMPLE, AlertOut, alert_out
from api.times import EXAMPLE, TimeOut, iso, iso_or_none
from detection.findings import Severity
from detection.incidents.changes import Cause, IncidentPhase, IncidentState, ScopeType
from storage.ledger import incidents as ledger
from storage.ledger.actions import Subject, actions_on
from storage.ledger.alerts import AlertFilter, list_alerts

router = APIRouter(tags=["incidents"])

MOST_ALERTS = 200  # shown with their incident


class ScopeOut(BaseModel):
    """How far an incident reaches."""

    type: ScopeType
    id: str


class IncidentOut(BaseModel):
    """An incident as it is now.

    opened_at, at: when the platform first and last knew. started_at, ended_at: when it happened.
    phase: the cause is final when all that was kept meanwhile has come. confidence: 0 to 1. sites,
    devices: those that the caller may see; evidence only where those are all of them.
    closed_at: an operator put it away. revision: how often operators have acted on it.
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
    assigned_to: str | None
    closed_at: TimeOut | None
    closed_by: str | None
    close_reason: CloseReason | None
    revision: int


class IncidentDetails(IncidentOut):
    """An incident with its parts and its past.

    changes: what it was after each change, the oldest first. alerts: the newest 200 of its parts;
    `/alerts?incident=` pages through any number. history: what operators did, their last 500
    actions, and when it opened and was resolved.
    """

    changes: list[IncidentOut]
    alerts: list[AlertOut]
    history: list[ActionOut]


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
    "assigned_to": None,
    "closed_at": None,
    "closed_by": None,
    "close_reason": None,
    "revision": 0,
}
DETAILS_EXAMPLE = {
    **INCIDENT_EXAMPLE,
    "changes": [INCIDENT_EXAMPLE],
    "alerts": [ALERT_EXAMPLE],
    "history": [{**ACTION_EXAMPLE, "action": "open", "by": None, "text": ""}, ACTION_EXAMPLE],
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
        Literal["open", "closed", "resolved"] | None,
        Query(description="closed: an operator put it away; open: neither that nor resolved"),
    ] = None,
    cause: Cause | None = None,
    scope: Annotated[ScopeType | None, Query(description="how far they reach")] = None,
    site: SiteFilter = None,
    province: Annotated[
        str | None, Query(description="of one of its sites", json_schema_extra=PROVINCE_NAMES)
    ] = None,
    agency: Annotated[str | None, Query(pattern=WORD, description="of one of its sites")] = None,
    rule: Annotated[str | None, Query(pattern=WORD, description="of one of its alerts")] = None,
    severity: Annotated[Severity | None, Query(description="of one of its alerts")] = None,
    text: TextFilter = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Incidents, the newest first; `from` and `to` are about `opened_at`."""
    check_province(province)
    check_order(from_, to)
    before = cursors.decode(request, cursor, (int, str)) if cursor else None
    which = ledger.IncidentFilter(
        state=state,
        cause=cause,
        scope=scope,
        from_ms=from_,
        to_ms=to,
        site=site,
        province=province,
        agency=agency,
        rule=rule,
        severity=severity,
        text=text,
    )
    rows = ledger.list_incidents(platform.ledger, which, before=before, limit=limit + 1)
    return page_of(
        request,
        rows,
        limit,
        item=partial(incident_out, seen=platform.seen()),
        position=lambda row: (row.opened_at_ms, row.incident),
    )


@router.get(
    "/incidents/{incident}",
    response_model=IncidentDetails,
    responses=documented(DETAILS_EXAMPLE, 404),
)
def incident_details(incident: str, platform: PlatformNow) -> dict[str, Any]:
    """One incident, its alerts, and what it went through."""
    row = ledger.get_incident(platform.ledger, incident) if is_id(incident) else None
    if row is None:
        raise not_found("incident", incident)
    changes = ledger.changes_of(platform.ledger, incident)
    parts = list_alerts(platform.ledger, AlertFilter(incident=incident), limit=MOST_ALERTS)
    actions = actions_on(platform.ledger, Subject("incident", incident), limit=MOST_ACTIONS)
    over_ms = row.at_ms if row.state == "resolved" else None
    seen = platform.seen()
    return {
        **incident_out(row, seen),
        "changes": [incident_out(change, seen) for change in changes],
        "alerts": [alert_out(part) for part in parts],
        "history": history_of([(row.opened_at_ms, "open"), (over_ms, "resolved")], actions),
    }


def incident_out(whole: ledger.IncidentRow, seen: Seen | None) -> dict[str, Any]:
    """An incident as it is answered, with what of it is seen; None: all."""
    row = whole if seen is None else ledger.IncidentRow(**part_of(whole._asdict(), seen))
    return {
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
        "scope": {"type": row.scope_type, "id": row.scope_id},
        "started_at": iso(row.started_ms),
        "ended_at": iso_or_none(row.ended_ms),
        "opened_at": iso(row.opened_at_ms),
        "at": iso(row.at_ms),
        "closed_at": iso_or_none(row.closed_at_ms),
    }


_AS_THEY_ARE = (
    "incident", "state", "cause", "phase", "confidence", "sites", "devices", "evidence",
    "evidence_lo", "assigned_to", "closed_by", "close_reason", "revision",
)  # fmt: skip

"""/alerts: what is wrong, what it was seen by, and what became of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from api import cursors, evidence
from api.documentation import documented
from api.evidence import EvidenceOut
from api.muted import muted_now
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
    Cursor,
    From,
    KindFilter,
    Limit,
    ProvinceFilter,
    SiteFilter,
    TextFilter,
    To,
    Word,
    check_kind,
    check_order,
    check_province,
)
from api.platform import PlatformNow
from api.problems import not_found
from api.times import EXAMPLE, TimeOut, iso, iso_or_none
from detection.findings import PLATFORM, Nature, Severity
from detection.incidents.changes import Cause
from detection.muting import Reason
from devices.registry import DEVICE_ID
from storage.ledger import alerts as ledger
from storage.ledger.actions import Subject, actions_on

router = APIRouter(tags=["alerts"])

AlertDeviceFilter = Annotated[
    str | None,
    Query(
        pattern=f"^({DEVICE_ID.pattern}|{PLATFORM})$",
        description=f"a device's id, or {PLATFORM}: govsense itself",
    ),
]

IncidentFilter = Annotated[
    str | None, Query(pattern=r"^[a-zA-Z0-9]{1,40}$", description="of which they are parts")
]
State = Literal["pending", "firing", "acknowledged", "closed", "resolved"]


class AlertOut(BaseModel):
    """One rule open, or once open, on one metric of a device; metric null: on the device itself.

    device "@platform", site "": on govsense itself.

    at: when the platform knew. event_time: when it happened. expected: lowest and highest value
    that would have been no alert. incident: of which it is a part. backfilled: readings that came
    late opened and closed it in the past. closed: an operator put it away while its condition goes
    on. cause: of the incident. revision: how often operators have acted on it.
    """

    alert: str
    state: State
    device: str
    site: str
    province: str | None
    kind: str | None
    metric: str | None
    rule: str
    nature: Nature
    severity: Severity
    at: TimeOut
    event_time: TimeOut
    resolved_at: TimeOut | None
    resolved_event_time: TimeOut | None
    value: float | None
    expected: Annotated[list[float | None], Field(min_length=2, max_length=2)] | None
    text_en: str
    text_lo: str
    acknowledged_at: TimeOut | None
    acknowledged_by: str | None
    comment: str | None
    incident: str | None
    backfilled: bool
    agency: str | None
    cause: Cause | None
    assigned_to: str | None
    closed_at: TimeOut | None
    closed_by: str | None
    close_reason: CloseReason | None
    revision: int


class AlertDetails(AlertOut):
    """An alert with what it was seen by and what became of it.

    muted: why nobody is told of it now, null where they are. history: its last 500 actions, and
    when it fired and was resolved.
    """

    muted: Reason | None
    evidence: EvidenceOut
    history: list[ActionOut]


ALERT_EXAMPLE = {
    "alert": "a1b2c3d4e5f6",
    "state": "firing",
    "device": "cold-0007",
    "site": "lp-hospital-01",
    "province": "LA-LP",
    "kind": "cold-chain",
    "metric": "temperature_c",
    "rule": "high",
    "nature": "condition",
    "severity": "critical",
    "at": EXAMPLE,
    "event_time": "2026-10-05T01:29:58.200Z",
    "resolved_at": None,
    "resolved_event_time": None,
    "value": 9.4,
    "expected": [2.0, 8.0],
    "text_en": "Temperature is 9.4 °C; 2 to 8 °C is expected. Check the door and the power.",
    "text_lo": "ອຸນຫະພູມ 9.4 °C",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "comment": None,
    "incident": "i4db4c652be66",
    "backfilled": False,
    "agency": "Ministry of Health",
    "cause": "power",
    "assigned_to": None,
    "closed_at": None,
    "closed_by": None,
    "close_reason": None,
    "revision": 1,
}
DETAILS_EXAMPLE = {
    **ALERT_EXAMPLE,
    "muted": "part-of-incident",
    "evidence": evidence.EXAMPLE,
    "history": [{**ACTION_EXAMPLE, "action": "firing", "by": None, "text": ""}, ACTION_EXAMPLE],
}


@router.get(
    "/alerts",
    response_model=Page[AlertOut],
    responses=documented({"items": [ALERT_EXAMPLE], "next": None}),
)
def alerts(
    request: Request,
    platform: PlatformNow,
    state: Annotated[
        Literal[State, "open"] | None, Query(description="open: firing or acknowledged")
    ] = None,
    severity: Severity | None = None,
    province: ProvinceFilter = None,
    site: SiteFilter = None,
    device: AlertDeviceFilter = None,
    kind: KindFilter = None,
    agency: Word = None,
    rule: Word = None,
    cause: Annotated[Cause | None, Query(description="of its incident")] = None,
    incident: IncidentFilter = None,
    text: TextFilter = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Alerts, the newest first; `from` and `to` are about `at`."""
    check_province(province)
    check_kind(kind)
    check_order(from_, to)
    before = cursors.decode(request, cursor, (int, str)) if cursor else None
    which = ledger.AlertFilter(
        state=state,
        severity=severity,
        province=province,
        site=site,
        device=device,
        kind=kind,
        from_ms=from_,
        to_ms=to,
        agency=agency,
        rule=rule,
        cause=cause,
        incident=incident,
        text=text,
    )
    rows = ledger.list_alerts(platform.ledger, which, before=before, limit=limit + 1)
    return page_of(
        request, rows, limit, item=alert_out, position=lambda row: (row.at_ms, row.alert)
    )


@router.get(
    "/alerts/{alert}", response_model=AlertDetails, responses=documented(DETAILS_EXAMPLE, 404)
)
def alert_details(alert: str, platform: PlatformNow) -> dict[str, Any]:
    """One alert, the readings around its onset, and what became of it."""
    row = ledger.get_alert(platform.ledger, alert) if is_id(alert) else None
    if row is None:
        raise not_found("alert", alert)
    actions = actions_on(platform.ledger, Subject("alert", alert), limit=MOST_ACTIONS)
    opened = "pending" if row.state == "pending" else "firing"
    return {
        **alert_out(row),
        "muted": muted_now(platform, row),
        "evidence": evidence.evidence_of(platform, row),
        "history": history_of([(row.at_ms, opened), (row.resolved_at_ms, "resolved")], actions),
    }


def alert_out(row: ledger.AlertRow) -> dict[str, Any]:
    """An alert as it is answered."""
    known = row.expected_low is not None or row.expected_high is not None
    return {
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
        "metric": row.metric or None,
        "at": iso(row.at_ms),
        "event_time": iso(row.event_ms),
        "resolved_at": iso_or_none(row.resolved_at_ms),
        "resolved_event_time": iso_or_none(row.resolved_event_ms),
        "expected": (row.expected_low, row.expected_high) if known else None,
        "acknowledged_at": iso_or_none(row.acknowledged_at_ms),
        "closed_at": iso_or_none(row.closed_at_ms),
    }


_AS_THEY_ARE = (
    "alert", "state", "device", "site", "province", "kind", "rule", "nature", "severity", "value",
    "text_en", "text_lo", "acknowledged_by", "comment", "incident", "backfilled",
    "agency", "cause", "assigned_to", "closed_by", "close_reason", "revision",
)  # fmt: skip

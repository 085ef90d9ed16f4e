"""/alerts: what is wrong, and what operators say about it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, StringConstraints

from api import cursors
from api.documentation import documented
from api.pages import Page, page_of
from api.parameters import (
    Cursor,
    From,
    KindFilter,
    Limit,
    ProvinceFilter,
    SiteFilter,
    To,
    check_kind,
    check_order,
    check_province,
)
from api.platform import PlatformNow
from api.problems import ProblemError, not_found
from api.times import EXAMPLE, TimeOut, iso, iso_or_none
from detection.findings import PLATFORM, Nature, Severity
from devices.registry import DEVICE_ID
from storage.ledger import alerts as ledger

router = APIRouter(tags=["alerts"])

AlertDeviceFilter = Annotated[
    str | None,
    Query(
        pattern=f"^({DEVICE_ID.pattern}|{PLATFORM})$",
        description=f"a device's id, or {PLATFORM}: govsense itself",
    ),
]

State = Literal["pending", "firing", "acknowledged", "resolved"]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
Comment = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=r"^[^\x00]+$")
]


class AlertOut(BaseModel):
    """One rule open, or once open, on one metric of a device; metric null: on the device itself.

    device "@platform", site "": on govsense itself.

    at: when the platform knew. event_time: when it happened. expected: lowest and highest value
    that would have been no alert. incident: of which it is a part. backfilled: readings that came
    late opened and closed it in the past.
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
    expected: tuple[float | None, float | None] | None
    text_en: str
    text_lo: str
    acknowledged_at: TimeOut | None
    acknowledged_by: str | None
    comment: str | None
    incident: str | None
    backfilled: bool


class Acknowledgement(BaseModel):
    """Who has seen an alert, and what they say."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"by": "S. Vong", "comment": "Technician is on the way."}]},
    )

    by: Name
    comment: Comment


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
}
ACKNOWLEDGED_EXAMPLE = {
    **ALERT_EXAMPLE,
    "state": "acknowledged",
    "acknowledged_at": "2026-10-05T01:35:00.000Z",
    "acknowledged_by": "S. Vong",
    "comment": "Technician is on the way.",
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
    )
    rows = ledger.list_alerts(platform.ledger, which, before=before, limit=limit + 1)
    return page_of(request, rows, limit, item=_alert, position=lambda row: (row.at_ms, row.alert))


@router.get("/alerts/{alert}", response_model=AlertOut, responses=documented(ALERT_EXAMPLE, 404))
def alert_details(alert: str, platform: PlatformNow) -> dict[str, Any]:
    """One alert."""
    row = ledger.get_alert(platform.ledger, alert) if _is_id(alert) else None
    if row is None:
        raise not_found("alert", alert)
    return _alert(row)


@router.post(
    "/alerts/{alert}/acknowledge",
    response_model=AlertOut,
    responses=documented(ACKNOWLEDGED_EXAMPLE, 403, 404, 409, 413, 415),
)
def acknowledge(alert: str, body: Acknowledgement, platform: PlatformNow) -> dict[str, Any]:
    """Say that somebody has seen a firing alert. It stays open until it is resolved."""
    if not _is_id(alert):
        raise not_found("alert", alert)
    try:
        row = ledger.acknowledge(
            platform.ledger, alert, by=body.by, comment=body.comment, now_ms=platform.now_ms()
        )
    except KeyError as exc:
        raise not_found("alert", alert) from exc
    except ledger.NotFiringError as exc:
        raise ProblemError(409, str(exc), extra={"state": exc.state}) from exc
    return _alert(row)


def _is_id(alert: str) -> bool:
    return alert.isascii() and alert.isalnum()


def _alert(row: ledger.AlertRow) -> dict[str, Any]:
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
    }


_AS_THEY_ARE = (
    "alert", "state", "device", "site", "province", "kind", "rule", "nature", "severity", "value",
    "text_en", "text_lo", "acknowledged_by", "comment", "incident", "backfilled",
)  # fmt: skip

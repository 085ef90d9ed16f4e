"""POST /alerts/{alert}/...: what operators do with an alert."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.callers import Caller, CallerNow
from api.documentation import documented
from api.operators import (
    Assignment,
    Closing,
    Comment,
    DeedNow,
    Name,
    Remark,
    is_id,
    refusals,
)
from api.platform import Platform, PlatformNow
from api.problems import not_found
from api.routes.alerts import ALERT_EXAMPLE, AlertOut, alert_out
from api.times import EXAMPLE
from storage.ledger import handling
from storage.ledger.actions import Subject
from storage.ledger.alerts import get_alert

router = APIRouter(tags=["alerts"])

PROBLEMS = (403, 404, 409, 412, 413, 415)


class Acknowledgement(BaseModel):
    """What somebody says who has seen an alert. by: who, where the caller acts for another."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"by": "S. Vong", "comment": "Technician is on the way."}]},
    )

    by: Name | None = None
    comment: Comment


ACKNOWLEDGED_EXAMPLE = {
    **ALERT_EXAMPLE,
    "state": "acknowledged",
    "acknowledged_at": "2026-10-05T01:35:00.000Z",
    "acknowledged_by": "S. Vong",
    "comment": "Technician is on the way.",
}
ASSIGNED_EXAMPLE = {**ALERT_EXAMPLE, "assigned_to": "K. Phom"}
CLOSED_EXAMPLE = {
    **ALERT_EXAMPLE,
    "state": "closed",
    "closed_at": EXAMPLE,
    "closed_by": "S. Vong",
    "close_reason": "known-problem",
}


@router.post(
    "/alerts/{alert}/acknowledge",
    response_model=AlertOut,
    responses=documented(ACKNOWLEDGED_EXAMPLE, *PROBLEMS),
)
def acknowledge(
    alert: str, body: Acknowledgement, platform: PlatformNow, caller: CallerNow, deed: DeedNow
) -> dict[str, Any]:
    """Say that somebody has seen a firing alert. It stays open until it is resolved."""
    with refusals(_subject(alert)):
        handling.acknowledge(
            platform.ledger, alert, deed, by=_seen_by(body.by, caller), comment=body.comment
        )
    return _answer(platform, alert)


@router.post(
    "/alerts/{alert}/unacknowledge",
    response_model=AlertOut,
    responses=documented(ALERT_EXAMPLE, *PROBLEMS),
)
def unacknowledge(alert: str, body: Remark, platform: PlatformNow, deed: DeedNow) -> dict[str, Any]:
    """Take an acknowledgement back: the alert is firing again, of which nobody is told anew."""
    with refusals(_subject(alert)):
        handling.unacknowledge(platform.ledger, alert, deed, text=body.text)
    return _answer(platform, alert)


@router.post(
    "/alerts/{alert}/comments",
    response_model=AlertOut,
    responses=documented(ALERT_EXAMPLE, *PROBLEMS),
)
def comment(alert: str, body: Remark, platform: PlatformNow, deed: DeedNow) -> dict[str, Any]:
    """Say something about an alert, also when it is over; it shows in its history."""
    subject = _subject(alert)
    with refusals(subject):
        handling.comment(platform.ledger, subject, deed, text=body.text)
    return _answer(platform, alert)


@router.post(
    "/alerts/{alert}/assign",
    response_model=AlertOut,
    responses=documented(ASSIGNED_EXAMPLE, *PROBLEMS, 428),
)
def assign(alert: str, body: Assignment, platform: PlatformNow, deed: DeedNow) -> dict[str, Any]:
    """Give an alert into somebody's hands. Out of another's only with If-Match."""
    subject = _subject(alert)
    with refusals(subject):
        handling.assign(platform.ledger, subject, deed, to=body.to, text=body.text or "")
    return _answer(platform, alert)


@router.post(
    "/alerts/{alert}/close",
    response_model=AlertOut,
    responses=documented(CLOSED_EXAMPLE, *PROBLEMS),
)
def close(alert: str, body: Closing, platform: PlatformNow, deed: DeedNow) -> dict[str, Any]:
    """Put an open alert away. Nobody hears of it again until its condition is over and returns."""
    subject = _subject(alert)
    with refusals(subject):
        handling.close(platform.ledger, subject, deed, reason=body.reason, text=body.text)
    return _answer(platform, alert)


def _subject(alert: str) -> Subject:
    if not is_id(alert):
        raise not_found("alert", alert)
    return Subject("alert", alert)


def _seen_by(by: str | None, caller: Caller) -> str:
    """Who has seen it; who says so for another is named too."""
    return caller.name if by in (None, caller.name) else f"{by} ({caller.name})"


def _answer(platform: Platform, alert: str) -> dict[str, Any]:
    row = get_alert(platform.ledger, alert)
    if row is None:  # it was pending and is over
        raise not_found("alert", alert)
    return alert_out(row)

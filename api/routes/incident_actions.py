"""POST /incidents/{incident}/...: what operators do with an incident."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.documentation import documented
from api.operators import Assignment, Closing, DeedNow, Remark, is_id, refusals
from api.platform import Platform, PlatformNow
from api.problems import ProblemError, not_found
from api.routes.incidents import INCIDENT_EXAMPLE, IncidentOut, incident_out
from api.times import EXAMPLE
from storage.ledger import handling
from storage.ledger.actions import Subject
from storage.ledger.incidents import get_incident

router = APIRouter(tags=["incidents"])

PROBLEMS = (403, 404, 409, 412, 413, 415)
CLOSED_EXAMPLE = {
    **INCIDENT_EXAMPLE,
    "closed_at": EXAMPLE,
    "closed_by": "S. Vong",
    "close_reason": "not-our-duty",
}


@router.post(
    "/incidents/{incident}/comments",
    response_model=IncidentOut,
    responses=documented(INCIDENT_EXAMPLE, *PROBLEMS),
)
def comment(incident: str, body: Remark, platform: PlatformNow, deed: DeedNow) -> dict[str, Any]:
    """Say something about an incident, also when it is over; it shows in its history."""
    subject = _subject(incident)
    with refusals(subject):
        handling.comment(platform.ledger, subject, deed, text=body.text)
    return _answer(platform, incident)


@router.post(
    "/incidents/{incident}/assign",
    response_model=IncidentOut,
    responses=documented({**INCIDENT_EXAMPLE, "assigned_to": "K. Phom"}, *PROBLEMS, 428),
)
def assign(incident: str, body: Assignment, platform: PlatformNow, deed: DeedNow) -> dict[str, Any]:
    """Give an incident into somebody's hands. Out of another's only with If-Match."""
    subject = _subject(incident)
    with refusals(subject):
        handling.assign(platform.ledger, subject, deed, to=body.to, text=body.text or "")
    return _answer(platform, incident)


@router.post(
    "/incidents/{incident}/close",
    response_model=IncidentOut,
    responses=documented(CLOSED_EXAMPLE, *PROBLEMS),
)
def close(incident: str, body: Closing, platform: PlatformNow, deed: DeedNow) -> dict[str, Any]:
    """Put an incident that goes on away, and its open alerts with it, for the same reason.

    It takes a key that sees all of its sites.
    """
    subject = _subject(incident)
    _check_sees_all(platform, incident)
    with refusals(subject):
        handling.close(platform.ledger, subject, deed, reason=body.reason, text=body.text)
    return _answer(platform, incident)


def _subject(incident: str) -> Subject:
    if not is_id(incident):
        raise not_found("incident", incident)
    return Subject("incident", incident)


def _check_sees_all(platform: Platform, incident: str) -> None:
    seen, row = platform.seen(), get_incident(platform.ledger, incident)
    if seen is not None and row is not None and not seen.sites.issuperset(row.sites):
        text = "the incident has sites that your key does not see; who sees all of them closes it"
        raise ProblemError(403, text)


def _answer(platform: Platform, incident: str) -> dict[str, Any]:
    row = get_incident(platform.ledger, incident)
    if row is None:
        raise not_found("incident", incident)
    return incident_out(row, platform.seen())

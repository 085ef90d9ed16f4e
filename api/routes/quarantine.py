"""/quarantine: messages of which something was refused, and why."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel

from api import cursors
from api.documentation import documented
from api.pages import Page, page_of
from api.parameters import Cursor, Word
from api.platform import PlatformNow
from api.problems import not_found
from api.times import EXAMPLE, TimeOut, iso, iso_or_none
from storage.ledger import quarantine as ledger

router = APIRouter(tags=["quarantine"])


class RefusalOut(BaseModel):
    """One thing that was refused: its reason, where in the message, and what was found."""

    reason: str
    where: str
    detail: str


class QuarantinedOut(BaseModel):
    """A kept message. device: as its topic says, may be unknown. reason: of its first refusal.

    whole: nothing of it could be used; otherwise its good readings are stored.
    """

    id: int
    received_at: TimeOut
    topic: str
    device: str
    reason: str
    refusals: list[RefusalOut]
    whole: bool
    state: Literal["held", "requested", "replayed"]
    replayed_at: TimeOut | None


class QuarantinedDetails(QuarantinedOut):
    """A kept message with its payload: text where it is UTF-8, else base64."""

    payload: str | None
    payload_b64: str | None


QUARANTINE_EXAMPLE = {
    "id": 17,
    "received_at": EXAMPLE,
    "topic": "gov/v1/LA-LP/probe-0042/telemetry",
    "device": "probe-0042",
    "reason": "outside-hard-range",
    "refusals": [
        {
            "reason": "outside-hard-range",
            "where": "m.nat_loss_pct",
            "detail": "nat_loss_pct 812.0 is outside 0..100",
        }
    ],
    "whole": False,
    "state": "held",
    "replayed_at": None,
}
DETAILS_EXAMPLE = {**QUARANTINE_EXAMPLE, "payload": '{"v":1,...}', "payload_b64": None}


@router.get(
    "/quarantine",
    response_model=Page[QuarantinedOut],
    responses=documented({"items": [QUARANTINE_EXAMPLE], "next": None}),
)
def quarantine(
    request: Request,
    platform: PlatformNow,
    reason: Word = None,
    device: Word = None,
    state: Literal["held", "requested", "replayed"] | None = None,
    limit: Annotated[int, Query(ge=1, le=200, description="items a page")] = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Kept messages, the newest first, without their payloads."""
    before = cursors.decode(request, cursor, (int,))[0] if cursor else None
    which = ledger.QuarantineFilter(reason=reason, device=device, state=state)
    rows = ledger.list_quarantine(
        platform.ledger, which, before=before, limit=limit + 1, payloads=False
    )
    return page_of(request, rows, limit, item=_row, position=lambda row: (row.id,))


@router.get(
    "/quarantine/{id}",
    response_model=QuarantinedDetails,
    responses=documented(DETAILS_EXAMPLE, 404),
)
def quarantined_details(
    number: Annotated[int, Path(alias="id", ge=1, le=2**63 - 1)], platform: PlatformNow
) -> dict[str, Any]:
    """One kept message with its payload."""
    row = ledger.get_quarantined(platform.ledger, number)
    if row is None:
        raise not_found("quarantined message", str(number))
    return {**_row(row), **_payload(row.payload)}


def _row(row: ledger.QuarantineRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "received_at": iso(row.received_ms),
        "topic": row.topic,
        "device": row.device,
        "reason": row.reason,
        "refusals": row.refusals,
        "whole": row.whole,
        "state": row.state,
        "replayed_at": iso_or_none(row.replayed_ms),
    }


def _payload(payload: bytes) -> dict[str, str | None]:
    try:
        return {"payload": payload.decode("utf-8"), "payload_b64": None}
    except UnicodeDecodeError:
        return {"payload": None, "payload_b64": base64.b64encode(payload).decode("ascii")}

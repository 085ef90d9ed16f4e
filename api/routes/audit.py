"""/audit: who wrote, who was refused, who read much."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import cursors
from api.documentation import documented
from api.pages import Page, page_of
from api.parameters import Cursor, Limit
from api.platform import PlatformNow
from api.times import EXAMPLE, TimeOut, iso
from storage.ledger.audit import AuditRow, list_audit

router = APIRouter(tags=["rights"])


class AuditOut(BaseModel):
    """A row of the audit. `hash` is the SHA-256 over `previous` and the rest of the row.

    at: time of the machine. status: of the answer; null where there was none, or nothing was asked
    over HTTP.
    """

    id: int
    at: TimeOut
    who: str
    name: str
    address: str
    what: str
    method: str
    path: str
    status: int | None
    subject: str
    previous: str
    hash: str


AUDIT_EXAMPLE = {
    "id": 4711,
    "at": EXAMPLE,
    "who": "key-1f2e3d4c",
    "name": "S. Vong",
    "address": "10.20.0.15",
    "what": "write",
    "method": "POST",
    "path": "/api/v1/alerts/a1b2c3d4e5f6/acknowledge",
    "status": 200,
    "subject": "",
    "previous": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "hash": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
}


@router.get(
    "/audit",
    response_model=Page[AuditOut],
    responses=documented({"items": [AUDIT_EXAMPLE], "next": None}),
)
def audit(
    request: Request, platform: PlatformNow, limit: Limit = 100, cursor: Cursor = None
) -> dict[str, Any]:
    """The audit, the newest rows first. `govsense audit verify` recomputes its chain."""
    before = cursors.decode(request, cursor, (int,))[0] if cursor else None
    rows = list_audit(platform.ledger, before=before, limit=limit + 1)
    return page_of(request, rows, limit, item=_row, position=lambda row: (row.id,))


def _row(row: AuditRow) -> dict[str, Any]:
    facts = row._asdict()
    return {"at": iso(facts.pop("at_ms")), **facts}

"""/windows: silences and maintenance, which keep alerts from being told and bins from counting."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from api import cursors
from api.callers import Caller, CallerNow
from api.documentation import documented
from api.operators import (
    ACTION_EXAMPLE,
    MOST_ACTIONS,
    ActionOut,
    Comment,
    DeedNow,
    Remark,
    history_of,
    is_id,
    refusals,
)
from api.pages import Page, page_of
from api.parameters import (
    WORD,
    Cursor,
    From,
    Limit,
    ProvinceFilter,
    To,
    Word,
    check_order,
    check_province,
)
from api.platform import Platform, PlatformNow
from api.problems import ProblemError, not_found
from api.reaches import NATIONAL, check_may_reach, place_of
from api.spans import check_span
from api.times import ALLOWED, EXAMPLE, TimeIn, TimeOut, iso, iso_or_none
from detection.muting import ReachType
from storage.ledger import windows as ledger
from storage.ledger.actions import Subject, actions_on

router = APIRouter(tags=["windows"])

PROBLEMS = (403, 404, 409, 412, 413, 415)
Kind = Literal["silence", "maintenance"]
Status = Literal["proposed", "planned", "active", "over", "expired", "withdrawn"]


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        reason = {"reason": "is not a time in text", "allowed": ALLOWED.replace("%2B", "+")}
        raise PydanticCustomError("time", "{reason}", reason)
    return value


Instant = Annotated[TimeIn, BeforeValidator(_text)]


class ReachIn(BaseModel):
    """What a window is about. id: "" of the country; of a district "LA-LP/xieng-ngeun"."""

    model_config = ConfigDict(extra="forbid")

    type: ReachType
    id: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{0,100}$")] = ""


class WindowIn(BaseModel):
    """A window to be. start: now unless given. A silence ends within 7 days, maintenance in 14."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "maintenance",
                    "scope": {"type": "site", "id": "lp-hospital-01"},
                    "start": EXAMPLE,
                    "end": "2026-10-05T03:30:00.000Z",
                    "reason": "A new router is put in.",
                }
            ]
        },
    )

    kind: Kind
    scope: ReachIn
    start: Instant | None = None
    end: Instant
    reason: Comment


class ReachOut(BaseModel):
    """What a window is about."""

    type: ReachType
    id: str


class WindowOut(BaseModel):
    """A silence or a maintenance window as it is now.

    status: proposed waits for a second person; expired: none came in time; planned: not begun.
    late: it began before it was announced, and bins of the past were revised for it.
    """

    window: str
    kind: Kind
    scope: ReachOut
    province: str | None
    agency: str | None
    start: TimeOut
    end: TimeOut
    status: Status
    late: bool
    reason: str
    author: str
    created_at: TimeOut
    approved_by: str | None
    approved_at: TimeOut | None
    ended_by: str | None
    ended_at: TimeOut | None
    revision: int


class WindowDetails(WindowOut):
    """A window and what was done with it, the oldest first."""

    history: list[ActionOut]


WINDOW_EXAMPLE = {
    "window": "w4c1b2a9f00d3e57",
    "kind": "maintenance",
    "scope": {"type": "provider", "id": "LTC"},
    "province": None,
    "agency": None,
    "start": EXAMPLE,
    "end": "2026-10-05T03:30:00.000Z",
    "status": "proposed",
    "late": False,
    "reason": "The backbone is moved to the new ring.",
    "author": "S. Vong",
    "created_at": "2026-10-04T08:00:00.000Z",
    "approved_by": None,
    "approved_at": None,
    "ended_by": None,
    "ended_at": None,
    "revision": 1,
}
APPROVED_EXAMPLE = {
    **WINDOW_EXAMPLE,
    "status": "planned",
    "approved_by": "K. Phom",
    "approved_at": "2026-10-04T09:00:00.000Z",
    "revision": 2,
}
ENDED_EXAMPLE = {
    **APPROVED_EXAMPLE,
    "status": "over",
    "end": "2026-10-05T02:00:00.000Z",
    "ended_by": "S. Vong",
    "ended_at": "2026-10-05T02:00:00.000Z",
    "revision": 3,
}


@router.get(
    "/windows",
    response_model=Page[WindowOut],
    responses=documented({"items": [WINDOW_EXAMPLE], "next": None}),
)
def windows(
    request: Request,
    platform: PlatformNow,
    kind: Kind | None = None,
    status: Status | None = None,
    scope: Annotated[ReachType | None, Query(description="what they are about")] = None,
    id: Annotated[str | None, Query(pattern=WORD, description="of the scope")] = None,  # noqa: A002
    province: ProvinceFilter = None,
    agency: Word = None,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Windows that have a part of `from` to `to`, the last to begin first.

    `province` and `agency` find those that lie within one.
    """
    check_province(province)
    check_order(from_, to)
    before = cursors.decode(request, cursor, (int, str)) if cursor else None
    now_ms = platform.now_ms()
    which = ledger.WindowFilter(
        now_ms=now_ms,
        kind=kind,
        status=status,
        scope_type=scope,
        scope_id=id,
        province=province,
        agency=agency,
        from_ms=from_,
        to_ms=to,
    )
    rows = ledger.list_windows(platform.ledger, which, before=before, limit=limit + 1)
    return page_of(
        request,
        rows,
        limit,
        item=lambda row: _window(row, now_ms),
        position=lambda row: (row.start_ms, row.window),
    )


@router.post(
    "/windows",
    response_model=WindowOut,
    responses=documented(WINDOW_EXAMPLE, 403, 413, 415),
)
def propose(
    body: WindowIn, platform: PlatformNow, caller: CallerNow, deed: DeedNow
) -> dict[str, Any]:
    """Begin, or plan, a silence or maintenance. A national one waits for a second person.

    That is one of the country, of a whole provider, or of a rule. The same once more is the same
    window.
    """
    scope = body.scope
    plan = ledger.Plan(body.kind, scope.type, scope.id, body.start, body.end, body.reason)
    with refusals(Subject("window", "")):
        known = ledger.proposed(platform.ledger, plan, deed)
        if known is None:
            place = place_of(platform.ledger, scope.type, scope.id)
            check_may_reach(caller, scope.type, place)
            span = check_span(
                body.kind, body.start, body.end, now_ms=deed.at_ms, is_admin=caller.role == "admin"
            )
            terms = ledger.Terms(*place, *span, needs_second=scope.type in NATIONAL)
            known = ledger.propose(platform.ledger, plan, terms, deed)
    return _window(known, deed.at_ms)


@router.get(
    "/windows/{window}",
    response_model=WindowDetails,
    responses=documented({**WINDOW_EXAMPLE, "history": [ACTION_EXAMPLE]}, 404),
)
def window_details(window: str, platform: PlatformNow) -> dict[str, Any]:
    """One window and what was done with it."""
    row = _find(platform, window)
    actions = actions_on(platform.ledger, Subject("window", window), limit=MOST_ACTIONS)
    return {**_window(row, platform.now_ms()), "history": history_of([], actions)}


@router.post(
    "/windows/{window}/approve",
    response_model=WindowOut,
    responses=documented(APPROVED_EXAMPLE, *PROBLEMS),
)
def approve(
    window: str, body: Remark, platform: PlatformNow, caller: CallerNow, deed: DeedNow
) -> dict[str, Any]:
    """Put a proposed window in force, as another person than its author.

    Where its start has passed it begins now.
    """
    row = _find(platform, window)
    least = ("admin",) if row.is_late else ("operator", "admin")
    _check_own(caller, row)
    if caller.role not in least:
        raise ProblemError(403, f"a {caller.role} cannot approve it; {' or '.join(least)} can")
    with refusals(Subject("window", window)):
        try:
            row = ledger.approve(platform.ledger, window, deed, text=body.text)
        except ledger.SamePersonError as exc:
            raise ProblemError(403, f"{exc}; another operator approves it") from exc
    return _window(row, deed.at_ms)


@router.post(
    "/windows/{window}/end",
    response_model=WindowOut,
    responses=documented(ENDED_EXAMPLE, *PROBLEMS),
)
def end(
    window: str, body: Remark, platform: PlatformNow, caller: CallerNow, deed: DeedNow
) -> dict[str, Any]:
    """End a window now, or withdraw one that has not begun. What has ended stays as it is.

    An admin also takes back one that is `late`: its bins are revised once more.
    """
    _check_own(caller, _find(platform, window))
    may_rewrite = caller.role == "admin"
    with refusals(Subject("window", window)):
        row = ledger.end(platform.ledger, window, deed, text=body.text, may_rewrite=may_rewrite)
    return _window(row, deed.at_ms)


def _find(platform: Platform, window: str) -> ledger.WindowRow:
    row = ledger.get_window(platform.ledger, window) if is_id(window) else None
    if row is None:
        raise not_found("window", window)
    return row


def _check_own(caller: Caller, row: ledger.WindowRow) -> None:
    """Refuse who could not have proposed a window."""
    check_may_reach(caller, row.scope_type, (row.province, row.agency))


def _window(row: ledger.WindowRow, now_ms: int) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
        "scope": {"type": row.scope_type, "id": row.scope_id},
        "start": iso(row.start_ms),
        "end": iso(row.end_ms),
        "status": ledger.status_of(row, now_ms),
        "late": row.is_late,
        "created_at": iso(row.created_at_ms),
        "approved_at": iso_or_none(row.approved_at_ms),
        "ended_at": iso_or_none(row.ended_at_ms),
    }


_AS_THEY_ARE = (
    "window", "kind", "province", "agency", "reason", "author", "approved_by", "ended_by",
    "revision",
)  # fmt: skip

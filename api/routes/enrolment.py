"""/enrolment: devices that send without being registered, and what becomes of them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api import cursors
from api.callers import CallerNow
from api.documentation import documented
from api.newcomers import (
    ACCEPTED_EXAMPLE,
    NEWCOMER_EXAMPLE,
    REFUSED_EXAMPLE,
    SENT_EXAMPLE,
    Accepted,
    NewcomerDetails,
    NewcomerOut,
    example_out,
    names_out,
    newcomer_out,
    said_of,
)
from api.pages import Page, page_of
from api.parameters import KIND_NAMES, Cursor, ProvinceFilter, check_kind, check_province
from api.platform import Platform, PlatformNow
from api.problems import FieldError, ProblemError, invalid, not_found
from devices.registry import DEVICE_ID, MAX_INTERVAL_S, SITE_ID, Device, RegistryError
from storage.ledger import enrolment as ledger

router = APIRouter(tags=["enrolment"])

READ_BYTES = 32 * 1024  # of each message that is looked at
LISTED_NEWEST, LISTED_OLDEST = 5, 3  # messages that are looked at for a list, of each device
DETAILS_NEWEST, DETAILS_OLDEST = 100, 20

Reason = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$"
    ),
]


def _whole(value: Any) -> Any:
    """JSON has one type of numbers: 30.0 is the integer 30."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Acceptance(BaseModel):
    """As what a device is registered: its site, kind, seconds between two rounds, uplink of the
    site (1 or 2) and parameters of its kind."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"site": "lp-health-01", "kind": "connectivity-probe", "interval_s": 60.0}]
        },
    )

    site: Annotated[str, StringConstraints(pattern=f"^{SITE_ID.pattern}$")]
    kind: Annotated[str, StringConstraints(max_length=63), Field(json_schema_extra=KIND_NAMES)]
    interval_s: Annotated[float, Field(strict=True, gt=0, le=MAX_INTERVAL_S)]
    uplink: Annotated[int, Field(strict=True, ge=1, le=2), BeforeValidator(_whole)] = 1
    params: dict[str, Any] = {}


class Refusal(BaseModel):
    """Why a device is refused, and for how many days what it sends is no news."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "A test device of the workshop.", "days": 30}]},
    )

    reason: Reason
    days: Annotated[int, Field(strict=True, ge=1, le=3650), BeforeValidator(_whole)] = 30


@router.get(
    "/enrolment",
    response_model=Page[NewcomerOut],
    responses=documented({"items": [NEWCOMER_EXAMPLE], "next": None}),
)
def newcomers(
    request: Request,
    platform: PlatformNow,
    state: Literal["pending", "refused"] = "pending",
    province: ProvinceFilter = None,
    limit: Annotated[int, Query(ge=1, le=100, description="items a page")] = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Devices that sent something and are not registered, in order of id, with what they sent.

    refused: those that were refused and have sent nothing since the days of that are over.
    """
    check_province(province)
    after = cursors.decode(request, cursor, (str,))[0] if cursor else ""
    rows = ledger.list_newcomers(
        platform.ledger,
        state=state,
        provinces=None if province is None else (province,),
        after=after,
        limit=limit + 1,
    )
    return page_of(
        request,
        rows,
        limit,
        item=lambda row: newcomer_out(
            row, _sent(platform, row.device, LISTED_NEWEST, LISTED_OLDEST)
        ),
        position=lambda row: (row.device,),
    )


@router.get(
    "/enrolment/{device}",
    response_model=NewcomerDetails,
    responses=documented({**NEWCOMER_EXAMPLE, "example": SENT_EXAMPLE}, 404),
)
def newcomer_details(device: str, platform: PlatformNow) -> dict[str, Any]:
    """One device that is not registered, whether pending or refused."""
    return _details(platform, device)


@router.post(
    "/enrolment/{device}/accept",
    response_model=Accepted,
    responses=documented(ACCEPTED_EXAMPLE, 403, 404, 413, 415),
)
def accept(
    device: str, body: Acceptance, platform: PlatformNow, caller: CallerNow
) -> dict[str, Any]:
    """Register a device. Ingest takes it up within a second or two and replays what is held of it.

    The road is that of the registry and of the quarantine: each reading is stored once.
    """
    check_kind(body.kind)
    _check_params(body.params)
    _check_id(device)
    said = said_of(_sent(platform, device, DETAILS_NEWEST, DETAILS_OLDEST))
    made = Device(device, body.site, body.kind, body.interval_s, body.uplink, body.params)
    try:
        row = ledger.accept(platform.ledger, made, by=caller.name, now_ms=platform.now_ms())
    except ledger.NobodyError as exc:
        raise _nobody(device) from exc
    except RegistryError as exc:
        errors = [
            FieldError(one.column, "does not fit", one.got, one.allowed) for one in exc.problems
        ]
        detail = "; ".join(f"{e.field} {e.got} does not fit, allowed: {e.allowed}" for e in errors)
        raise ProblemError(422, detail, errors=errors) from exc
    return {
        "device": device,
        **body.model_dump(),
        "messages": row.messages,
        "unknown_metrics": names_out(said.unknown_to(body.kind)),
    }


@router.post(
    "/enrolment/{device}/refuse",
    response_model=NewcomerDetails,
    responses=documented({**REFUSED_EXAMPLE, "example": SENT_EXAMPLE}, 403, 404, 413, 415),
)
def refuse(device: str, body: Refusal, platform: PlatformNow, caller: CallerNow) -> dict[str, Any]:
    """Do not show a device again until it sends something when `days` are over.

    What it sends stays in quarantine, and it may still be accepted.
    """
    _check_id(device)
    try:
        ledger.refuse(
            platform.ledger,
            device,
            reason=body.reason,
            days=body.days,
            by=caller.name,
            now_ms=platform.now_ms(),
        )
    except ledger.NobodyError as exc:
        raise _nobody(device) from exc
    return _details(platform, device)


def _details(platform: Platform, device: str) -> dict[str, Any]:
    _check_id(device)
    row = ledger.get_newcomer(platform.ledger, device)
    sent = _sent(platform, device, DETAILS_NEWEST, DETAILS_OLDEST)
    if row is None or not sent:
        raise _nobody(device)
    return {**newcomer_out(row, sent), "example": example_out(sent[0])}


def _check_id(device: str) -> None:
    if not DEVICE_ID.fullmatch(device):
        raise _nobody(device)


def _nobody(device: str) -> ProblemError:
    return not_found("device that sends without being registered:", device)


def _check_params(params: dict[str, Any]) -> None:
    """Refuse what is read as JSON and cannot be kept or reckoned with."""
    try:
        as_doubles = json.loads(json.dumps(params), parse_int=float)
        json.dumps(as_doubles, allow_nan=False)
        msgspec.json.encode(params)  # no half of a surrogate pair
    except (ValueError, msgspec.MsgspecError, RecursionError) as exc:
        allowed = "numbers within a double, texts, lists and objects"
        raise invalid("params", "cannot be kept", got=str(exc), allowed=allowed) from exc


def _sent(platform: Platform, device: str, newest: int, oldest: int) -> list[ledger.Sent]:
    return ledger.sent_by(
        platform.ledger, device, newest=newest, oldest=oldest, most_bytes=READ_BYTES
    )

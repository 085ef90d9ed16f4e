"""/accounting: for every device and hour what was expected, came, came late or twice, or never."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import cursors
from api.documentation import documented
from api.pages import Page
from api.parameters import Cursor, From, Limit, ProvinceFilter, To, check_province
from api.platform import PlatformNow, find_device
from api.ranges import check_range, range_of
from api.times import EXAMPLE, TimeOut, iso
from storage.ledger.accounting import HOUR_MS, Hour, device_hours
from storage.ledger.accounting_totals import sum_hours
from storage.ledger.sequences import missing_rounds

router = APIRouter(tags=["accounting"])

DAY_MS = 24 * HOUR_MS
LONGEST_MS = 366 * DAY_MS
LONGEST_SUM_MS = 31 * DAY_MS


class Counted(BaseModel):
    """Rounds by event time. late ones are received too; quarantined counts refusals.

    expected: due by the device's interval since its first message, up to now. missing: expected,
    but not received.
    """

    expected: int
    received: int
    late: int
    duplicate: int
    quarantined: int
    missing: int


class HourOut(Counted):
    """One hour of one device."""

    hour: TimeOut


class Numbered(BaseModel):
    """Rounds that never came by the devices' own numbering, over all time, in no hour.

    waiting: asked for again. lost: no longer waited for. /devices/{id}/sequences lists them.
    """

    waiting: int
    lost: int


class HoursOut(Page[HourOut]):
    """A page of one device's hours; numbered is that of the device, whatever the page."""

    numbered: Numbered


class SumOut(Counted):
    """All hours that begin in [start, end), of all devices."""

    start: TimeOut
    end: TimeOut
    province: str | None
    devices: int
    numbered: Numbered


COUNTED = {
    "expected": 60,
    "received": 57,
    "late": 12,
    "duplicate": 3,
    "quarantined": 1,
    "missing": 3,
}
NUMBERED = {"waiting": 0, "lost": 3}
SUM_EXAMPLE = {
    **COUNTED,
    "start": EXAMPLE,
    "end": EXAMPLE,
    "province": None,
    "devices": 1,
    "numbered": NUMBERED,
}
HOURS_EXAMPLE = {"items": [{**COUNTED, "hour": EXAMPLE}], "next": None, "numbered": NUMBERED}


@router.get(
    "/devices/{device}/accounting",
    response_model=HoursOut,
    responses=documented(HOURS_EXAMPLE, 404),
)
def device_accounting(
    request: Request,
    platform: PlatformNow,
    device: str,
    from_: From = None,
    to: To = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """One device, hour by hour, from `from` (default: a day before `to`) to `to` (default: now)."""
    row = find_device(platform, device)
    if cursor is None:
        start_ms, end_ms = range_of(platform, from_, to, LONGEST_MS)
    else:
        start_ms, end_ms = cursors.decode(request, cursor, (int, int))
        check_range(start_ms, end_ms, LONGEST_MS)
    page_end_ms = min(end_ms, start_ms // HOUR_MS * HOUR_MS + limit * HOUR_MS)
    now_ms = platform.now_ms()
    hours = device_hours(
        platform.ledger, row.device, from_ms=start_ms, to_ms=page_end_ms, now_ms=now_ms
    )
    more = page_end_ms < min(end_ms, now_ms)
    return {
        "items": [_hour(hour) for hour in hours],
        "next": cursors.encode(request, (page_end_ms, end_ms)) if more else None,
        "numbered": missing_rounds(platform.ledger, device=row.device)._asdict(),
    }


@router.get("/accounting", response_model=SumOut, responses=documented(SUM_EXAMPLE))
def accounting(
    platform: PlatformNow,
    from_: From = None,
    to: To = None,
    province: ProvinceFilter = None,
) -> dict[str, Any]:
    """The sum over all devices, or those of a province, for at most 31 days.

    missing is summed hour by hour: what one device sent too often does not fill another's gap.
    """
    check_province(province)
    start_ms, end_ms = range_of(platform, from_, to, LONGEST_SUM_MS)
    start_ms = start_ms // HOUR_MS * HOUR_MS
    end_ms = -(-end_ms // HOUR_MS) * HOUR_MS
    found = sum_hours(
        platform.ledger,
        from_ms=start_ms,
        to_ms=end_ms,
        now_ms=platform.now_ms(),
        province=province,
    )
    return {
        **found._asdict(),
        "start": iso(start_ms),
        "end": iso(end_ms),
        "province": province,
        "numbered": missing_rounds(platform.ledger, province=province)._asdict(),
    }


def _hour(hour: Hour) -> dict[str, Any]:
    counts = hour._asdict()
    return {"hour": iso(counts.pop("hour_ms")), **counts}

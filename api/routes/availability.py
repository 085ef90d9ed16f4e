"""/sites/{site}/availability: how much of a time a site was reachable, with what is not known."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from api.documentation import documented
from api.parameters import From, To
from api.platform import PlatformNow
from api.problems import not_found
from api.ranges import range_of
from api.times import TimeOut, iso
from detection.availability import availability_of
from storage.ledger.bins import DAY_MS, bins_of
from storage.ledger.inventory import get_site

router = APIRouter(tags=["incidents"])

LONGEST_MS = 92 * DAY_MS  # 26,496 bins


class DowntimeOut(BaseModel):
    """A time without the network. open: it reaches the last bin that is known."""

    started_at: TimeOut
    ended_at: TimeOut
    minutes: float
    open: bool


class AvailabilityOut(BaseModel):
    """Of a site, by its five-minute bins that begin within a time.

    Ratios are null where nothing is known that they could be made of. lower, upper: if everything
    unknown was down, or up. sufficient: enough is known to judge a target by.
    """

    site: str
    up: int
    degraded: int
    down: int
    unknown: int
    excluded: int
    on_backup: int
    availability: float | None
    lower: float | None
    upper: float | None
    coverage: float | None
    sufficient: bool
    quality_ok: float | None
    mttr_minutes: float | None
    mtbf_minutes: float | None
    outages: list[DowntimeOut]


EXAMPLE = {
    "site": "lp-health-01",
    "up": 280,
    "degraded": 2,
    "down": 6,
    "unknown": 0,
    "excluded": 0,
    "on_backup": 0,
    "availability": 0.9791666666666666,
    "lower": 0.9791666666666666,
    "upper": 0.9791666666666666,
    "coverage": 1.0,
    "sufficient": True,
    "quality_ok": 0.9929078014184397,
    "mttr_minutes": 30.0,
    "mtbf_minutes": 1410.0,
    "outages": [
        {
            "started_at": "2026-10-05T01:30:00.000Z",
            "ended_at": "2026-10-05T02:00:00.000Z",
            "minutes": 30.0,
            "open": False,
        }
    ],
}


@router.get(
    "/sites/{site}/availability",
    response_model=AvailabilityOut,
    responses=documented(EXAMPLE, 404),
)
def availability(
    site: str,
    platform: PlatformNow,
    from_: From = None,
    to: To = None,
) -> dict[str, Any]:
    """Availability with its bounds, and the outages: of the last day, or of at most 92 days.

    Late data may change it.
    """
    start_ms, end_ms = range_of(platform, from_, to, LONGEST_MS)
    if get_site(platform.ledger, site) is None:
        raise not_found("site", site)
    found = availability_of(bins_of(platform.ledger, site, start_ms, end_ms))
    outages = [
        {
            "started_at": iso(outage.start_ms),
            "ended_at": iso(outage.end_ms),
            "minutes": outage.minutes,
            "open": outage.open,
        }
        for outage in found.outages
    ]
    return {"site": site, **{name: getattr(found, name) for name in _FIGURES}, "outages": outages}


_FIGURES = [name for name in AvailabilityOut.model_fields if name not in ("site", "outages")]

"""/devices: probes and sensors, what became of them and what they said last."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from api import cursors
from api.documentation import documented
from api.pages import Page, page_of
from api.parameters import (
    Cursor,
    KindFilter,
    Limit,
    ProvinceFilter,
    SiteFilter,
    Word,
    check_kind,
    check_province,
)
from api.platform import PlatformNow, find_device
from api.revalidation import Tagged
from api.times import EXAMPLE, TimeOut, iso, iso_or_none
from devices.kinds import KINDS
from storage.ledger.inventory import DeviceFilter, DeviceRow, LatestRow, Lifecycle, list_devices

router = APIRouter(tags=["inventory"])


class DeviceOut(BaseModel):
    """A device. `state` is what its last status message said; null before the first."""

    device: str
    site: str
    province: str
    district: str
    kind: str
    interval_s: float
    uplink: int
    lifecycle: Lifecycle
    state: Literal["online", "offline"] | None
    first_seen: TimeOut | None
    last_seen: TimeOut | None


class DeviceDetails(DeviceOut):
    """A device with its parameters and its last status message."""

    params: dict[str, Any]
    status: dict[str, Any] | None


class LatestReading(BaseModel):
    """The reading of one metric with the newest event time."""

    metric: str
    unit: str
    at: TimeOut
    value: float


class Latest(BaseModel):
    """The latest reading of each metric of a device; none where it was never heard."""

    device: str
    lifecycle: Lifecycle
    last_seen: TimeOut | None
    readings: list[LatestReading]


DEVICE_EXAMPLE = {
    "device": "probe-0042",
    "site": "lp-health-01",
    "province": "LA-LP",
    "district": "luangprabang",
    "kind": "connectivity-probe",
    "interval_s": 60.0,
    "uplink": 1,
    "lifecycle": "active",
    "state": "online",
    "first_seen": "2026-09-01T00:00:12.345Z",
    "last_seen": EXAMPLE,
}
STATUS_EXAMPLE = {"state": "online", "kind": "connectivity-probe", "fw": "1.4.2", "boot": "9f2c"}
LATEST_EXAMPLE = {
    "device": "probe-0042",
    "lifecycle": "active",
    "last_seen": EXAMPLE,
    "readings": [{"metric": "nat_rtt_p50_ms", "unit": "ms", "at": EXAMPLE, "value": 21.4}],
}


@router.get(
    "/devices",
    response_model=Page[DeviceOut],
    dependencies=[Tagged],
    responses=documented({"items": [DEVICE_EXAMPLE], "next": None}, kept=True),
)
def devices(
    request: Request,
    platform: PlatformNow,
    province: ProvinceFilter = None,
    district: Word = None,
    site: SiteFilter = None,
    kind: KindFilter = None,
    lifecycle: Annotated[Lifecycle | None, Query()] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Devices in order of id.

    Lifecycle: registered (never heard), active, silent (nothing for 3 intervals), abandoned
    (nothing for 90 days).
    """
    check_province(province)
    check_kind(kind)
    after = cursors.decode(request, cursor, (str,))[0] if cursor else ""
    rows = list_devices(
        platform.ledger,
        DeviceFilter(province, district, site, kind, lifecycle),
        now_ms=platform.now_ms(),
        after=after,
        limit=limit + 1,
    )
    return page_of(request, rows, limit, item=device_out, position=lambda row: (row.device,))


@router.get(
    "/devices/{device}",
    response_model=DeviceDetails,
    dependencies=[Tagged],
    responses=documented(
        {**DEVICE_EXAMPLE, "params": {}, "status": STATUS_EXAMPLE}, 404, kept=True
    ),
)
def device_details(device: str, platform: PlatformNow) -> dict[str, Any]:
    """One device."""
    row = find_device(platform, device)
    return {**device_out(row), "params": row.params, "status": row.status}


@router.get(
    "/devices/{device}/latest",
    response_model=Latest,
    dependencies=[Tagged],
    responses=documented(LATEST_EXAMPLE, 404, kept=True),
)
def latest(device: str, platform: PlatformNow) -> dict[str, Any]:
    """The newest reading of each metric, by event time."""
    return latest_out(find_device(platform, device))


def latest_out(row: DeviceRow | LatestRow, metrics: frozenset[str] | None = None) -> dict[str, Any]:
    """A row as a Latest, with these metrics or all."""
    known = KINDS[row.kind].metrics
    return {
        "device": row.device,
        "lifecycle": row.lifecycle,
        "last_seen": iso_or_none(row.last_seen_ms),
        "readings": [
            {"metric": name, "unit": known[name].unit, "at": iso(at_ms), "value": value}
            for name, (at_ms, value) in sorted(row.latest.items())
            if name in known and (metrics is None or name in metrics)
        ],
    }


def device_out(row: DeviceRow) -> dict[str, Any]:
    """A row as a DeviceOut."""
    return {
        "device": row.device,
        "site": row.site,
        "province": row.province,
        "district": row.district,
        "kind": row.kind,
        "interval_s": row.interval_s,
        "uplink": row.uplink,
        "lifecycle": row.lifecycle,
        "state": row.state,
        "first_seen": iso_or_none(row.first_seen_ms),
        "last_seen": iso_or_none(row.last_seen_ms),
    }

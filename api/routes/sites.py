"""/sites: offices and facilities."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from api import cursors
from api.documentation import documented
from api.pages import Page, page_of
from api.parameters import WORD, Cursor, Limit, ProvinceFilter, Word, check_province
from api.platform import PlatformNow
from api.problems import not_found
from api.routes.devices import DEVICE_EXAMPLE, DeviceOut, device_out
from storage.ledger.inventory import (
    DeviceFilter,
    SiteFilter,
    SiteRow,
    get_site,
    list_devices,
    list_sites,
)

router = APIRouter(tags=["inventory"])

MOST_DEVICES = 1000  # shown with their site; /devices?site= pages through any number


class UplinkOut(BaseModel):
    """One way from a site to the network."""

    provider: str
    link_type: str
    contracted_down_mbps: float | None
    contracted_up_mbps: float | None


class SiteOut(BaseModel):
    """A site as registered."""

    site: str
    name_en: str
    name_lo: str | None
    site_class: str
    province: str
    district: str
    lat: float | None
    lon: float | None
    agency: str
    feeder: str | None
    priority: str
    uplinks: list[UplinkOut]


class SiteDetails(SiteOut):
    """A site with its devices."""

    devices: list[DeviceOut]


EXAMPLE = {
    "site": "lp-health-01",
    "name_en": "Luang Prabang Health Office",
    "name_lo": "ພະແນກສາທາລະນະສຸກ ແຂວງຫຼວງພະບາງ",
    "site_class": "office",
    "province": "LA-LP",
    "district": "luangprabang",
    "lat": 19.89,
    "lon": 102.14,
    "agency": "Health",
    "feeder": "LP-F1",
    "priority": "normal",
    "uplinks": [
        {
            "provider": "LTC",
            "link_type": "fibre",
            "contracted_down_mbps": 50.0,
            "contracted_up_mbps": 25.0,
        }
    ],
}


@router.get(
    "/sites",
    response_model=Page[SiteOut],
    responses=documented({"items": [EXAMPLE], "next": None}),
)
def sites(
    request: Request,
    platform: PlatformNow,
    province: ProvinceFilter = None,
    district: Word = None,
    agency: Word = None,
    site_class: Annotated[str | None, Query(alias="class", pattern=WORD)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Sites in order of id."""
    check_province(province)
    after = cursors.decode(request, cursor, (str,))[0] if cursor else ""
    which = SiteFilter(province, district, agency, site_class)
    rows = list_sites(platform.ledger, which, after=after, limit=limit + 1)
    return page_of(request, rows, limit, item=_site, position=lambda row: (row.site,))


@router.get(
    "/sites/{site}",
    response_model=SiteDetails,
    responses=documented({**EXAMPLE, "devices": [DEVICE_EXAMPLE]}, 404),
)
def site_details(site: str, platform: PlatformNow) -> dict[str, Any]:
    """One site and its devices."""
    row = get_site(platform.ledger, site)
    if row is None:
        raise not_found("site", site)
    here = DeviceFilter(site=site)
    devices = list_devices(platform.ledger, here, now_ms=platform.now_ms(), limit=MOST_DEVICES)
    return {**_site(row), "devices": [device_out(device) for device in devices]}


def _site(row: SiteRow) -> dict[str, Any]:
    return {**row._asdict(), "name_lo": row.name_lo or None, "feeder": row.feeder or None}

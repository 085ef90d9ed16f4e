"""/sites: offices and facilities."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from api import cursors, tables
from api.bulk import note_bulk
from api.documentation import documented
from api.formats import CSV, GEOJSON, JSON, MEDIA_TYPES, VARY, Bom, check_bom, format_of
from api.pages import Page, page_of
from api.parameters import WORD, Cursor, Limit, ProvinceFilter, Word, check_province
from api.platform import PlatformNow
from api.problems import invalid, not_found
from api.revalidation import KEPT, Tagged
from api.routes.devices import DEVICE_EXAMPLE, DeviceOut, device_out
from api.site_formats import CSV_EXAMPLE, GEOJSON_EXAMPLE, feature_collection, sites_table
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
    responses=documented(
        {"items": [EXAMPLE], "next": None},
        406,
        also={MEDIA_TYPES[GEOJSON]: GEOJSON_EXAMPLE, MEDIA_TYPES[CSV]: CSV_EXAMPLE},
        kept=True,
    ),
    dependencies=[Tagged],
)
def sites(
    request: Request,
    response: Response,
    platform: PlatformNow,
    province: ProvinceFilter = None,
    district: Word = None,
    agency: Word = None,
    site_class: Annotated[str | None, Query(alias="class", pattern=WORD)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    format_: Annotated[Literal["json", "geojson", "csv"] | None, Query(alias="format")] = None,
    bom: Bom = False,
) -> dict[str, Any] | Response:
    """Sites in order of id.

    As GeoJSON (RFC 7946) each is a feature, its geometry null where its place is not known, and
    `next` a member of the collection. As CSV with the columns of the registry's file, without
    pages.
    """
    check_province(province)
    which = SiteFilter(province, district, agency, site_class)
    chosen = format_of(request, format_, (JSON, GEOJSON, CSV))
    check_bom(bom, chosen)
    if chosen == CSV:
        if cursor is not None:
            raise invalid("cursor", "is for pages", got=cursor, allowed="not with CSV")
        note_bulk(request)
        return tables.answer(sites_table(platform.ledger, which), CSV, bom=bom, headers=KEPT)
    after = cursors.decode(request, cursor, (str,))[0] if cursor else ""
    rows = list_sites(platform.ledger, which, after=after, limit=limit + 1)
    page = page_of(request, rows, limit, item=_site, position=lambda row: (row.site,))
    if chosen == GEOJSON:
        return Response(
            msgspec.json.encode(feature_collection(page)),
            headers=VARY | KEPT,
            media_type=MEDIA_TYPES[GEOJSON],
        )
    response.headers.update(VARY)
    return page


@router.get(
    "/sites/{site}",
    response_model=SiteDetails,
    dependencies=[Tagged],
    responses=documented({**EXAMPLE, "devices": [DEVICE_EXAMPLE]}, 404, kept=True),
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

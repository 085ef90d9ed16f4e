"""/provinces and /districts: the country, with what was heard from each province."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from api.documentation import documented
from api.pages import Page
from api.parameters import ProvinceFilter, check_province
from api.platform import PlatformNow
from devices.geography import DISTRICTS, PROVINCES, District, Province
from storage.ledger.inventory import LIFECYCLES, ProvinceCounts, province_counts

router = APIRouter(tags=["reference"])

NOTHING = ProvinceCounts(0, dict.fromkeys(LIFECYCLES, 0), 0)


class LifecycleCounts(BaseModel):
    """Devices by lifecycle: registered (never heard), active, silent, abandoned."""

    registered: int
    active: int
    silent: int
    abandoned: int


class ProvinceOut(BaseModel):
    """A province, keyed by its ISO 3166-2 code."""

    province: str
    name_en: str
    name_lo: str
    capital: str
    population_2015: int
    lat: float
    lon: float
    sites: int
    devices: LifecycleCounts
    open_alerts: int


class DistrictOut(BaseModel):
    """A district, keyed by province and district: names repeat between provinces."""

    province: str
    district: str
    name_en: str
    name_lo: str | None
    lat: float
    lon: float


PROVINCES_EXAMPLE = {
    "items": [
        {
            "province": "LA-LP",
            "name_en": "Luang Prabang",
            "name_lo": "ຫລວງພະບາງ",
            "capital": "Luang Prabang",
            "population_2015": 431889,
            "lat": 20.4,
            "lon": 102.5,
            "sites": 17,
            "devices": {"registered": 2, "active": 19, "silent": 1, "abandoned": 0},
            "open_alerts": 1,
        }
    ],
    "next": None,
}
DISTRICTS_EXAMPLE = {
    "items": [
        {
            "province": "LA-VT",
            "district": "chanthabuly",
            "name_en": "Chanthabuly",
            "name_lo": None,
            "lat": 17.997,
            "lon": 102.618,
        }
    ],
    "next": None,
}


@router.get("/provinces", response_model=Page[ProvinceOut], responses=documented(PROVINCES_EXAMPLE))
def list_provinces(platform: PlatformNow) -> dict[str, Any]:
    """Every province with its sites, devices by lifecycle and open alerts, all on one page.

    A caller who is limited to provinces gets those; counts are of what the caller may see.
    """
    counts = province_counts(platform.ledger, now_ms=platform.now_ms())
    theirs = platform.caller.provinces
    shown = [p for p in PROVINCES.values() if theirs is None or p.code in theirs]
    items = [_province(p, counts.get(p.code, NOTHING)) for p in shown]
    return {"items": items, "next": None}


@router.get("/districts", response_model=Page[DistrictOut], responses=documented(DISTRICTS_EXAMPLE))
def list_districts(province: ProvinceFilter = None) -> dict[str, Any]:
    """Every district, or those of one province, all on one page."""
    check_province(province)
    found = [d for d in DISTRICTS.values() if province in (None, d.province)]
    return {"items": [_district(district) for district in found], "next": None}


def _province(province: Province, counts: ProvinceCounts) -> dict[str, Any]:
    return {
        "province": province.code,
        "name_en": province.name_en,
        "name_lo": province.name_lo,
        "capital": province.capital,
        "population_2015": province.population_2015,
        "lat": province.lat,
        "lon": province.lon,
        **counts._asdict(),
    }


def _district(district: District) -> dict[str, Any]:
    return {
        "province": district.province,
        "district": district.district,
        "name_en": district.name_en,
        "name_lo": district.name_lo or None,
        "lat": district.lat,
        "lon": district.lon,
    }

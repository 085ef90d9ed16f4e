"""Provinces and districts of Laos: codes, names in English and Lao, places.

Names and centroids are computed from geoBoundaries LAO ADM1/ADM2 (CC BY 4.0); P-codes and Lao
names come from the OCHA common operational dataset for Lao PDR (2019).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Province:
    """A first-level unit. The ISO 3166-2 code is the key: two provinces share a name.

    lat, lon: a point inside the province, degrees.
    """

    code: str
    pcode: str
    name_en: str
    name_lo: str
    capital: str
    population_2015: int
    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class District:
    """A district, keyed by (province, district); several provinces have a district of one name.

    pcode, name_lo: empty where no source was at hand. lat, lon: its centroid, degrees.
    """

    province: str
    district: str
    pcode: str
    name_en: str
    name_lo: str
    lat: float
    lon: float


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("devices") / "data" / name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def _province(cells: dict[str, str]) -> Province:
    return Province(
        code=cells["province"],
        pcode=cells["pcode"],
        name_en=cells["name_en"],
        name_lo=cells["name_lo"],
        capital=cells["capital"],
        population_2015=int(cells["population_2015"]),
        lat=float(cells["lat"]),
        lon=float(cells["lon"]),
    )


def _district(cells: dict[str, str]) -> District:
    return District(
        province=cells["province"],
        district=cells["district"],
        pcode=cells["pcode"],
        name_en=cells["name_en"],
        name_lo=cells["name_lo"],
        lat=float(cells["lat"]),
        lon=float(cells["lon"]),
    )


PROVINCES: dict[str, Province] = {
    cells["province"]: _province(cells) for cells in _rows("provinces.csv")
}
DISTRICTS: dict[tuple[str, str], District] = {
    (cells["province"], cells["district"]): _district(cells) for cells in _rows("districts.csv")
}

"""Sites for maps and spreadsheets: GeoJSON (RFC 7946), and a table with the registry's columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from api.tables import Table, Type
from storage.ledger.inventory import SiteFilter, SiteRow, list_sites
from storage.ledger.migrations import Ledger

PAGE = 5000
UPLINK: dict[str, Type] = {
    "provider": "label",
    "link_type": "label",
    "contracted_down_mbps": "number",
    "contracted_up_mbps": "number",
}
COLUMNS: dict[str, Type] = {
    "site": "text",
    "name_en": "text",
    "name_lo": "text",
    "class": "label",
    "province": "label",
    "district": "label",
    "lat": "number",
    "lon": "number",
    "agency": "label",
    **UPLINK,
    "feeder": "label",
    "priority": "label",
    **{f"{name}2": kind for name, kind in UPLINK.items()},
}
GEOJSON_EXAMPLE = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": "lp-health-01",
                "geometry": {"type": "Point", "coordinates": [102.14, 19.89]},
                "properties": {"site": "lp-health-01", "name_en": "Luang Prabang Health Office"},
            }
        ],
        "next": None,
    }
)
CSV_EXAMPLE = (
    f"{','.join(COLUMNS)}\r\nlp-health-01,Luang Prabang Health Office,,office,LA-LP,luangprabang,"
    "19.89,102.14,Health,LTC,fibre,50.0,25.0,LP-F1,normal,,,,\r\n"
)


def feature_collection(page: dict[str, Any]) -> dict[str, Any]:
    """A page of sites as a collection of features; `next` is a foreign member (RFC 7946, 6.1)."""
    features = [_feature(site) for site in page["items"]]
    return {"type": "FeatureCollection", "features": features, "next": page["next"]}


def sites_table(ledger: Ledger, which: SiteFilter) -> Table:
    """All sites of a filter."""
    return Table("sites", COLUMNS, _batches(ledger, which))


def _feature(site: dict[str, Any]) -> dict[str, Any]:
    properties = {name: value for name, value in site.items() if name not in ("lat", "lon")}
    lat, lon = site["lat"], site["lon"]
    place = None if lat is None or lon is None else {"type": "Point", "coordinates": [lon, lat]}
    return {"type": "Feature", "id": site["site"], "geometry": place, "properties": properties}


def _batches(ledger: Ledger, which: SiteFilter) -> Iterator[list[tuple[Any, ...]]]:
    after = ""
    while rows := list_sites(ledger, which, after=after, limit=PAGE):
        yield [_table_row(row) for row in rows]
        after = rows[-1].site


def _table_row(row: SiteRow) -> tuple[Any, ...]:
    uplinks = [tuple(uplink[name] for name in UPLINK) for uplink in row.uplinks]
    first, second = (*uplinks, *[(None,) * len(UPLINK)] * 2)[:2]
    place = (row.site, row.name_en, row.name_lo, row.site_class, row.province, row.district)
    return (*place, row.lat, row.lon, row.agency, *first, row.feeder, row.priority, *second)

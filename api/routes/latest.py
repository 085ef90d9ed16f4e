"""/telemetry/latest: the newest readings of all devices of a province, a site or an agency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api import cursors, tables
from api.bulk import note_bulk
from api.documentation import documented
from api.formats import (
    CSV,
    JSON,
    MEDIA_TYPES,
    PARQUET,
    VARY,
    Bom,
    TableFormat,
    check_bom,
    format_of,
)
from api.pages import Page, page_of
from api.parameters import (
    Cursor,
    KindFilter,
    MetricNames,
    ProvinceFilter,
    SiteFilter,
    Word,
    check_kind,
    check_province,
    listed,
)
from api.platform import Platform, PlatformNow
from api.problems import invalid, unknown
from api.revalidation import KEPT
from api.routes.devices import Latest, latest_out
from api.tables import Type
from api.times import EXAMPLE
from devices.kinds import KINDS
from storage.ledger.inventory import DeviceFilter, LatestRow, list_latest

router = APIRouter(tags=["telemetry"])

MOST = 5000  # devices a page: more than any province has
COLUMNS: dict[str, Type] = {
    "device": "label",
    "site": "label",
    "province": "label",
    "kind": "label",
    "lifecycle": "label",
    "last_seen": "time",
    "metric": "label",
    "unit": "label",
    "at": "time",
    "value": "number",
}


class LatestOfSite(Latest):
    """The latest readings of a device, and where it stands."""

    site: str
    province: str
    kind: str


LATEST_EXAMPLE = {
    "device": "probe-0042",
    "site": "lp-health-01",
    "province": "LA-LP",
    "kind": "connectivity-probe",
    "lifecycle": "active",
    "last_seen": EXAMPLE,
    "readings": [{"metric": "nat_rtt_p50_ms", "unit": "ms", "at": EXAMPLE, "value": 21.4}],
}
CSV_EXAMPLE = (
    f"{','.join(COLUMNS)}\r\nprobe-0042,lp-health-01,LA-LP,connectivity-probe,active,{EXAMPLE},"
    f"nat_rtt_p50_ms,ms,{EXAMPLE},21.4\r\n"
)


@router.get(
    "/telemetry/latest",
    response_model=Page[LatestOfSite],
    responses=documented(
        {"items": [LATEST_EXAMPLE], "next": None},
        406,
        also={MEDIA_TYPES[CSV]: CSV_EXAMPLE, MEDIA_TYPES[PARQUET]: "PAR1..."},
        kept=True,
    ),
)
def latest(
    request: Request,
    platform: PlatformNow,
    province: ProvinceFilter = None,
    district: Word = None,
    site: SiteFilter = None,
    agency: Word = None,
    kind: KindFilter = None,
    metric: Annotated[list[MetricNames], Query(description="names, default all")] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=MOST, description="devices a page of JSON")] = MOST,
    cursor: Cursor = None,
    format_: Annotated[TableFormat, Query(alias="format")] = None,
    bom: Bom = False,
) -> Response:
    """The newest reading of each metric, by event time, of all devices in order of id.

    As CSV or Parquet: a row for each reading, and one without a metric for each device that has
    none; whole, without pages.
    """
    check_province(province)
    check_kind(kind)
    metrics = _metrics(listed(metric))
    which = DeviceFilter(province, district, site, kind, None, agency)
    chosen = format_of(request, format_, (JSON, CSV, PARQUET))
    check_bom(bom, chosen)
    if chosen != JSON:
        if cursor is not None:
            raise invalid("cursor", "is for pages", got=cursor, allowed="only with JSON")
        note_bulk(request)
        table = tables.Table("latest", COLUMNS, _batches(platform, which, metrics))
        return tables.answer(table, chosen, bom=bom, headers=KEPT)
    after = cursors.decode(request, cursor, (str,))[0] if cursor else ""
    rows = list_latest(
        platform.ledger, which, now_ms=platform.now_ms(), after=after, limit=limit + 1
    )
    page = page_of(
        request,
        rows,
        limit,
        item=lambda row: _item(row, metrics),
        position=lambda row: (row.device,),
    )
    content = msgspec.json.encode(page)
    return Response(content, headers=VARY | KEPT, media_type=MEDIA_TYPES[JSON])


def _metrics(names: Sequence[str]) -> frozenset[str] | None:
    possible = {name for kind in KINDS.values() for name in kind.metrics}
    for name in names:
        if name not in possible:
            raise unknown("metric", name, possible)
    return frozenset(names) or None


def _item(row: LatestRow, metrics: frozenset[str] | None) -> dict[str, Any]:
    place = {"site": row.site, "province": row.province, "kind": row.kind}
    return latest_out(row, metrics) | place


def _batches(
    platform: Platform, which: DeviceFilter, metrics: frozenset[str] | None
) -> Iterator[list[tuple[Any, ...]]]:
    now_ms, after = platform.now_ms(), ""
    while rows := list_latest(platform.ledger, which, now_ms=now_ms, after=after, limit=MOST):
        yield [line for row in rows for line in _table_rows(row, metrics)]
        if len(rows) < MOST:
            return
        after = rows[-1].device


def _table_rows(row: LatestRow, metrics: frozenset[str] | None) -> Iterator[tuple[Any, ...]]:
    known = KINDS[row.kind].metrics
    device = (row.device, row.site, row.province, row.kind, row.lifecycle, row.last_seen_ms)
    found: list[tuple[Any, ...]] = [
        (*device, name, known[name].unit, at_ms, value)
        for name, (at_ms, value) in sorted(row.latest.items())
        if name in known and (metrics is None or name in metrics)
    ]
    yield from found or [(*device, None, None, None, None)]

"""/telemetry and /devices/{device}/telemetry: readings over time, as they are or summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from api import cursors, tables
from api.bulk import is_long, note_bulk
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
from api.parameters import Cursor, From, MetricNames, To, check_order, listed, names_pattern
from api.platform import Platform, PlatformNow, find_device, find_devices
from api.problems import invalid
from api.revalidation import KEPT
from api.telemetry import question as asking
from api.telemetry.question import AGGREGATES, MOST_DEVICES, MOST_POINTS, P95, Question
from api.telemetry.resolution import AUTO, LENGTH, stated
from api.telemetry.rows import Found, batches_of, columns_of, flat
from api.times import EXAMPLE, TimeOut, iso
from devices.registry import DEVICE_ID
from storage.ledger.inventory import DeviceRow
from storage.series.levels import HOUR_MS

router = APIRouter(tags=["telemetry"])

LIMIT = 1000

DeviceNames = Annotated[
    str, Field(json_schema_extra={"pattern": f"^{DEVICE_ID.pattern}(,{DEVICE_ID.pattern})*$"})
]
AggregateNames = Annotated[
    str, Field(json_schema_extra={"pattern": names_pattern("|".join((*AGGREGATES, P95)))})
]


class Point(BaseModel):
    """A reading; a bucket or column of a chart that begins at `at`, with what was asked for."""

    model_config = ConfigDict(extra="forbid")

    device: str | None = None
    metric: str
    at: TimeOut
    received_at: TimeOut | None = None
    value: float | None = None
    count: int | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    last: float | None = None
    p95: float | None = None
    coverage: float | None = None


class Telemetry(BaseModel):
    """A page of readings, series by series in order of time. A bucket without one is left out.

    bucket: the length of the buckets, null where there are none.
    """

    start: TimeOut
    end: TimeOut
    bucket: str | None
    items: list[Point]
    next: str | None


class DeviceTelemetry(Telemetry):
    """The same of one device."""

    device: str


@dataclass(frozen=True)
class Asked:
    """The parameters that both paths share, as they were given."""

    request: Request
    from_ms: int | None
    to_ms: int | None
    metrics: list[str]
    bucket: str | None
    aggregates: list[str]
    points: int | None
    limit: int | None
    cursor: str | None
    format: str
    bom: bool


def _asked(
    request: Request,
    from_: From = None,
    to: To = None,
    metric: Annotated[list[MetricNames], Query(description="names, default all")] = [],  # noqa: B006
    bucket: Annotated[
        str | None,
        Query(
            description="like 30s, 5m, 1h, 1d, or auto; without it: raw readings",
            json_schema_extra={"pattern": f"^({LENGTH.pattern}|{AUTO})$"},
        ),
    ] = None,
    agg: Annotated[
        list[AggregateNames],
        Query(description="of each bucket: count, min, max, mean, last, coverage; and p95"),
    ] = [],  # noqa: B006
    points: Annotated[
        int | None,
        Query(ge=2, le=MOST_POINTS, description="for a chart so many pixels wide"),
    ] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=10_000, description="items a page of JSON, default 1000")
    ] = None,
    cursor: Cursor = None,
    format_: Annotated[TableFormat, Query(alias="format")] = None,
    bom: Bom = False,
) -> Asked:
    chosen = format_of(request, format_, (JSON, CSV, PARQUET))
    asked = Asked(
        request, from_, to, listed(metric), bucket, listed(agg), points, limit, cursor, chosen, bom
    )
    _check_pages(asked)
    return asked


AskedNow = Annotated[Asked, Depends(_asked)]

EXAMPLE_ROW = {"metric": "nat_rtt_p50_ms", "at": EXAMPLE, "mean": 21.4, "coverage": 1.0}
TELEMETRY_EXAMPLE = {
    "start": "2026-10-05T01:00:00.000Z",
    "end": "2026-10-05T02:00:00.000Z",
    "bucket": "5m",
    "items": [{"device": "probe-0042", **EXAMPLE_ROW}],
    "next": None,
}
DEVICE_EXAMPLE = {**TELEMETRY_EXAMPLE, "device": "probe-0042", "items": [EXAMPLE_ROW]}
CSV_EXAMPLE = f"device,metric,at,mean\r\nprobe-0042,nat_rtt_p50_ms,{EXAMPLE},21.4\r\n"
TABLES = {MEDIA_TYPES[CSV]: CSV_EXAMPLE, MEDIA_TYPES[PARQUET]: "PAR1..."}


@router.get(
    "/telemetry",
    response_model=Telemetry,
    responses=documented(TELEMETRY_EXAMPLE, 406, also=TABLES, kept=True),
)
def telemetry(
    platform: PlatformNow,
    asked: AskedNow,
    device: Annotated[
        list[DeviceNames],
        Query(description="ids of devices", json_schema_extra={"minItems": 1}),
    ],
) -> Response:
    """Readings of several devices. `device`, `metric` and `agg` may be repeated or have commas.

    From `from` (default: an hour before `to`) up to `to` (default: now). Buckets of whole days
    begin at local midnight (UTC+7), others at multiples of their length since 1970 UTC; the first
    and the last one are whole. coverage is the share of the expected rounds that came; p95 is by
    nearest rank, and null where readings are deleted. With `points` each series is its first
    reading, the min and max of each column of pixels, and its last reading; or all its readings,
    where they are no more than that. CSV and Parquet are whole, JSON comes in pages.
    """
    names = listed(device)
    if not 1 <= len(names) <= MOST_DEVICES:
        raise invalid(
            "device",
            "has too few or too many ids",
            got=f"{len(names)} ids",
            allowed=f"1 to {MOST_DEVICES}",
        )
    return _answer(platform, asked, find_devices(platform, names), {}, hidden=())


@router.get(
    "/devices/{device}/telemetry",
    response_model=DeviceTelemetry,
    responses=documented(DEVICE_EXAMPLE, 404, 406, also=TABLES, kept=True),
)
def device_telemetry(platform: PlatformNow, asked: AskedNow, device: str) -> Response:
    """Readings of one device, as of /telemetry."""
    row = find_device(platform, device)
    return _answer(platform, asked, [row], {"device": device}, hidden=("device",))


def _answer(
    platform: Platform,
    asked: Asked,
    devices: Sequence[DeviceRow],
    about: dict[str, Any],
    *,
    hidden: Sequence[str],
) -> Response:
    """about: further members of the JSON. hidden: columns that its items do without."""
    now_ms = platform.now_ms()
    end_ms = now_ms if asked.to_ms is None else asked.to_ms
    start_ms = end_ms - HOUR_MS if asked.from_ms is None else asked.from_ms
    after = None
    if asked.cursor is not None:
        start_ms, end_ms, *place = cursors.decode(asked.request, asked.cursor, (int,) * 4)
        after = place[0], place[1]
    check_order(start_ms, end_ms)
    q = _question(platform, asked, devices, start_ms, end_ms)
    if asked.format != JSON or is_long(end_ms - start_ms, len(devices)):
        note_bulk(asked.request)
    # What lies in the past has a name that lasts: it can be asked for again, and compared.
    headers = KEPT if asked.to_ms is not None and end_ms <= now_ms else {}
    if asked.format != JSON:
        if q.points is None and q.bucket_ms is None:
            asking.check_export(q)
        table = tables.Table("telemetry", columns_of(q), flat(batches_of(platform.series, q)))
        return tables.answer(table, asked.format, bom=asked.bom, headers=headers)
    rows, last = _page(platform, q, after, asked.limit or LIMIT)
    body = {
        **about,
        "start": iso(start_ms),
        "end": iso(end_ms),
        "bucket": stated(q.bucket_ms) if q.bucket_ms else None,
        "items": _items(q, rows, hidden),
        "next": cursors.encode(asked.request, (start_ms, end_ms, *last)) if last else None,
    }
    content = msgspec.json.encode(body)
    return Response(content, headers=VARY | headers, media_type=MEDIA_TYPES[JSON])


def _question(
    platform: Platform, asked: Asked, devices: Sequence[DeviceRow], start_ms: int, end_ms: int
) -> Question:
    aggregates = asking.aggregates_of(asked.aggregates, asked.bucket)
    series = asking.find_series(platform, devices, asked.metrics)
    bucket_ms = asked.bucket and asking.bucket_of(asked.bucket, series, start_ms, end_ms)
    q = Question(series, start_ms, end_ms, bucket_ms or None, aggregates, asked.points)
    asking.check_cost(q, platform.limits.stored_rows)
    return q


def _page(
    platform: Platform, q: Question, after: tuple[int, int] | None, limit: int
) -> tuple[list[Found], tuple[int, int] | None]:
    """At most so many rows, and the place of the last one if there are more."""
    batches = batches_of(platform.series, q, after=after, page=limit + 1)
    if q.points is not None:
        return list(chain.from_iterable(batches)), None
    rows = list(islice(chain.from_iterable(batches), limit + 1))
    return rows[:limit], rows[limit - 1][0] if len(rows) > limit else None


def _items(q: Question, rows: Sequence[Found], hidden: Sequence[str]) -> list[dict[str, Any]]:
    if q.points is not None:
        return [_chart_item(row, hidden) for _, row in rows]
    columns = columns_of(q)
    times = [name for name, kind in columns.items() if kind == "time"]
    items = []
    for _, row in rows:
        item = dict(zip(columns, row, strict=True))
        item.update({name: iso(item[name]) for name in times})
        for name in hidden:
            del item[name]
        items.append(item)
    return items


def _chart_item(row: Sequence[Any], hidden: Sequence[str]) -> dict[str, Any]:
    """A row of CHART: a reading has a value, a column its extremes."""
    device, metric, at_ms, value, least, most = row
    item = {"metric": metric, "at": iso(at_ms)}
    if "device" not in hidden:
        item = {"device": device, **item}
    return item | ({"min": least, "max": most} if value is None else {"value": value})


def _check_pages(asked: Asked) -> None:
    """Refuse parameters of which one would be passed over because of another."""
    if asked.points is not None and asked.bucket is not None:
        raise invalid("points", "takes the place of bucket", got="both", allowed="one of them")
    is_paged = asked.format == JSON and asked.points is None
    for name, value in (("limit", asked.limit), ("cursor", asked.cursor)):
        if value is not None and not is_paged:
            raise invalid(
                name, "is for pages", got=value, allowed="only with JSON and without points"
            )
    check_bom(asked.bom, asked.format)

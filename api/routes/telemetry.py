"""/devices/{device}/telemetry: readings over time, raw or in buckets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from api import cursors
from api.documentation import documented
from api.parameters import Cursor, From, To, check_order, listed
from api.platform import Platform, PlatformNow, find_device
from api.problems import invalid, unknown
from api.times import EXAMPLE, TimeOut, iso
from devices.kinds import KINDS
from storage.ledger.inventory import DeviceRow
from storage.ledger.series import device_series
from storage.series.levels import LEVELS_MS

router = APIRouter(tags=["telemetry"])

HOUR_MS = 3_600_000
MOST_BUCKETS = 20_000  # of one answer, all metrics together
MOST_PIECES = 200_000  # stored rows that one answer may be made from: about a second
AGGREGATES = ("count", "min", "max", "mean", "last", "coverage")
BUCKET = re.compile(r"([1-9][0-9]{0,5})([smhd])")
UNIT_MS = {"s": 1000, "m": 60_000, "h": HOUR_MS, "d": 24 * HOUR_MS}


class Point(BaseModel):
    """A reading, or a bucket that begins at `at` with the aggregates that were asked for."""

    model_config = ConfigDict(extra="forbid")

    metric: str
    at: TimeOut
    received_at: TimeOut | None = None
    value: float | None = None
    count: int | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    last: float | None = None
    coverage: float | None = None


class Telemetry(BaseModel):
    """A page of readings, by metric and then time. A bucket without a reading is left out."""

    device: str
    start: TimeOut
    end: TimeOut
    items: list[Point]
    next: str | None


@dataclass(frozen=True)
class Question:
    """What was asked: [from_ms, to_ms) of some series, by number; after: end of the last page."""

    device: DeviceRow
    numbers: dict[int, str]
    from_ms: int
    to_ms: int
    limit: int
    after: tuple[int, int] | None


TELEMETRY_EXAMPLE = {
    "device": "probe-0042",
    "start": "2026-10-05T01:00:00.000Z",
    "end": "2026-10-05T02:00:00.000Z",
    "items": [{"metric": "nat_rtt_p50_ms", "at": EXAMPLE, "mean": 21.4, "coverage": 1.0}],
    "next": None,
}


@router.get(
    "/devices/{device}/telemetry",
    response_model=Telemetry,
    responses=documented(TELEMETRY_EXAMPLE, 404),
)
def telemetry(
    request: Request,
    platform: PlatformNow,
    device: str,
    from_: From = None,
    to: To = None,
    metric: Annotated[list[str], Query(description="names, default all")] = [],  # noqa: B006
    bucket: Annotated[
        str | None, Query(description="like 30s, 5m, 1h, 1d; without it: raw readings")
    ] = None,
    agg: Annotated[list[str], Query(description="of each bucket, default all")] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=10_000, description="items a page")] = 1000,
    cursor: Cursor = None,
) -> Response:
    """Readings from `from` (default: an hour before `to`) up to `to` (default: now).

    `metric` and `agg` may be repeated or separated by commas. Buckets of whole days begin at local
    midnight (UTC+7), others at multiples of their length since 1970 UTC; the first and the last
    one are whole. coverage is the share of the expected rounds that came.
    """
    row = find_device(platform, device)
    end_ms = platform.now_ms() if to is None else to
    start_ms = end_ms - HOUR_MS if from_ is None else from_
    after = None
    if cursor is not None:
        start_ms, end_ms, *after = cursors.decode(request, cursor, (int, int, int, int))
    check_order(start_ms, end_ms)
    numbers = _numbers(platform, row, listed(metric))
    question = Question(row, numbers, start_ms, end_ms, limit, tuple(after) if after else None)
    bucket_ms = _bucket_ms(bucket)
    aggregates = _aggregates(listed(agg), bucket)
    if bucket_ms is None:
        items, last = _raw(platform, question)
    else:
        items, last = _buckets(platform, question, bucket_ms, aggregates)
    answer = {
        "device": device,
        "start": iso(start_ms),
        "end": iso(end_ms),
        "items": items,
        "next": cursors.encode(request, (start_ms, end_ms, *last)) if last else None,
    }
    return Response(msgspec.json.encode(answer), media_type="application/json")


Answer = tuple[list[dict[str, Any]], tuple[int, int] | None]


def _raw(platform: Platform, q: Question) -> Answer:
    rows = platform.series.rows(
        list(q.numbers), q.from_ms, q.to_ms, limit=q.limit + 1, after=q.after
    )
    items = [
        {
            "metric": q.numbers[row.series],
            "at": iso(row.at_ms),
            "received_at": iso(row.received_ms),
            "value": row.value,
        }
        for row in rows[: q.limit]
    ]
    more = len(rows) > q.limit
    return items, (rows[q.limit - 1].series, rows[q.limit - 1].at_ms) if more else None


def _buckets(platform: Platform, q: Question, bucket_ms: int, aggregates: list[str]) -> Answer:
    interval_ms = max(1, round(q.device.interval_s * 1000))
    most_pieces = min(MOST_PIECES, platform.limits.stored_rows)
    _check_cost(q, bucket_ms, interval_ms, most_pieces)
    numbers = [number for number in q.numbers if q.after is None or number >= q.after[0]]
    found = platform.series.buckets(
        numbers, q.from_ms, q.to_ms, bucket_ms=bucket_ms, interval_ms=interval_ms
    )
    rows = [row for row in found if q.after is None or (row.series, row.start_ms) > q.after]
    items = [
        {
            "metric": q.numbers[row.series],
            "at": iso(row.start_ms),
            **{name: getattr(row, name) for name in aggregates},
        }
        for row in rows[: q.limit]
    ]
    more = len(rows) > q.limit
    return items, (rows[q.limit - 1].series, rows[q.limit - 1].start_ms) if more else None


def _numbers(platform: Platform, device: DeviceRow, metrics: list[str]) -> dict[int, str]:
    """Series of the metrics, or of all, by number; metrics that never reported have none."""
    possible = KINDS[device.kind].metrics
    for name in metrics:
        if name not in possible:
            raise unknown("metric", name, possible)
    numbers = device_series(platform.ledger, device.device)
    return {number: name for name, number in numbers.items() if not metrics or name in metrics}


def _bucket_ms(bucket: str | None) -> int | None:
    if bucket is None:
        return None
    match = BUCKET.fullmatch(bucket)
    if match is None:
        raise invalid(
            "bucket", "is no length of time", got=bucket, allowed="a number and s, m, h or d: 5m"
        )
    return int(match[1]) * UNIT_MS[match[2]]


def _aggregates(names: list[str], bucket: str | None) -> list[str]:
    for name in names:
        if name not in AGGREGATES:
            raise unknown("agg", name, AGGREGATES)
    if names and bucket is None:
        raise invalid("agg", "needs a bucket", got=",".join(names), allowed="bucket=5m&agg=mean")
    return names or list(AGGREGATES)


def _check_cost(q: Question, bucket_ms: int, interval_ms: int, most_pieces: int) -> None:
    span_ms = q.to_ms - q.from_ms
    buckets = (span_ms // bucket_ms + 2) * len(q.numbers)
    fitting = [level_ms for level_ms in LEVELS_MS if bucket_ms % level_ms == 0]
    pieces = span_ms // max([interval_ms, *fitting]) * len(q.numbers)
    if buckets > MOST_BUCKETS:
        raise invalid(
            "bucket",
            "is too short for this range and these metrics",
            got=f"{buckets} buckets",
            allowed=f"at most {MOST_BUCKETS}: a longer bucket, a shorter range, fewer metrics",
        )
    if pieces > most_pieces:
        raise invalid(
            "bucket",
            "would be made from too many stored rows",
            got=f"{pieces} rows",
            allowed=f"at most {most_pieces}: a bucket in whole 5m, 1h or 1d, or a shorter range",
        )

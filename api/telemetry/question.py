"""What is asked of telemetry: which series, which time, how finely, and what that may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.platform import Platform
from api.problems import ProblemError, invalid, unknown
from api.telemetry.resolution import (
    AUTO,
    AUTO_BUCKETS,
    bucket_length_ms,
    fitting_length_ms,
    whole_buckets,
)
from devices.kinds import KINDS
from storage.ledger.inventory import DeviceRow
from storage.ledger.series import series_of
from storage.series.levels import LEVELS_MS

MOST_BUCKETS = 20_000  # of one answer: series x buckets
MOST_EXPORTED = 5_000_000  # readings that one answer may stream
MOST_DEVICES = 100
MOST_SERIES = 1000
MOST_POINTS = 5000
AGGREGATES = ("count", "min", "max", "mean", "last", "coverage")
P95 = "p95"  # only where it is asked for: it is made of raw readings


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one device, and how often the device reports."""

    number: int
    device: str
    metric: str
    interval_ms: int


@dataclass(frozen=True)
class Question:
    """[from_ms, to_ms) of some series, in order of number: raw, in buckets, or in chart columns."""

    series: Sequence[Series]
    from_ms: int
    to_ms: int
    bucket_ms: int | None = None
    aggregates: Sequence[str] = ()
    points: int | None = None


def find_series(
    platform: Platform, devices: Sequence[DeviceRow], metrics: Sequence[str]
) -> list[Series]:
    """Series of the metrics, or of all, in order of number; what never reported has none.

    Raises a 422 for a metric that none of the devices could have.
    """
    possible = {name for device in devices for name in KINDS[device.kind].metrics}
    for name in metrics:
        if name not in possible:
            raise unknown("metric", name, possible)
    by_name = {device.device: max(1, round(device.interval_s * 1000)) for device in devices}
    found = [
        Series(number, device, metric, by_name[device])
        for number, device, metric in series_of(platform.ledger, list(by_name))
        if not metrics or metric in metrics
    ]
    if len(found) > MOST_SERIES:
        raise invalid(
            "device",
            "and metric together are too many series",
            got=f"{len(found)} series",
            allowed=f"at most {MOST_SERIES}: fewer devices, or fewer metrics",
        )
    return found


def aggregates_of(names: Sequence[str], bucket: str | None) -> list[str]:
    """The aggregates that are asked for, or all that roll-ups hold."""
    for name in names:
        if name not in (*AGGREGATES, P95):
            raise unknown("agg", name, (*AGGREGATES, P95))
    if names and bucket is None:
        raise invalid("agg", "needs a bucket", got=",".join(names), allowed="bucket=5m&agg=mean")
    return list(names or AGGREGATES)


def bucket_of(bucket: str, series: Sequence[Series], from_ms: int, to_ms: int) -> int:
    """The length of a bucket in ms, as stated; `auto`: at most 500, none under an interval."""
    if bucket != AUTO:
        return bucket_length_ms(bucket)
    most = max(2, min(AUTO_BUCKETS, MOST_BUCKETS // max(1, len(series))))
    least_ms = max((one.interval_ms for one in series), default=0)
    return fitting_length_ms(from_ms, to_ms, most, least_ms=least_ms)


def check_cost(q: Question, most_rows: int) -> None:
    """Refuse a question whose answer is too large, or made of more than `most_rows` stored rows."""
    if q.points is not None:
        _check_points(q, q.points, most_rows)
    elif q.bucket_ms is not None:
        _check_buckets(q, q.bucket_ms, most_rows)


def check_export(q: Question) -> None:
    """Refuse to stream more readings than one answer may hold, by how often devices report."""
    readings = sum((q.to_ms - q.from_ms) // one.interval_ms for one in q.series)
    if readings > MOST_EXPORTED:
        raise invalid(
            "from",
            "makes the range too long for these devices and metrics",
            got=f"{readings} readings",
            allowed=f"at most {MOST_EXPORTED}: a shorter range, fewer devices or metrics, a bucket",
        )


def _check_buckets(q: Question, bucket_ms: int, most_rows: int) -> None:
    each = whole_buckets(q.from_ms, q.to_ms, bucket_ms)
    if each * len(q.series) > MOST_BUCKETS:
        raise _too_short(
            f"{_shape(q)} x {each} buckets = {each * len(q.series)} buckets",
            f"at most {MOST_BUCKETS}: a longer bucket, a shorter range, fewer devices or metrics",
        )
    pieces = _pieces(q, bucket_ms, levels=() if P95 in q.aggregates else LEVELS_MS)
    if pieces > most_rows:
        raise invalid(
            "bucket",
            "would be made from too many stored rows",
            got=f"{pieces} rows",
            allowed=f"at most {most_rows}: a bucket in whole 5m, 1h or 1d without p95, or a"
            " shorter range",
        )


def _check_points(q: Question, points: int, most_rows: int) -> None:
    if points * len(q.series) > MOST_BUCKETS:
        raise invalid(
            "points",
            "are too many for these devices and metrics",
            got=f"{_shape(q)} x {points} points = {points * len(q.series)} points",
            allowed=f"at most {MOST_BUCKETS}: fewer points, devices or metrics",
        )
    pieces = _pieces(q, fitting_length_ms(q.from_ms, q.to_ms, points), levels=LEVELS_MS)
    if pieces > most_rows:
        raise invalid(
            "points",
            "would be made from too many stored rows",
            got=f"{pieces} rows",
            allowed=f"at most {most_rows}: fewer points, devices or metrics, or a shorter range",
        )


def _pieces(q: Question, bucket_ms: int, *, levels: Sequence[int]) -> int:
    """Stored rows that buckets are made from, where the coarsest level that fits is used."""
    fitting = [level_ms for level_ms in levels if bucket_ms % level_ms == 0]
    span_ms = q.to_ms - q.from_ms
    return sum(span_ms // max([one.interval_ms, *fitting]) for one in q.series)


def _shape(q: Question) -> str:
    devices = {one.device for one in q.series}
    return f"{len(q.series)} series of {len(devices)} devices"


def _too_short(got: str, allowed: str) -> ProblemError:
    return invalid(
        "bucket", "is too short for this range, devices and metrics", got=got, allowed=allowed
    )

"""InfluxQL that 1.x, 2.x and 3 all answer: one statement a question.

Identifiers come from the table of metrics, times are RFC 3339 literals that we make of integers,
and every other value is a bind parameter.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from storage.influx.lines import LAG, SeriesName, known_kind, known_metric, tag_value
from storage.series.levels import DAY_MS, HOUR_MS, RAW

AGGREGATES = ("count", "min", "max", "mean", "last")
LEAST = -sys.float_info.max  # every stored value is finite


def values_of(name: SeriesName) -> dict[str, object]:
    """The bind parameters of a question about a series."""
    return {"device": tag_value(name.device), "least": LEAST}


def newest(name: SeriesName) -> str:
    """The newest reading of a series: time, value."""
    return f"{_select(name)} WHERE {_is_series(name)} ORDER BY time DESC LIMIT 1"


def readings(
    name: SeriesName, from_ms: int, to_ms: int, limit: int, *, newest_first: bool = False
) -> str:
    """Readings of a series in [from_ms, to_ms), in order: time, value, lag."""
    order = "time DESC" if newest_first else "time"
    return (
        f"{_select(name)} WHERE {_is_series(name)} AND {between(from_ms, to_ms)}"
        f" ORDER BY {order} LIMIT {int(limit)}"
    )


def buckets(
    name: SeriesName, from_ms: int, to_ms: int, *, bucket_ms: int, local_offset_ms: int
) -> str:
    """Buckets of raw readings, those that hold any: time, count, min, max, mean, last."""
    field = quoted(known_metric(name.kind, name.metric))
    columns = ", ".join(f"{one}({field}) AS {quoted(one)}" for one in AGGREGATES)
    return (
        f"SELECT {columns} FROM {_from(name.kind)}"
        f" WHERE {quoted('device')} = $device AND {between(from_ms, to_ms)}"
        f" GROUP BY {_by_time(bucket_ms, local_offset_ms)} fill(none)"
    )


def rolled(name: SeriesName, from_ms: int, to_ms: int) -> str:
    """Rows of a roll-up: time, count, min, max, mean, last."""
    columns = [f"{quoted(rolled_field(name, one))} AS {quoted(one)}" for one in AGGREGATES]
    count = quoted(rolled_field(name, "count"))
    return (
        f"SELECT {', '.join(columns)} FROM {_from(name.kind)}"
        f" WHERE {quoted('device')} = $device AND {count} >= $least AND {between(from_ms, to_ms)}"
        " ORDER BY time"
    )


def rolled_field(name: SeriesName, aggregate: str) -> str:
    """The field of a roll-up that holds an aggregate of a series."""
    return f"{known_metric(name.kind, name.metric)}_{aggregate}"


def between(from_ms: int, to_ms: int) -> str:
    """The times in [from_ms, to_ms)."""
    return f"time >= '{_time(from_ms)}' AND time < '{_time(to_ms)}'"


def quoted(identifier: str) -> str:
    """An identifier in quotation marks. Raises ValueError for one that no table of ours holds."""
    if not identifier.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"{identifier!r} is no name of ours")
    return f'"{identifier}"'


def _select(name: SeriesName) -> str:
    field = quoted(known_metric(name.kind, name.metric))
    return f"SELECT {field} AS {quoted('value')}, {quoted(LAG)} FROM {_from(name.kind)}"


def _from(kind: str) -> str:
    return quoted(known_kind(kind))


def _is_series(name: SeriesName) -> str:
    """Of the rounds of a device, those that hold the metric."""
    field = quoted(known_metric(name.kind, name.metric))
    return f"{quoted('device')} = $device AND {field} >= $least"


def _by_time(bucket_ms: int, local_offset_ms: int) -> str:
    offset_ms = -local_offset_ms % bucket_ms
    return f"time({bucket_ms}ms, {offset_ms}ms)"


def _time(at_ms: int) -> str:
    seconds, ms = divmod(at_ms, 1000)
    stated = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stated}.{ms:03d}Z"


def samples() -> list[tuple[int, str]]:
    """(level, question) of every form, about a device that there is not."""
    name = SeriesName("connectivity-probe", "dns_ms", "LA-VT", "none", "none", 60_000)
    return [
        (RAW, newest(name)),
        (RAW, readings(name, 0, DAY_MS, 1)),
        (RAW, readings(name, 0, DAY_MS, 1, newest_first=True)),
        (RAW, buckets(name, 0, DAY_MS, bucket_ms=DAY_MS, local_offset_ms=HOUR_MS)),
        (DAY_MS, rolled(name, 0, DAY_MS)),
    ]


def sample_values() -> dict[str, object]:
    """The bind parameters of `samples`."""
    return {"device": "none", "least": LEAST}

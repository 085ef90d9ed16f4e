"""The rows that answer a question about telemetry, read from the store as they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from api.tables import Type
from api.telemetry.question import P95, Question, Series
from api.telemetry.resolution import fitting_length_ms
from storage.series.store import SeriesStore

PAGE = 10_000  # readings that are in memory at once
SERIES: dict[str, Type] = {"device": "label", "metric": "label", "at": "time"}
RAW: dict[str, Type] = {**SERIES, "received_at": "time", "value": "number"}
CHART: dict[str, Type] = {**SERIES, "value": "number", "min": "number", "max": "number"}

Place = tuple[int, int]  # series number and time of a row
Found = tuple[Place, tuple[Any, ...]]  # a row of the columns, and where it is


def columns_of(q: Question) -> dict[str, Type]:
    """Names and types of the columns of the answer."""
    if q.points is not None:
        return CHART
    if q.bucket_ms is None:
        return RAW
    return {**SERIES, **{name: "count" if name == "count" else "number" for name in q.aggregates}}


def batches_of(
    store: SeriesStore, q: Question, *, after: Place | None = None, page: int = PAGE
) -> Iterator[list[Found]]:
    """Rows by series and time, behind the place `after`, in batches.

    page: raw readings a batch; of buckets and charts a batch is one series.
    """
    if q.points is not None:
        for one in q.series:
            yield list(_chart(store, q, one, q.points))
    elif q.bucket_ms is None:
        yield from _raw(store, q, after, page)
    else:
        for one in q.series:
            if after is None or one.number >= after[0]:
                found = _buckets(store, q, one, q.bucket_ms)
                yield [row for row in found if after is None or row[0] > after]


def _raw(store: SeriesStore, q: Question, after: Place | None, page: int) -> Iterator[list[Found]]:
    by_number = {one.number: one for one in q.series}
    while True:
        rows = store.rows(by_number, q.from_ms, q.to_ms, limit=page, after=after)
        yield [
            (
                (row.series, row.at_ms),
                (
                    by_number[row.series].device,
                    by_number[row.series].metric,
                    row.at_ms,
                    row.received_ms,
                    row.value,
                ),
            )
            for row in rows
        ]
        if len(rows) < page:
            return
        after = rows[-1].series, rows[-1].at_ms


def _buckets(store: SeriesStore, q: Question, one: Series, bucket_ms: int) -> list[Found]:
    rows = store.buckets(
        [one.number],
        q.from_ms,
        q.to_ms,
        bucket_ms=bucket_ms,
        interval_ms=one.interval_ms,
        p95=P95 in q.aggregates,
    )
    return [
        (
            (row.series, row.start_ms),
            (one.device, one.metric, row.start_ms, *(getattr(row, a) for a in q.aggregates)),
        )
        for row in rows
    ]


def _chart(store: SeriesStore, q: Question, one: Series, points: int) -> Iterator[Found]:
    """All readings where they are no more than the points; else the first reading, the extremes
    of each column of pixels, and the last reading."""
    if (q.to_ms - q.from_ms) // one.interval_ms <= points:
        rows = store.rows([one.number], q.from_ms, q.to_ms, limit=points + 1)
        if len(rows) <= points:
            yield from (_reading(one, row.at_ms, row.value) for row in rows)
            return
    column_ms = fitting_length_ms(q.from_ms, q.to_ms, points)
    columns = store.buckets(
        [one.number], q.from_ms, q.to_ms, bucket_ms=column_ms, interval_ms=one.interval_ms
    )
    edges = store.edges([one.number], q.from_ms, q.to_ms).get(one.number)
    # A whole column before the first raw reading is left of readings that are deleted.
    if edges and not any(
        q.from_ms <= column.start_ms <= edges[0].at_ms - column_ms for column in columns
    ):
        yield _reading(one, edges[0].at_ms, edges[0].value)
    for column in columns:
        place = column.series, column.start_ms
        yield place, (one.device, one.metric, column.start_ms, None, column.min, column.max)
    if edges:
        yield _reading(one, edges[1].at_ms, edges[1].value)


def _reading(one: Series, at_ms: int, value: float) -> Found:
    return (one.number, at_ms), (one.device, one.metric, at_ms, value, None, None)


def flat(batches: Iterator[list[Found]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Rows without their places, in batches of a page or more; the last one may be smaller."""
    rows: list[tuple[Any, ...]] = []
    for batch in batches:
        rows += [row for _, row in batch]
        if len(rows) >= PAGE:
            yield rows
            rows = []
    if rows:
        yield rows

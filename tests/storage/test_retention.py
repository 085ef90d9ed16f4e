"""Retention: old levels go, nothing that was ever stored is lost from the level above."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.series.levels import DAY_MS, FIVE_MINUTES_MS, HOUR_MS
from storage.series.retention import Retention
from storage.series.roll_ups import Bucket
from storage.series.sqlite import SqliteSeries
from tests.storage.test_series import BASE, Reading, readings

KEEP = Retention(raw_days=10, five_minute_days=20, hour_days=30)
MIDNIGHT = (BASE + 7 * HOUR_MS) // DAY_MS * DAY_MS - 7 * HOUR_MS
SERIES = range(5)
LEVELS = (1000, FIVE_MINUTES_MS, HOUR_MS, DAY_MS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteSeries]:
    """An empty store."""
    opened = SqliteSeries.open(tmp_path / "series.db")
    yield opened
    opened.close()


def write(store: SqliteSeries, *rows: Reading) -> None:
    """Store readings and roll everything up."""
    store.write(readings(list(rows)), first=0, last=1)
    while store.roll_up(MIDNIGHT + 1000 * DAY_MS, budget_s=1):
        pass


def retain(store: SqliteSeries, now_ms: int, keep: Retention = KEEP) -> int:
    """Delete all that may go; how many rows."""
    return store.retain(now_ms, keep, budget_s=60)


def buckets(store: SqliteSeries, bucket_ms: int) -> list[Bucket]:
    """Every bucket of the store."""
    from_ms, to_ms = MIDNIGHT - 100 * DAY_MS, MIDNIGHT + 100 * DAY_MS
    if bucket_ms == 1000:
        to_ms = from_ms + 200 * DAY_MS
    return store.buckets(SERIES, from_ms, to_ms, bucket_ms=bucket_ms, interval_ms=60_000)


def counts(store: SqliteSeries) -> list[int]:
    """Readings that are known of at each level, the finest first."""
    return [sum(bucket.count for bucket in buckets(store, level)) for level in LEVELS]


def test_each_level_is_kept_for_its_time(store: SqliteSeries) -> None:
    """Raw readings go first, then 5 minutes, then hours; days stay."""
    write(store, (1, MIDNIGHT, 1.0), (1, MIDNIGHT + 1000, 2.0), (2, MIDNIGHT, 3.0))
    seen = []
    for age in (9, 11, 21, 32, 5000):
        retain(store, MIDNIGHT + age * DAY_MS)
        seen.append(counts(store))
    assert seen == [[3, 3, 3, 3], [0, 3, 3, 3], [0, 0, 3, 3], [0, 0, 0, 3], [0, 0, 0, 3]]


def test_what_is_young_enough_stays(store: SqliteSeries) -> None:
    """The bound runs between readings, not between series or days."""
    write(store, *((n, MIDNIGHT + day * DAY_MS, 1.0) for n in SERIES for day in range(20)))
    assert retain(store, MIDNIGHT + 20 * DAY_MS) == 5 * 10
    assert {row.at_ms for row in store.rows(SERIES, 0, 2 * BASE, limit=1000)} == {
        MIDNIGHT + day * DAY_MS for day in range(10, 20)
    }


def test_a_coarser_level_is_kept_as_long_as_the_finer(store: SqliteSeries) -> None:
    """Settings that would delete roll-ups before their raw readings do not."""
    write(store, (1, MIDNIGHT, 1.0))
    assert retain(store, MIDNIGHT + 15 * DAY_MS, Retention(20, 1, 1)) == 0
    assert counts(store) == [1, 1, 1, 1]


@pytest.mark.parametrize("age_days", [11, 21, 32])
def test_late_readings_are_added_to_what_is_left(store: SqliteSeries, age_days: int) -> None:
    """Backfill older than a level's time corrects the levels that are kept, before and after."""
    write(store, (1, MIDNIGHT, 1.0), (1, MIDNIGHT + 60_000, 5.0))
    retain(store, MIDNIGHT + age_days * DAY_MS)
    store.write(readings([(1, MIDNIGHT + 30_000, 9.0)]), first=1, last=2)
    (unrolled,) = buckets(store, DAY_MS)
    assert (unrolled.count, unrolled.min, unrolled.max, unrolled.mean) == (3, 1.0, 9.0, 5.0)
    store.roll_up(MIDNIGHT + age_days * DAY_MS, budget_s=1)
    assert buckets(store, DAY_MS) == [unrolled]


def test_p95_is_unknown_where_readings_are_deleted(store: SqliteSeries) -> None:
    """A roll-up does not hold it, and what came late is no bucket; all else stays."""
    write(store, (1, MIDNIGHT, 1.0), (1, MIDNIGHT + DAY_MS, 2.0), (1, MIDNIGHT + DAY_MS + 1, 5.0))
    retain(store, MIDNIGHT + 11 * DAY_MS)
    store.write(readings([(1, MIDNIGHT + 30_000, 9.0)]), first=1, last=2)
    found = store.buckets(
        [1], MIDNIGHT, MIDNIGHT + 2 * DAY_MS, bucket_ms=DAY_MS, interval_ms=60_000, p95=True
    )
    assert [(bucket.count, bucket.max, bucket.p95) for bucket in found] == [
        (2, 9.0, None),
        (2, 5.0, 5.0),
    ]


def test_very_late_readings_are_rolled_up_before_anything_goes(store: SqliteSeries) -> None:
    """Nothing is deleted while a reading waits for its roll-up in the time that may go."""
    write(store, (1, MIDNIGHT + DAY_MS, 1.0))
    store.write(readings([(1, MIDNIGHT, 2.0)]), first=1, last=2)
    later = MIDNIGHT + 40 * DAY_MS
    assert retain(store, later) == 0
    store.roll_up(later, budget_s=1)
    assert retain(store, later) > 0
    assert counts(store)[3] == 2


def test_a_walk_waits_for_readings_that_come_meanwhile(store: SqliteSeries) -> None:
    """Backfill into the time that is being deleted is rolled up before its series is reached."""
    write(store, (1, MIDNIGHT, 1.0), (2, MIDNIGHT, 1.0))
    later = MIDNIGHT + 11 * DAY_MS
    assert store.retain(later, KEEP, budget_s=0) == 1
    store.write(readings([(2, MIDNIGHT - DAY_MS, 2.0)]), first=1, last=2)
    assert retain(store, later) == 0
    store.roll_up(later, budget_s=1)
    assert retain(store, later) == 2
    assert counts(store)[3] == 3


def test_a_walk_goes_on_where_its_budget_ended(store: SqliteSeries) -> None:
    """Each call makes some progress, and together they delete all."""
    write(store, *((n, MIDNIGHT, 1.0) for n in SERIES))
    deleted = [store.retain(MIDNIGHT + 11 * DAY_MS, KEEP, budget_s=0) for _ in range(7)]
    assert deleted == [1, 1, 1, 1, 1, 0, 0]


def test_a_walk_begins_anew_after_an_hour(store: SqliteSeries) -> None:
    """What grows too old after a walk goes with a later one, and not before an hour."""
    write(store, *((1, MIDNIGHT + n * HOUR_MS // 2, 1.0) for n in range(5)))
    ages = [n * HOUR_MS // 4 for n in range(1, 10)]
    deleted = [retain(store, MIDNIGHT + 10 * DAY_MS + age) for age in ages]
    assert deleted == [1, 0, 0, 0, 2, 0, 0, 0, 2]


steps_strategy = st.lists(
    st.one_of(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.integers(-45 * 24 * 12, 0),
                st.floats(-1e3, 1e3).map(lambda x: round(x, 3)),
            ),
            min_size=1,
            max_size=12,
        ),
        st.sampled_from(["roll up", "retain", "a day", "restart"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps=steps_strategy)
def test_days_know_every_reading_for_ever(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[int, int, float]] | str]
) -> None:
    """Whatever is written, rolled up and deleted in any order: each day counts all its readings."""
    path = tmp_path_factory.mktemp("retention") / "series.db"
    store = SqliteSeries.open(path)
    wanted: dict[tuple[int, int], list[float]] = {}
    now_ms = MIDNIGHT
    for number, step in enumerate(steps):
        if step == "roll up":
            store.roll_up(now_ms, budget_s=1)
        elif step == "retain":
            retain(store, now_ms)
        elif step == "a day":
            now_ms += DAY_MS
        elif step == "restart":
            store.close()
            store = SqliteSeries.open(path)
        elif not isinstance(step, str):
            # No identity twice: whether one was stored is unknown once raw readings are gone.
            rows = [
                (series, now_ms + ago * FIVE_MINUTES_MS - 60 * number - n, value)
                for n, (series, ago, value) in enumerate(step)
            ]
            store.write(readings(rows), first=number, last=number + 1)
            for series, at_ms, value in rows:
                day = (at_ms + 7 * HOUR_MS) // DAY_MS * DAY_MS - 7 * HOUR_MS
                wanted.setdefault((series, day), []).append(value)
    found = buckets(store, DAY_MS)
    assert {(b.series, b.start_ms): b.count for b in found} == {
        day: len(values) for day, values in wanted.items()
    }
    for bucket in found:
        values = wanted[bucket.series, bucket.start_ms]
        assert (bucket.min, bucket.max) == (min(values), max(values))
        assert bucket.mean == pytest.approx(sum(values) / len(values), abs=1e-6)
    store.close()

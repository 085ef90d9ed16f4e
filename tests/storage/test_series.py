"""The series store: identity, exactly-once batches, reads, roll-ups and retention."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.readings import Readings
from storage.series.file import SeriesError
from storage.series.levels import DAY_MS, FIVE_MINUTES_MS, HOUR_MS
from storage.series.retention import Retention
from storage.series.sqlite import SqliteSeries

BASE = 1_790_000_000_000
LOCAL_MS = 7 * HOUR_MS
Reading = tuple[int, int, float]


def readings(rows: list[Reading]) -> Readings:
    return Readings.of(
        [series for series, _, _ in rows],
        [at for _, at, _ in rows],
        [at + 500 for _, at, _ in rows],
        [value for _, _, value in rows],
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteSeries]:
    store = SqliteSeries.open(tmp_path / "series.db")
    yield store
    store.close()


def everything(store: SqliteSeries, count: int = 20) -> dict[tuple[int, int], float]:
    rows = store.rows(range(count), 0, 2 * BASE, limit=10**6)
    return {(row.series, row.at_ms): row.value for row in rows}


def test_what_is_written_is_read_back_with_its_receive_time(store: SqliteSeries) -> None:
    """A reading keeps value, event time and receive time."""
    assert store.write(readings([(3, BASE, 1.5)]), first=0, last=1).tolist() == [True]
    (row,) = store.rows([3], BASE, BASE + 1, limit=10)
    assert row == (3, BASE, 1.5, BASE + 500)
    assert store.latest([3, 4]) == {3: (BASE, 1.5)}


def test_the_same_identity_replaces_the_value(store: SqliteSeries) -> None:
    """A repeated (series, time) is no new reading, and its last value stays."""
    assert store.write(readings([(1, BASE, 1.0)]), first=0, last=1).tolist() == [True]
    again = readings([(1, BASE, 2.0), (1, BASE + 1, 5.0), (1, BASE + 1, 6.0)])
    assert store.write(again, first=1, last=4).tolist() == [False, True, False]
    assert everything(store) == {(1, BASE): 2.0, (1, BASE + 1): 6.0}


def test_a_batch_that_is_written_again_gives_the_same_answer(tmp_path: Path) -> None:
    """After a crash behind write() the same batch is still told to be new, once, and only it."""
    batch = readings([(1, BASE, 1.0), (1, BASE, 1.0), (2, BASE, 3.0)])
    store = SqliteSeries.open(tmp_path / "series.db")
    store.write(readings([(2, BASE, 0.0)]), first=0, last=1)
    new = store.write(batch, first=1, last=4).tolist()
    store.close()
    store = SqliteSeries.open(tmp_path / "series.db")
    applied = store.applied()
    assert applied is not None
    assert (applied.first, applied.last) == (1, 4)
    assert store.write(batch, first=1, last=4).tolist() == new == [True, False, False]
    assert store.write(batch, first=4, last=7).tolist() == [False, False, False]
    store.close()


def test_other_readings_under_the_same_positions_are_written(store: SqliteSeries) -> None:
    """Only the very batch that was written last is taken for itself."""
    store.write(readings([(1, BASE, 1.0)]), first=1, last=2)
    assert store.write(readings([(2, BASE, 1.0)]), first=1, last=2).tolist() == [True]
    assert store.write(readings([(2, BASE, 1.0)]), first=2, last=3).tolist() == [False]
    assert everything(store) == {(1, BASE): 1.0, (2, BASE): 1.0}


def test_a_kill_leaves_whole_batches(tmp_path: Path) -> None:
    """A writer killed at any moment leaves each batch whole, and knows which was its last."""
    code = (
        "from tests.storage.test_series import *\n"
        f"store = SqliteSeries.open(Path({str(tmp_path / 'series.db')!r}))\n"
        "for n in range(100_000):\n"
        "    store.write(readings(kill_batch(n)), first=n, last=n + 1)\n"
        "    print(n, flush=True)\n"
    )
    told = -1
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        for line in writer.stdout:
            told = int(line)
            if told == 30:
                writer.kill()
    store = SqliteSeries.open(tmp_path / "series.db")
    applied = store.applied()
    assert applied is not None
    assert told <= applied.first <= told + 1
    wanted = [key[:2] for n in range(applied.last) for key in kill_batch(n)]
    assert sorted(everything(store, 50)) == sorted(wanted)
    assert store.roll_up(BASE + DAY_MS, budget_s=5) == 50
    store.close()


def kill_batch(number: int) -> list[Reading]:
    """One of the batches that the killed process writes."""
    return [(series, BASE + number, float(number)) for series in range(50)]


rows_strategy = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 30).map(lambda n: BASE + n * 1000),
        st.floats(-1e6, 1e6),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=st.lists(rows_strategy, max_size=5))
def test_any_batches_give_what_a_dictionary_gives(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Reading]]
) -> None:
    """Order, repetition and batching do not matter: identity decides, the last value stays."""
    store = SqliteSeries.open(tmp_path_factory.mktemp("series") / "series.db")
    known: dict[tuple[int, int], float] = {}
    for number, rows in enumerate(batches):
        new = store.write(readings(rows), first=number, last=number + 1)
        for (series, at, value), fresh in zip(rows, new.tolist(), strict=True):
            assert fresh == ((series, at) not in known)
            known[series, at] = value
    assert everything(store) == known
    store.close()


def test_pages_follow_each_other_without_gap_or_repetition(store: SqliteSeries) -> None:
    """Walking with `after` visits every row once, in order of series and time."""
    rows = [(series, BASE + n, float(n)) for series in (2, 5, 9) for n in range(7)]
    store.write(readings(rows), first=0, last=1)
    found, after = [], None
    while page := store.rows([9, 2, 5], 0, 2 * BASE, limit=4, after=after):
        found += [(row.series, row.at_ms) for row in page]
        after = found[-1]
    assert found == [(series, at) for series, at, _ in rows]


def wanted_buckets(
    rows: dict[tuple[int, int], float], bucket_ms: int
) -> dict[tuple[int, int], list[float]]:
    offset = LOCAL_MS if bucket_ms % DAY_MS == 0 else 0
    found: dict[tuple[int, int], list[float]] = {}
    for (series, at), value in sorted(rows.items()):
        start = (at + offset) // bucket_ms * bucket_ms - offset
        found.setdefault((series, start), []).append(value)
    return found


@pytest.mark.parametrize(
    "bucket_ms", [30_000, FIVE_MINUTES_MS, 900_000, HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS]
)
def test_buckets_equal_those_of_raw_readings(store: SqliteSeries, bucket_ms: int) -> None:
    """Rolled up, half rolled up or with late data: a bucket is what its raw readings say."""
    rng = random.Random(bucket_ms)
    rows: dict[tuple[int, int], float] = {}
    now_ms = BASE
    for step in range(12):
        batch = [
            (rng.randrange(3), now_ms + rng.randrange(-3 * DAY_MS, 0), rng.uniform(-5, 5))
            for _ in range(150)
        ]
        rows.update({(series, at): value for series, at, value in batch})
        store.write(readings(batch), first=step, last=step + 1)
        if step % 3:
            store.roll_up(now_ms, budget_s=10)
        now_ms += 2 * HOUR_MS
        wanted = wanted_buckets(rows, bucket_ms)
        found = store.buckets(
            [0, 1, 2], BASE - 5 * DAY_MS, BASE + 5 * DAY_MS, bucket_ms=bucket_ms, interval_ms=60_000
        )
        assert {(b.series, b.start_ms) for b in found} == set(wanted)
        for bucket in found:
            values = wanted[bucket.series, bucket.start_ms]
            assert bucket.count == len(values)
            assert (bucket.min, bucket.max, bucket.last) == (min(values), max(values), values[-1])
            assert bucket.mean == pytest.approx(sum(values) / len(values))
            assert bucket.coverage == pytest.approx(min(1, len(values) * 60_000 / bucket_ms))


def test_roll_up_is_done_once_and_again_after_late_data(store: SqliteSeries) -> None:
    """Only closed buckets that changed are rolled up."""
    store.write(readings([(1, BASE, 1.0), (1, BASE + HOUR_MS, 1.0)]), first=0, last=1)
    assert store.roll_up(BASE + HOUR_MS, budget_s=5) == 1
    assert store.roll_up(BASE + HOUR_MS, budget_s=5) == 0
    store.write(readings([(1, BASE + 1, 2.0)]), first=1, last=2)
    assert store.roll_up(BASE + HOUR_MS, budget_s=5) == 1


def test_retention_keeps_roll_ups_and_what_is_not_rolled_up(store: SqliteSeries) -> None:
    """Old raw readings go, their roll-ups stay; a reading that is not rolled up is not deleted."""
    old = [(1, BASE + n * 60_000, float(n)) for n in range(60)]
    keep = Retention(raw_days=10, five_minute_days=400, hour_days=1830)
    store.write(readings(old), first=0, last=1)
    later = BASE + 20 * DAY_MS
    assert store.retain(later, keep, budget_s=5) == 0
    store.roll_up(later, budget_s=5)
    assert store.retain(later, keep, budget_s=5) == 60
    assert everything(store) == {}
    buckets = store.buckets([1], BASE - DAY_MS, later, bucket_ms=DAY_MS, interval_ms=60_000)
    assert sum(bucket.count for bucket in buckets) == 60


def test_data_older_than_retention_is_added_to_its_roll_up(store: SqliteSeries) -> None:
    """Very late readings change the old roll-up instead of replacing it."""
    keep = Retention(raw_days=10, five_minute_days=400, hour_days=1830)
    start = BASE // FIVE_MINUTES_MS * FIVE_MINUTES_MS
    later = BASE + 20 * DAY_MS
    store.write(readings([(1, start, 4.0), (1, start + 1, 6.0)]), first=0, last=1)
    store.roll_up(later, budget_s=5)
    store.retain(later, keep, budget_s=5)
    store.write(readings([(1, start + 2, 2.0)]), first=1, last=2)
    store.roll_up(later, budget_s=5)
    (bucket,) = store.buckets([1], start, start + 1, bucket_ms=FIVE_MINUTES_MS, interval_ms=60_000)
    assert (bucket.count, bucket.min, bucket.max, bucket.mean) == (3, 2.0, 6.0, 4.0)


def test_a_reader_sees_commits_of_the_writer_and_cannot_write(tmp_path: Path) -> None:
    """The API's handle may open first, follows the writer, and has no right to change anything."""
    reader = SqliteSeries.open(tmp_path / "series.db", read_only=True)
    writer = SqliteSeries.open(tmp_path / "series.db")
    writer.write(readings([(1, BASE, 1.0)]), first=0, last=1)
    assert reader.latest([1]) == {1: (BASE, 1.0)}
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.write(readings([(1, BASE, 2.0)]), first=1, last=2)
    reader.close()
    writer.close()


def test_connections_are_used_again(tmp_path: Path) -> None:
    """Threads that come and go, as a web server's do, leave no connection behind."""
    store = SqliteSeries.open(tmp_path / "series.db")
    store.write(readings([(1, BASE, 1.0)]), first=0, last=1)
    before = len(psutil.Process().open_files())
    for _ in range(20):
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(store.latest, [[1]] * 4)) == [{1: (BASE, 1.0)}] * 4
    assert len(psutil.Process().open_files()) <= before + 2
    store.close()


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Processes that start together all get the one file, none an error."""
    for attempt in range(60):
        path = tmp_path / str(attempt) / "series.db"
        with ThreadPoolExecutor(8) as pool:
            for store in pool.map(SqliteSeries.open, [path] * 8):
                store.close()


@pytest.mark.parametrize("content", ["text", "tables", "directory"])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    """What is not a file of telemetry stays as it is, and the error names it."""
    path = tmp_path / "series.db"
    if content == "text":
        path.write_text("notes of last year, longer than the header of a database " * 50)
    elif content == "tables":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE accounts (a)")
        connection.close()
    else:
        path.mkdir()
    with pytest.raises(SeriesError, match=r"series\.db"):
        SqliteSeries.open(path)


def test_a_newer_file_is_refused_with_advice(tmp_path: Path) -> None:
    """A file of a later govsense is not touched."""
    SqliteSeries.open(tmp_path / "series.db").close()
    with sqlite3.connect(tmp_path / "series.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SeriesError, match="version 99"):
        SqliteSeries.open(tmp_path / "series.db")


def test_a_failed_write_leaves_nothing(store: SqliteSeries) -> None:
    """A batch is stored whole or not at all, and the next one is not harmed."""
    bad = Readings(
        np.array([1, 2], np.int32),
        np.array([BASE, BASE], np.int64),
        np.array([BASE, BASE], np.int64),
        np.array([1.0, np.nan]),  # SQLite stores NaN as NULL, which the table refuses
    )
    with pytest.raises(sqlite3.IntegrityError):
        store.write(bad, first=0, last=1)
    assert everything(store) == {}
    assert store.write(readings([(1, BASE, 1.0)]), first=0, last=1).tolist() == [True]

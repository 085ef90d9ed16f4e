"""What every series store promises, asked of SQLite and of InfluxDB behind its spool."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.kinds import METRICS
from devices.readings import Readings
from storage.series.levels import DAY_MS, FIVE_MINUTES_MS, HOUR_MS
from storage.series.sqlite import SqliteSeries
from storage.series.store import SeriesStore
from tests.influx import influxd
from tests.influx.influxd import BASE

LOCAL_MS = 7 * HOUR_MS
OTHER_DEVICE = len(METRICS)  # series n + OTHER_DEVICE: the metric of series n, at another device
Reading = tuple[int, int, float]


@dataclass
class Opened:
    """A store, and how to see what was written to it."""

    series: SeriesStore
    drain: Callable[[], None]
    roll_up: Callable[[int], int]

    def write(self, rows: list[Reading], *, first: int) -> list[bool]:
        """Write readings and wait until they can be read."""
        new = self.series.write(readings(rows), first=first, last=first + 1)
        self.drain()
        return [bool(one) for one in new]

    def everything(self) -> dict[tuple[int, int], float]:
        """All readings of the series that these tests write."""
        numbers = [*range(20), *range(OTHER_DEVICE, OTHER_DEVICE + 20)]
        rows = self.series.rows(numbers, 0, 2 * BASE, limit=10**6)
        return {(row.series, row.at_ms): row.value for row in rows}


def readings(rows: list[Reading]) -> Readings:
    """Readings that arrived half a second after they were measured."""
    return Readings.of(
        [series for series, _, _ in rows],
        [at for _, at, _ in rows],
        [at + 500 for _, at, _ in rows],
        [value for _, _, value in rows],
    )


STORES = [
    "sqlite",
    pytest.param("influx", marks=pytest.mark.influx),
    pytest.param("influx-api-2", marks=pytest.mark.influx),
]


@pytest.fixture(params=STORES)
def open_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Opened]]:
    """A function that opens an empty store."""
    closing: list[Callable[[], object]] = []

    def open_one() -> Opened:
        directory = tmp_path_factory.mktemp("store")
        if request.param == "sqlite":
            series = SqliteSeries.open(directory / "series.db")
            closing.append(series.close)
            return Opened(series, lambda: None, lambda now_ms: series.roll_up(now_ms, budget_s=10))
        url = "influx_url" if request.param == "influx" else "api_2_url"
        database = influxd.database(request.getfixturevalue(url), directory)
        closing.append(lambda: database.__exit__(None, None, None))
        opened = influxd.opened(database.__enter__(), directory / "spool.db")
        closing.append(lambda: opened.__exit__(None, None, None))
        store = opened.__enter__()
        return Opened(store.series, store.drain, store.roll_up)

    yield open_one
    while closing:
        closing.pop()()


@pytest.fixture
def store(open_store: Callable[[], Opened]) -> Opened:
    """An empty store."""
    return open_store()


def test_what_is_written_is_read_back_with_its_receive_time(store: Opened) -> None:
    """A reading keeps value, event time and receive time."""
    assert store.write([(3, BASE, 1.5)], first=0) == [True]
    (row,) = store.series.rows([3], BASE, BASE + 1, limit=10)
    assert row == (3, BASE, 1.5, BASE + 500)
    assert store.series.latest([3, 4]) == {3: (BASE, 1.5)}


def test_the_highest_series_is_known(store: Opened) -> None:
    """It tells whether the ledger that names series is older than the readings."""
    assert store.series.highest() == -1
    store.write([(3, BASE, 1.0), (7, BASE, 1.0)], first=0)
    store.write([(5, BASE, 1.0)], first=1)
    assert store.series.highest() == 7


def test_the_newest_reading_is_the_latest(store: Opened) -> None:
    """What arrives late does not become the latest, and each metric has its own."""
    store.write([(0, BASE, 1.0), (1, BASE + 5, 2.0), (0, BASE - 7, 3.0)], first=0)
    assert store.series.latest([0, 1]) == {0: (BASE, 1.0), 1: (BASE + 5, 2.0)}


def test_the_same_identity_replaces_the_value(store: Opened) -> None:
    """A repeated (series, time) is no new reading, and its last value stays."""
    assert store.write([(1, BASE, 1.0)], first=0) == [True]
    again = [(1, BASE, 2.0), (1, BASE + 1, 5.0), (1, BASE + 1, 6.0)]
    assert store.write(again, first=1) == [False, True, False]
    assert store.everything() == {(1, BASE): 2.0, (1, BASE + 1): 6.0}


def test_a_batch_that_is_written_again_gives_the_same_answer(store: Opened) -> None:
    """After a crash behind write() the same batch is still told to be new, once, and only it."""
    batch = readings([(1, BASE, 1.0), (1, BASE, 1.0), (2, BASE, 3.0)])
    store.series.write(readings([(2, BASE, 0.0)]), first=0, last=1)
    assert store.series.write(batch, first=1, last=4).tolist() == [True, False, False]
    applied = store.series.applied()
    assert applied is not None
    assert (applied.first, applied.last, applied.new.tolist()) == (1, 4, [True, False, False])
    assert store.series.write(batch, first=1, last=4).tolist() == [True, False, False]
    assert store.series.write(batch, first=4, last=7).tolist() == [False, False, False]


rows_strategy = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, OTHER_DEVICE, OTHER_DEVICE + 1]),
        st.integers(0, 30).map(lambda n: BASE + n * 1_700_000),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    max_size=40,
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(batches=st.lists(rows_strategy, max_size=4))
def test_any_batches_give_what_a_dictionary_gives(
    open_store: Callable[[], Opened], batches: list[list[Reading]]
) -> None:
    """Order, repetition and batching do not matter: identity decides, the last value stays."""
    store = open_store()
    known: dict[tuple[int, int], float] = {}
    for number, rows in enumerate(batches):
        new = store.write(rows, first=number)
        for (series, at, value), fresh in zip(rows, new, strict=True):
            assert fresh == ((series, at) not in known)
            known[series, at] = value
    assert store.everything() == known


def test_pages_follow_each_other_without_gap_or_repetition(store: Opened) -> None:
    """Walking with `after` visits every row once, in order of series and time."""
    rows = [(series, BASE + n, float(n)) for series in (2, 5, 9) for n in range(7)]
    store.write(rows, first=0)
    found, after = [], None
    while page := store.series.rows([9, 2, 5], 0, 2 * BASE, limit=4, after=after):
        found += [(row.series, row.at_ms) for row in page]
        after = found[-1]
    assert found == [(series, at) for series, at, _ in rows]


def wanted_buckets(
    rows: dict[tuple[int, int], float], bucket_ms: int
) -> dict[tuple[int, int], list[float]]:
    """Values by (series, start), in order of time."""
    offset = LOCAL_MS if bucket_ms % DAY_MS == 0 else 0
    found: dict[tuple[int, int], list[float]] = {}
    for (series, at), value in sorted(rows.items()):
        start = (at + offset) // bucket_ms * bucket_ms - offset
        found.setdefault((series, start), []).append(value)
    return found


def nearest_rank(values: list[float]) -> float:
    """The least value that 95 % of the values, or more, do not exceed."""
    return min(v for v in values if 100 * sum(w <= v for w in values) >= 95 * len(values))


@pytest.mark.parametrize(
    "bucket_ms",
    [1_000, 30_000, FIVE_MINUTES_MS, 900_000, HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS],
)
def test_buckets_equal_those_of_raw_readings(store: Opened, bucket_ms: int) -> None:
    """Rolled up, half rolled up or with late data: a bucket is what its raw readings say."""
    rng = random.Random(bucket_ms)
    rows: dict[tuple[int, int], float] = {}
    now_ms = BASE
    for step in range(4):
        batch = [
            (rng.randrange(3), now_ms + rng.randrange(-3 * DAY_MS, 0), rng.uniform(-5, 5))
            for _ in range(60)
        ]
        rows.update({(series, at): value for series, at, value in batch})
        store.write(batch, first=step)
        if step % 2:
            store.roll_up(now_ms)
        now_ms += 2 * HOUR_MS
        wanted = wanted_buckets(rows, bucket_ms)
        found = store.series.buckets(
            [0, 1, 2], BASE - 5 * DAY_MS, BASE + 5 * DAY_MS, bucket_ms=bucket_ms, interval_ms=60_000
        )
        assert {bucket.p95 for bucket in found} == {None}
        with_p95 = store.series.buckets(
            [0, 1, 2], BASE - 5 * DAY_MS, BASE + 5 * DAY_MS,
            bucket_ms=bucket_ms, interval_ms=60_000, p95=True,
        )  # fmt: skip
        for one, other in zip(found, with_p95, strict=True):
            assert other.p95 == nearest_rank(wanted[one.series, one.start_ms])
            assert one._replace(mean=0.0) == other._replace(mean=0.0, p95=None)
            assert one.mean == pytest.approx(other.mean)
        assert {(b.series, b.start_ms) for b in found} == set(wanted)
        for bucket in found:
            values = wanted[bucket.series, bucket.start_ms]
            assert bucket.count == len(values)
            assert (bucket.min, bucket.max, bucket.last) == (min(values), max(values), values[-1])
            assert bucket.mean == pytest.approx(sum(values) / len(values))
            assert bucket.coverage == pytest.approx(min(1, len(values) * 60_000 / bucket_ms))


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 31, 40, 41])
def test_p95_is_that_of_the_nearest_rank(store: Opened, count: int) -> None:
    """Of n readings in order it is number 0.95 n, or the next one where that is no whole number."""
    start = BASE - BASE % HOUR_MS
    values = list(range(1, count + 1))
    random.Random(count).shuffle(values)
    rows = [(0, start + n * 1000, float(value)) for n, value in enumerate(values)]
    store.write(rows, first=0)
    (bucket,) = store.series.buckets(
        [0], start, start + 1, bucket_ms=HOUR_MS, interval_ms=60_000, p95=True
    )
    assert bucket.p95 == {1: 1, 2: 2, 19: 19, 20: 19, 21: 20, 31: 30, 40: 38, 41: 39}[count]


def test_the_edges_are_the_first_and_the_last_reading(store: Opened) -> None:
    """Of each series that has one in the range, the end excluded."""
    store.write([(n, BASE + at, float(at)) for n in (0, 1) for at in (0, 3, 5, 9)], first=0)
    edges = store.series.edges([0, 1, 2], BASE + 1, BASE + 9)
    assert sorted(edges) == [0, 1]
    first, last = edges[1]
    assert first == (1, BASE + 3, 3.0, BASE + 503)
    assert last == (1, BASE + 5, 5.0, BASE + 505)
    assert store.series.edges([0], BASE + 10, BASE + 20) == {}


def test_a_value_that_is_no_number_leaves_nothing(store: Opened) -> None:
    """A batch is stored whole or not at all, and the next one is not harmed."""
    bad = Readings(
        np.array([1, 2], np.int32),
        np.array([BASE, BASE], np.int64),
        np.array([BASE, BASE], np.int64),
        np.array([1.0, np.nan]),
    )
    with pytest.raises(Exception, match=r"finite|NOT NULL"):
        store.series.write(bad, first=0, last=1)
    assert store.everything() == {}
    assert store.write([(1, BASE, 1.0)], first=0) == [True]

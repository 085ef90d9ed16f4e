"""The store before a real InfluxDB: refused, killed, stopped, rolled up."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Timer

import pytest

from storage.influx.drainer import Drainer
from storage.influx.server import Address, InfluxError, Server
from storage.influx.setup import create
from storage.series.levels import DAY_MS, FIVE_MINUTES_MS, HOUR_MS, LEVELS_MS, RAW
from storage.series.retention import Retention
from tests.influx import influxd
from tests.influx.influxd import BASE, Influxd, Store, describe, opened
from tests.influx.servers import shim
from tests.influx.test_contract import readings

pytestmark = pytest.mark.influx
MINUTE_MS = 60_000


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Influxd]:
    """An InfluxDB that the test may kill."""
    server = Influxd(tmp_path / "own")
    server.start()
    yield server
    server.stop()


def test_a_type_that_is_not_ours_is_quarantined_alone(store: Store, address: Address) -> None:
    """Where somebody else wrote text into a field of ours, that field's lines are refused."""
    name = describe(0)
    server = Server(address)
    foreign = f'{name.kind},device=x {name.metric}="text" {BASE}000000'
    assert server.write(RAW, [foreign.encode()]).status == 204
    rows = [(0, BASE, 1.0), (1, BASE + 1, 2.0), (2, BASE + 2, 3.0)]
    store.series.write(readings(rows), first=0, last=3)
    store.drain()
    ((_, _, refused),) = store.spool.refused(limit=10)
    assert name.metric in refused.line
    assert refused.status in (400, 422)
    assert "type" in refused.text
    assert store.stored(range(1, 8)) == {(1, BASE + 1): 2.0, (2, BASE + 2): 3.0}
    server.close()


def test_readings_older_than_influxdb_keeps_are_quarantined(tmp_path: Path, own: Influxd) -> None:
    """What its retention would delete at once is refused with its words, and nothing else."""
    address = Address(own.url, "short")
    now_ms = time.time_ns() // 1_000_000
    server = Server(address)
    create(server, Retention(2, 4, 8))
    with opened(address, tmp_path / "spool.db", now_ms=now_ms) as store:
        rows = [(0, now_ms - 5 * DAY_MS, 1.0), (0, now_ms - DAY_MS, 2.0)]
        store.series.write(readings(rows), first=0, last=2)
        store.drain()
        ((_, _, refused),) = store.spool.refused(limit=10)
        assert "retention" in refused.text
        assert list(store.stored().values()) == [2.0]
    server.close()


def test_kill_of_influxdb_loses_nothing(tmp_path: Path, own: Influxd) -> None:
    """Killed at random instants under writes: everything is there at the end, once."""
    address = Address(own.url, "killed")
    server = Server(address)
    create(server, influxd.KEEP_ALL)
    rng = random.Random(11)
    wanted = {}
    with opened(address, tmp_path / "spool.db") as store:
        for step in range(60):
            rows = [(rng.randrange(8), BASE + step * 100 + n, rng.random()) for n in range(20)]
            store.series.write(readings(rows), first=step, last=step + 1)
            wanted.update({(series, at_ms): value for series, at_ms, value in rows})
            if step % 15 == 10:
                kill = Timer(rng.random() / 200, own.stop)
                kill.start()
                store.drainer.step(time.time())
                kill.join()
                with pytest.raises(InfluxError):
                    store.series.latest([0])
                store.drainer.step(time.time())
                own.start()
            elif step % 3 == 0:
                store.drainer.step(time.time())
        store.drain()
        assert store.stored() == wanted
        assert store.spool.counts().refused == 0
    server.close()


@pytest.mark.parametrize("through_api_2", [False, True])
def test_an_influxdb_that_stands_still_is_waited_for(
    tmp_path: Path, own: Influxd, through_api_2: bool
) -> None:
    """SIGSTOP: no answer within the time allowed, then the same lines again, and none twice."""
    with ExitStack() as stack:
        url = stack.enter_context(shim(own.url, read_s=2.0)) if through_api_2 else own.url
        store = stack.enter_context(opened(Address(url, "still"), tmp_path / "spool.db"))
        writing = stack.enter_context(closing(Server(Address(url, "still"), read_s=0.2)))
        create(writing, influxd.KEEP_ALL)
        drainer = Drainer(store.spool, writing, chance=random.Random(1))
        store.series.write(readings([(0, BASE, 1.0), (0, BASE + 1, 2.0)]), first=0, last=1)
        assert own.process is not None
        own.process.send_signal(signal.SIGSTOP)
        try:
            drainer.step(time.time())
            assert drainer.condition.state == "waiting"
            assert "timed out" in drainer.condition.problem.lower()
        finally:
            own.process.send_signal(signal.SIGCONT)
        store.drain()
        assert store.stored() == {(0, BASE): 1.0, (0, BASE + 1): 2.0}


def test_a_request_that_is_too_large_is_halved(tmp_path: Path) -> None:
    """The real 413, of a server that takes 5,000 bytes at a time."""
    small = Influxd(tmp_path / "small", extra_http="max-body-size = 5000")
    small.start()
    try:
        with (
            closing(Server(Address(small.url, "small"))) as server,
            opened(server.address, tmp_path / "spool.db") as store,
        ):
            create(server, influxd.KEEP_ALL)
            rows = [(0, BASE + n, float(n)) for n in range(1000)]
            store.series.write(readings(rows), first=0, last=1)
            store.drain()
            assert len(store.stored()) == 1000
            assert store.drainer.condition.requests > 20
    finally:
        small.stop()


def test_the_drainer_runs_until_it_is_told_to_stop(store: Store) -> None:
    """The loop empties the spool and ends between two requests."""
    store.series.write(readings([(0, BASE, 1.0)]), first=0, last=1)
    rolled: list[int] = []
    store.series.roll_up(BASE + DAY_MS, budget_s=1)
    deadline = time.monotonic() + 20

    def stopping() -> bool:
        is_done = sum(rolled) == 3 and store.drainer.condition.state == "idle"
        return is_done or time.monotonic() > deadline

    store.drainer.run(
        stopping,
        now_s=time.time,
        sleep=time.sleep,
        chore=lambda: rolled.append(store.roller.step(BASE + DAY_MS, budget_s=1)),
    )
    assert store.stored() == {(0, BASE): 1.0}
    assert sum(rolled) == 3
    assert store.drainer.condition.state == "idle"


@pytest.mark.parametrize("level_ms", LEVELS_MS)
def test_roll_ups_outlive_raw_readings(store: Store, level_ms: int) -> None:
    """Count, min, max, mean, last and coverage stay where raw readings are gone; late data too."""
    series = store.series
    first_day = BASE - BASE % DAY_MS - 7 * HOUR_MS
    rows = [(0, first_day + n * MINUTE_MS, float(n % 37)) for n in range(2000)]
    later_ms = first_day + 3 * DAY_MS
    series.write(readings(rows[::2]), first=0, last=1)
    store.drain()
    roll_up(store, later_ms)
    series.write(readings(rows[1::2]), first=1, last=2)
    store.drain()
    assert roll_up(store, later_ms) > 0
    assert roll_up(store, later_ms) == 0
    asked = (first_day, first_day + 2 * DAY_MS)
    raw = series.buckets([0], *asked, bucket_ms=level_ms, interval_ms=MINUTE_MS)
    raw_is_gone(store)
    rolled = series.buckets([0], *asked, bucket_ms=level_ms, interval_ms=MINUTE_MS)
    assert len(rolled) == len(raw) > 1
    asked_p95 = series.buckets([0], *asked, bucket_ms=level_ms, interval_ms=MINUTE_MS, p95=True)
    assert asked_p95 == rolled  # no roll-up holds it
    for one, other in zip(raw, rolled, strict=True):
        mean = other.mean
        assert other._replace(mean=one.mean) == one
        assert mean == pytest.approx(one.mean)


def raw_is_gone(store: Store) -> None:
    """Let so much time pass that raw readings, as far as the store knows, are deleted."""
    series = store.series
    series._retention = Retention(2, 400, 1830)
    series._now_ms = lambda: BASE + 300 * DAY_MS


def roll_up(store: Store, now_ms: int) -> int:
    """Roll up all that can be, as the loop of ingest does it: in several calls."""
    rolled = 0
    for _ in range(3):
        rolled += store.roll_up(now_ms)
        store.drain()
    return rolled


def test_a_bucket_whose_readings_wait_is_not_rolled_up(store: Store) -> None:
    """As long as the spool holds a reading of it, its roll-up would be wrong."""
    now_ms = BASE + 2 * HOUR_MS
    store.series.write(readings([(0, BASE, 1.0)]), first=0, last=1)
    assert sum(store.roll_up(now_ms) for _ in range(3)) == 0
    store.drain()
    assert store.roll_up(now_ms) == 2  # its day has not ended
    store.series.write(readings([(0, BASE + 1, 5.0)]), first=1, last=2)
    assert sum(store.roll_up(now_ms) for _ in range(3)) == 0
    assert roll_up(store, now_ms) == 2
    start_ms = BASE - BASE % FIVE_MINUTES_MS
    raw_is_gone(store)
    (bucket,) = store.series.buckets(
        [0], start_ms, start_ms + 1, bucket_ms=FIVE_MINUTES_MS, interval_ms=MINUTE_MS
    )
    assert (bucket.count, bucket.mean, bucket.coverage) == (2, 3.0, 0.4)

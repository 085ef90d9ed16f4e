"""The spool and the series before InfluxDB: what is on disk, refused, full, damaged, killed."""

from __future__ import annotations

import dataclasses
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Timer

import psutil
import pytest

from devices.readings import Readings
from storage.influx.drainer import Drainer
from storage.influx.server import Address, InfluxError, Server
from storage.influx.setup import create
from storage.influx.spool import Spool, SpoolFullError
from storage.series.file import SeriesError
from storage.series.levels import DAY_MS, FIVE_MINUTES_MS, HOUR_MS, LEVELS_MS, RAW
from storage.series.retention import Retention
from tests.influx import influxd
from tests.influx.influxd import BASE, Influxd, Store, describe, opened
from tests.influx.servers import shim
from tests.influx.test_contract import readings
from tests.project.broker import ROOT

pytestmark = pytest.mark.influx
MINUTE_MS = 60_000


def stored(store: Store, numbers: range = range(8)) -> dict[tuple[int, int], float]:
    """Everything that can be read of some series."""
    rows = store.series.rows(numbers, 0, 2 * BASE, limit=10**6)
    return {(row.series, row.at_ms): row.value for row in rows}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Influxd]:
    """An InfluxDB that the test may kill."""
    server = Influxd(tmp_path / "own")
    server.start()
    yield server
    server.stop()


def test_what_is_written_waits_for_influxdb_across_a_restart(
    address: Address, tmp_path: Path
) -> None:
    """The spool is on disk when write() returns, and knows after a restart what is not new."""
    batch = readings([(0, BASE, 1.0), (1, BASE - HOUR_MS, 2.0)])
    with opened(address, tmp_path / "spool.db") as store:
        assert store.series.write(batch, first=0, last=2).tolist() == [True, True]
        assert stored(store) == {}
    with opened(address, tmp_path / "spool.db") as store:
        again = readings([(0, BASE, 1.0), (1, BASE - HOUR_MS, 2.0), (1, BASE - HOUR_MS + 1, 3.0)])
        assert store.series.write(again, first=2, last=5).tolist() == [False, False, True]
        store.drain()
        assert stored(store) == {
            (0, BASE): 1.0, (1, BASE - HOUR_MS): 2.0, (1, BASE - HOUR_MS + 1): 3.0
        }  # fmt: skip


def test_new_is_exact_as_long_as_raw_readings_are_kept(store: Store) -> None:
    """A reading is known for 90 days, also when it comes late; what is older counts as new."""
    keep = Retention(90, 400, 1830)
    rng = random.Random(5)
    known: set[tuple[int, int]] = set()
    now_ms = BASE
    for step in range(40):
        ages = rng.choices([0, 1, HOUR_MS, 80 * DAY_MS], k=50)
        rows = [(rng.randrange(4), now_ms - age + rng.randrange(9)) for age in ages]
        new = store.series.write(
            readings([(series, at_ms, 1.0) for series, at_ms in rows]), first=step, last=step + 1
        )
        for row, is_new in zip(rows, new.tolist(), strict=True):
            assert is_new == (row not in known)
            known.add(row)
        store.series.retain(now_ms, keep, budget_s=5)
        now_ms += rng.randrange(5)
    late = readings([(0, BASE, 1.0)])
    store.series.write(late, first=100, last=101)
    assert store.series.retain(BASE + 200 * DAY_MS, keep, budget_s=5) > 0
    assert store.series.write(late, first=101, last=102).tolist() == [True]


def test_a_full_spool_takes_nothing_and_takes_again_after_draining(
    address: Address, tmp_path: Path
) -> None:
    """The bound is kept; a batch that does not fit leaves no trace, so that it is new later."""
    with opened(address, tmp_path / "spool.db") as store:
        store.spool.max_bytes = 40_000
        number = 0
        while fits(store, noise(number), first=number):
            number += 1
            assert number < 1000
        assert store.spool.counts().bytes <= 40_000
        assert number > 2
        store.drain()
        assert len(stored(store)) == number * 100
        assert store.spool.counts().bytes == 0
        new = store.series.write(noise(number), first=number, last=number + 1)
        assert new.all()


def noise(number: int) -> Readings:
    """100 readings that no compression makes small."""
    rng = random.Random(number)
    return readings([(0, BASE + number * 100 + n, rng.random()) for n in range(100)])


def fits(store: Store, batch: Readings, *, first: int) -> bool:
    """Write a batch; False where the spool is full."""
    try:
        store.series.write(batch, first=first, last=first + 1)
    except SpoolFullError:
        return False
    return True


def test_damage_is_counted_and_stops_nothing(address: Address, tmp_path: Path) -> None:
    """A batch that the disk does not give back is lost, known, and passed over."""
    file = tmp_path / "spool.db"
    with opened(address, file) as store:
        for n in range(3):
            rows = [(0, BASE + n, 1.0), (0, BASE + n + 10, 1.0)]
            store.series.write(readings(rows), first=n, last=n + 1)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE batches SET lines = zeroblob(length(lines)) WHERE id = 1")
            connection.execute("UPDATE batches SET crc = crc + 1 WHERE id = 3")
            connection.commit()
        store.drain()
        assert stored(store) == {(0, BASE + 1): 1.0, (0, BASE + 11): 1.0}
        assert store.spool.counts()[:5] == (0, 0, 3, 0, 4)


def test_threads_share_connections(tmp_path: Path) -> None:
    """A thread that ends leaves nothing open: the API starts and ends threads all day."""
    spool = Spool(tmp_path / "spool.db")
    for _ in range(100):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(spool.counts).result()
    held = [file.path for file in psutil.Process().open_files()]
    assert held.count(str(tmp_path / "spool.db")) == 1
    spool.close()


def test_the_api_may_read_the_spool_and_change_nothing(tmp_path: Path) -> None:
    """Read-only means that no line is added or taken."""
    Spool(tmp_path / "spool.db").close()
    spool = Spool(tmp_path / "spool.db", read_only=True)
    assert spool.counts().lines == 0
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        spool.drained(1, refused=[], damaged=0, now_ms=BASE)
    spool.close()


def test_a_file_that_is_no_spool_is_refused(tmp_path: Path) -> None:
    """A newer spool, or a database of something else, is not touched."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(SeriesError, match="something else"):
        Spool(tmp_path / "other.db")
    Spool(tmp_path / "spool.db").close()
    with closing(sqlite3.connect(tmp_path / "spool.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SeriesError, match="version 99"):
        Spool(tmp_path / "spool.db")


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
    assert stored(store, range(1, 8)) == {(1, BASE + 1): 2.0, (2, BASE + 2): 3.0}
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
        assert list(stored(store).values()) == [2.0]
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
        assert stored(store) == wanted
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
        assert stored(store) == {(0, BASE): 1.0, (0, BASE + 1): 2.0}


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
            assert len(stored(store)) == 1000
            assert store.drainer.condition.requests > 20
    finally:
        small.stop()


WRITER = """
import sys
from pathlib import Path
from tests.influx.influxd import BASE, opened
from tests.influx.servers import shim
from tests.influx.test_contract import readings
from storage.influx.drainer import Drainer
from storage.influx.server import Address
with opened(Address(sys.argv[1], sys.argv[2]), Path(sys.argv[3])) as store:
    for n in range(100_000):
        store.series.write(readings([(n % 8, BASE + n, float(n))]), first=n, last=n + 1)
        print(n, flush=True)
"""


def test_kill_of_the_writer_loses_nothing_that_it_promised(
    address: Address, tmp_path: Path
) -> None:
    """kill -9 between any two instructions: what write() returned for is in the spool."""
    file = tmp_path / "spool.db"
    command = [sys.executable, "-c", WRITER, address.url, address.database, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout is not None
        for _ in range(100):
            writer.stdout.readline()
        writer.kill()
        promised = 100 + len(writer.stdout.read().split(b"\n")) - 1
    with opened(address, file) as store:
        applied = store.series.applied()
        assert applied is not None
        assert applied.last in (promised, promised + 1)
        store.drain()
        assert stored(store) == {(n % 8, BASE + n): float(n) for n in range(applied.last)}


def test_the_drainer_runs_until_it_is_told_to_stop(store: Store) -> None:
    """The loop empties the spool and ends between two requests."""
    store.series.write(readings([(0, BASE, 1.0)]), first=0, last=1)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    rolled: list[int] = []
    store.series.roll_up(BASE + DAY_MS, budget_s=1)
    store.drainer.run(
        lambda: len(slept) > 2,
        now_s=time.time,
        sleep=sleep,
        chore=lambda: rolled.append(store.roller.step(BASE + DAY_MS, budget_s=1)),
    )
    assert stored(store) == {(0, BASE): 1.0}
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
    for one, other in zip(raw, rolled, strict=True):
        mean = other.mean
        assert dataclasses.replace(other, mean=one.mean) == one
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

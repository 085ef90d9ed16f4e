"""The spool: what is on disk is there after a kill; what is new is known; full or damaged."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from devices.readings import Readings
from storage.influx.server import Address
from storage.influx.spool import Spool, SpoolFullError
from storage.series.file import SeriesError
from storage.series.levels import DAY_MS, HOUR_MS
from storage.series.retention import Retention
from tests.influx.influxd import BASE, Store, opened
from tests.influx.test_contract import readings
from tests.project.broker import ROOT

pytestmark = pytest.mark.influx
MINUTE_MS = 60_000


def test_what_is_written_waits_for_influxdb_across_a_restart(
    address: Address, tmp_path: Path
) -> None:
    """The spool is on disk when write() returns, and knows after a restart what is not new."""
    batch = readings([(0, BASE, 1.0), (1, BASE - HOUR_MS, 2.0)])
    with opened(address, tmp_path / "spool.db") as store:
        assert store.series.write(batch, first=0, last=2).tolist() == [True, True]
        assert store.stored() == {}
    with opened(address, tmp_path / "spool.db") as store:
        again = readings([(0, BASE, 1.0), (1, BASE - HOUR_MS, 2.0), (1, BASE - HOUR_MS + 1, 3.0)])
        assert store.series.write(again, first=2, last=5).tolist() == [False, False, True]
        store.drain()
        assert store.stored() == {
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
        assert len(store.stored()) == number * 100
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
        assert store.stored() == {(0, BASE + 1): 1.0, (0, BASE + 11): 1.0}
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
        assert store.stored() == {(n % 8, BASE + n): float(n) for n in range(applied.last)}

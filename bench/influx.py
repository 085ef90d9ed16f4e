"""The InfluxDB store: how fast the spool takes readings and the drainer empties it.

    python -m bench.influx                 a spool, and an InfluxDB that is started (Debian's 1.6.7)
    python -m bench.influx --url URL       the same with a server that runs; makes a database

Prints readings a second of write() at several batch sizes, of the drainer, and how long questions
take. The spool lies in a temporary directory: set TMPDIR to measure another disk.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from devices.kinds import KINDS
from devices.readings import Readings
from storage.influx.drainer import Drainer
from storage.influx.lines import SeriesName
from storage.influx.roll_ups import Roller
from storage.influx.series import InfluxSeries
from storage.influx.server import Address, InfluxError, Server
from storage.influx.setup import create
from storage.influx.spool import Spool
from storage.series.levels import FIVE_MINUTES_MS, HOUR_MS
from storage.series.retention import Retention

METRICS = list(KINDS["connectivity-probe"].metrics)[:6]
DEVICES = 1_000
SERIES = DEVICES * len(METRICS)
ROWS = 600_000
BATCHES = (64, 1_000, 20_000)
START_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS
KEEP = Retention(3_650, 3_650, 3_650)
QUESTIONS = 200


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="an InfluxDB that runs; otherwise one is started")
    parser.add_argument("--rows", type=int, default=ROWS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if args.url:
            measure(args.url, directory, args.rows)
        else:
            with started(directory) as url:
                measure(url, directory, args.rows)


def measure(url: str, directory: Path, rows: int) -> None:
    """Print the figures of one server."""
    address = Address(url, f"bench{os.getpid()}")
    server = Server(address)
    create(server, KEEP)
    print(f"InfluxDB {server.version()}, {SERIES} series, 6 readings a line")
    for count in BATCHES:
        spool = Spool(directory / f"spool{count}.db", max_bytes=1 << 40)
        series = InfluxSeries(
            spool, Server(address), describe=describe, retention=KEEP, now_ms=lambda: START_MS
        )
        batches = list(_batches(count, min(rows, count * 2_000)))
        _measure_write(series, batches)
        waiting = spool.counts()
        print(f"  on disk {waiting.bytes / sum(map(len, batches)):.1f} bytes a reading")
        _measure_drain(Drainer(spool, server, chance=random.Random(1)), spool, waiting.lines)
        if count == BATCHES[-1]:
            _measure_questions(series, batches)
            _measure_roll_up(series, Roller(spool, server, describe, local_offset_ms=0), batches)
        series.close()
    server.close()


def describe(number: int) -> SeriesName:
    """Six metrics of each probe."""
    device, metric = divmod(number, len(METRICS))
    name = f"probe-{device:04d}"
    return SeriesName("connectivity-probe", METRICS[metric], "LA-LP", name, name, 60_000)


def _batches(count: int, rows: int) -> Iterator[Readings]:
    """Rounds of all devices, a minute apart, with jitter; `count` readings a batch."""
    rng = np.random.default_rng(1)
    jitter = rng.integers(0, 30_000, DEVICES).repeat(len(METRICS))
    for first in range(0, rows, count):
        index = np.arange(first, min(first + count, rows))
        series = (index % SERIES).astype(np.int32)
        at_ms = START_MS + index // SERIES * 60_000 + jitter[series]
        yield Readings(series, at_ms, at_ms + 400, rng.normal(20, 5, len(index)).round(2))


def _measure_write(series: InfluxSeries, batches: list[Readings]) -> None:
    began = time.perf_counter()
    for number, batch in enumerate(batches):
        series.write(batch, first=number, last=number + 1)
    took = time.perf_counter() - began
    rows = sum(map(len, batches))
    print(f"write, {len(batches[0]):6} a batch: {rows / took:10,.0f} readings/s")


def _measure_drain(drainer: Drainer, spool: Spool, lines: int) -> None:
    began = time.perf_counter()
    while spool.counts().lines:
        drainer.step(time.time())
    took = time.perf_counter() - began
    print(f"  drain: {lines / took:10,.0f} lines/s, {drainer.condition.requests} requests")


def _measure_questions(series: InfluxSeries, batches: list[Readings]) -> None:
    end_ms = int(batches[-1].at_ms.max()) + 1
    asked: dict[str, Callable[[int], object]] = {
        "latest of one series": lambda n: series.latest([n]),
        "rows of one series": lambda n: series.rows([n], START_MS, end_ms, limit=1000),
        "buckets of 5 minutes": lambda n: series.buckets(
            [n], START_MS, end_ms, bucket_ms=FIVE_MINUTES_MS, interval_ms=60_000
        ),
    }
    for what, ask in asked.items():
        began = time.perf_counter()
        for number in range(QUESTIONS):
            ask(number * 7 % SERIES)
        print(f"  {what}: {(time.perf_counter() - began) / QUESTIONS * 1000:.1f} ms")


def _measure_roll_up(series: InfluxSeries, roller: Roller, batches: list[Readings]) -> None:
    later_ms = int(batches[-1].at_ms.max()) + HOUR_MS
    series.roll_up(later_ms, budget_s=1)
    began = time.perf_counter()
    rolled = roller.step(later_ms, budget_s=5)
    print(f"  roll up: {rolled / (time.perf_counter() - began):,.0f} buckets/s")


@contextmanager
def started(directory: Path) -> Iterator[str]:
    """An InfluxDB 1.x on a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = directory / "influxdb.conf"
    config.write_text(
        'reporting-disabled = true\nbind-address = "127.0.0.1:0"\n'
        f'[meta]\ndir = "{directory}/meta"\n'
        f'[data]\ndir = "{directory}/data"\nwal-dir = "{directory}/wal"\n'
        "query-log-enabled = false\n[monitor]\nstore-enabled = false\n"
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
    )
    url = f"http://127.0.0.1:{port}"
    with (directory / "influxd.log").open("wb") as log:
        process = subprocess.Popen(["influxd", "-config", str(config)], stdout=log, stderr=log)
    server = Server(Address(url))
    try:
        deadline = time.monotonic() + 20
        while not _answers(server):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(
                    f"influxd did not start: {(directory / 'influxd.log').read_text()}"
                )
            time.sleep(0.05)
        yield url
    finally:
        server.close()
        process.kill()
        process.wait()


def _answers(server: Server) -> bool:
    try:
        return server.version() > (0, 0)
    except InfluxError:
        return False


if __name__ == "__main__":
    main()

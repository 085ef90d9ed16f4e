"""A real InfluxDB for the tests: one that is started, or the one that INFLUX_URL names."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devices.kinds import KINDS, METRICS
from storage.influx.drainer import Drainer
from storage.influx.lines import Describe, SeriesName
from storage.influx.roll_ups import Roller
from storage.influx.series import InfluxSeries
from storage.influx.server import Address, InfluxError, Server
from storage.influx.setup import bucket_ids, create, organisation_id, put
from storage.influx.spool import Spool
from storage.series.levels import LEVELS_MS, RAW
from storage.series.retention import Retention
from storage.series.sqlite import LOCAL_OFFSET_MS
from tests.project.broker import free_port, program, wait_for

BASE = 1_790_000_000_000
KEEP_ALL = Retention(36_500, 36_500, 36_500)
NUMBERS = itertools.count()


@dataclass
class Influxd:
    """Debian's InfluxDB 1.6.7 with a configuration of its own, on loopback."""

    directory: Path
    port: int = field(default_factory=free_port)
    extra_http: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers; skips the test where the user named a server."""
        if os.environ.get("INFLUX_URL"):
            pytest.skip("needs an InfluxDB that it may stop and configure, not INFLUX_URL's")
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "influxdb.conf"
        config.write_text(self._config())
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program("influxd"), "-config", str(config)], stdout=log, stderr=log
            )
        wait_for(self._answers, "InfluxDB answers")

    def stop(self) -> None:
        """End it as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        server = Server(Address(self.url))
        try:
            return server.version() > (0, 0)
        except InfluxError:
            return False
        finally:
            server.close()

    def _config(self) -> str:
        return f"""
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "{self.directory}/meta"
logging-enabled = false
[data]
dir = "{self.directory}/data"
wal-dir = "{self.directory}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{self.port}"
log-enabled = false
{self.extra_http}
[continuous_queries]
enabled = false
"""


@contextmanager
def running(directory: Path) -> Iterator[str]:
    """The URL of an InfluxDB: INFLUX_URL's, or that of one that lives as long as this context."""
    if url := os.environ.get("INFLUX_URL"):
        yield url
        return
    influxd = Influxd(directory)
    try:
        influxd.start()
        yield influxd.url
    finally:
        influxd.stop()


@contextmanager
def database(url: str, directory: Path) -> Iterator[Address]:
    """The address of a database that is there for one test."""
    token = directory / "influx_token"
    token.write_text(os.environ.get("INFLUX_TOKEN", ""))
    name = f"test{os.getpid()}x{time.time_ns() % 10**9}x{next(NUMBERS)}"
    address = Address(url, name, os.environ.get("INFLUX_ORG", ""), token)
    server = Server(address)
    create(server, KEEP_ALL)
    try:
        yield address
        drop(server)
    finally:
        server.close()


def drop(server: Server) -> None:
    """Delete the databases or buckets of a test."""
    major, _ = server.version()
    if major == 2:
        for bucket in bucket_ids(server, organisation_id(server)).values():
            put(server, "DELETE", f"/api/v2/buckets/{bucket}")
        return
    for level_ms in (RAW, *LEVELS_MS):
        name = server.address.database_of(level_ms)
        if major == 1:
            server.ask(f'DROP DATABASE "{name}"')
        else:
            put(server, "DELETE", f"/api/v3/configure/database?db={name}")


def describe(number: int) -> SeriesName:
    """Series 0, 1, 2, ...: all metrics of the kinds, a device each kind."""
    metric = METRICS[number % len(METRICS)]
    device = f"{metric.kind}-{number // len(METRICS)}"
    return SeriesName(metric.kind, metric.name, "LA-LP", f"site of {device}", device, 60_000)


def metrics_of(kind: str) -> list[str]:
    """Names of the metrics of a kind."""
    return list(KINDS[kind].metrics)


@dataclass
class Store:
    """A spool, its drainer and the series in front of both."""

    spool: Spool
    drainer: Drainer
    roller: Roller
    series: InfluxSeries

    def roll_up(self, now_ms: int) -> int:
        """One turn of the loops: the writer's checkpoint, and the roller; returns how many."""
        self.series.roll_up(now_ms, budget_s=20)
        return self.roller.step(now_ms, budget_s=20)

    def stored(self, numbers: Iterable[int] = range(8)) -> dict[tuple[int, int], float]:
        """Everything that can be read of some series."""
        rows = self.series.rows(numbers, 0, 2 * BASE, limit=10**6)
        return {(row.series, row.at_ms): row.value for row in rows}

    def drain(self, within_s: float = 20.0) -> None:
        """Drain until the spool is empty."""
        deadline = time.monotonic() + within_s
        while self.spool.counts().lines:
            assert time.monotonic() < deadline, self.drainer.condition
            self.drainer.step(time.time())


@contextmanager
def opened(
    address: Address, file: Path, *, now_ms: int = BASE, describe: Describe = describe
) -> Iterator[Store]:
    """A store in front of a database."""
    spool = Spool(file)
    writing = Server(address)
    series = InfluxSeries(
        spool,
        Server(address),
        describe=describe,
        retention=KEEP_ALL,
        now_ms=lambda: now_ms,
    )
    try:
        drainer = Drainer(spool, writing, chance=random.Random(1))
        roller = Roller(spool, writing, describe, local_offset_ms=LOCAL_OFFSET_MS)
        yield Store(spool, drainer, roller, series)
    finally:
        series.close()
        writing.close()

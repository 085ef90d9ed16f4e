"""InfluxDB is down while a country goes on reporting: nothing is lost, and it is caught up.

Real processes: Mosquitto, receiver, processor and drainer of `govsense ingest`, the API, InfluxDB
1.6.7. Thirty minutes are compressed: what 2,500 devices that report once a minute send in that time
comes at LIVE_RATE a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from bench.mqtt_load import publish
from storage.influx.server import Address, Server
from storage.influx.spool import Spool
from storage.series.levels import RAW
from tests.faults.guarantees import record, size
from tests.influx.influxd import Influxd
from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import wait_for

pytestmark = [pytest.mark.guarantee, pytest.mark.influx, pytest.mark.mosquitto]
DEVICES = 500
LIVE_RATE = 1000.0  # messages a second
DOWN_S = size(quick=5.0, long=75.0)
WARM_S = size(quick=2.0, long=20.0)
AFTER_S = size(quick=1.5, long=10.0)
BACK_WITHIN_S = 120.0  # the drainer asks again at most a minute after its last try
LEVEL = round(LIVE_RATE)  # lines in the spool with which it has caught up: a second of live data
LOOK_S = 0.02

TO_ACK, TO_STORED = "govsense_receive_to_ack_seconds", "govsense_event_to_stored_seconds"


class Load:
    """Messages at the live rate, each with an identity of its own, until told to stop."""

    def __init__(self, port: int) -> None:
        self.count = 0
        self.sum = 0
        self._port = port
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Publish in a thread; at the end everything is acknowledged by the broker."""
        thread = threading.Thread(
            target=publish, args=("127.0.0.1", self._port, self._messages()),
            kwargs={"rate": LIVE_RATE},
        )  # fmt: skip
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(30)

    def _messages(self) -> Iterator[tuple[str, bytes]]:
        began_ms = time.time_ns() // 1_000_000
        while not self._stop.is_set():
            n = self.count
            at_ms = began_ms + round(n * 1000 / LIVE_RATE)
            payload = reading(at_ms, n, dns_ms=float(n % 997), tcp_ms=1.0)
            yield f"gov/v1/LA-LP/p{n % DEVICES}/telemetry", payload
            self.count += 1
            self.sum += n % 997


class Memory:
    """Resident memory of the processes of `govsense ingest`, in bytes."""

    def __init__(self) -> None:
        commands = [(one, one.cmdline()) for one in psutil.Process().children(recursive=True)]
        ours = [(one, command) for one, command in commands if "ingest" in command]
        self._processes = {
            command[command.index("--only") + 1] if "--only" in command else "processor": one
            for one, command in ours
        }
        assert sorted(self._processes) == ["drainer", "processor", "receiver"]
        self._warm = self.now()
        self._most = dict(self._warm)

    def now(self) -> dict[str, int]:
        """Of each process."""
        return {name: one.memory_info().rss for name, one in self._processes.items()}

    def warm(self) -> None:
        """Growth counts from here on."""
        self._warm = self._most = self.now()

    def look(self) -> None:
        """Remember the most that each has held."""
        self._most = {name: max(now, self._most[name]) for name, now in self.now().items()}

    def growth(self) -> dict[str, int]:
        """Of each process, since it was warm."""
        return {name: most - self._warm[name] for name, most in self._most.items()}


class Histogram:
    """What a histogram of /metrics has counted so far."""

    def __init__(self, platform: Platform, name: str) -> None:
        found = platform.metrics()
        prefix = f'{name}_bucket{{le="'
        self.counts = {
            float(key.removeprefix(prefix).removesuffix('"}')): count
            for key, count in found.items()
            if key.startswith(prefix)
        }

    def p99_since(self, before: Histogram) -> float:
        """Seconds: upper bound of the bucket that holds the 99th percentile since then."""
        counts = {bound: self.counts[bound] - before.counts[bound] for bound in self.counts}
        rank = 0.99 * max(counts.values())
        assert rank > 0
        return min(bound for bound, count in counts.items() if count >= rank)


@contextmanager
def platform_on_influxdb(directory: Path) -> Iterator[tuple[Platform, Influxd]]:
    """A platform that keeps telemetry in an InfluxDB."""
    influxd = Influxd(directory / "influxd")
    influxd.start()
    environment = {
        "GOVSENSE_STORAGE__SERIES": "influxdb",
        "GOVSENSE_INFLUX__URL": influxd.url,
    }
    office = one_office(DEVICES)
    try:
        with running(directory / "data", office, "broker", **environment) as platform:
            made = platform.run("influx", "init")
            assert made.returncode == 0, made.stderr
            platform.start("ingest", "api")
            yield platform, influxd
    finally:
        influxd.stop()


def look_until(deadline_s: float, memory: Memory, spool: Spool) -> list[tuple[float, int]]:
    """Watch until a monotonic time or, where that is 0, until the spool has no more than a second
    of live data; returns (monotonic s, lines in the spool)."""
    seen: list[tuple[float, int]] = []
    until = deadline_s or time.monotonic() + BACK_WITHIN_S
    while (now := time.monotonic()) < until:
        memory.look()
        seen.append((now, spool.counts().lines))
        if not deadline_s and seen[-1][1] <= LEVEL:
            return seen
        time.sleep(LOOK_S)
    assert deadline_s, f"not caught up within {BACK_WITHIN_S} s: {seen[-1]}"
    return seen


class CatchUp:
    """How the spool was emptied, from the first lines that left it to a second of live data."""

    def __init__(self, back: float, seen: list[tuple[float, int]]) -> None:
        """back: monotonic time at which InfluxDB answered again."""
        first = next(n for n, (one, other) in enumerate(pairwise(seen)) if other[1] < one[1])
        (began, self.waiting), (ended, left) = seen[first], seen[-1]
        self.idle_s = began - back
        self.took_s = ended - began
        self.rate = (self.waiting - left) / self.took_s + LIVE_RATE  # lines a second


def test_an_outage_loses_nothing_and_is_caught_up(tmp_path: Path) -> None:
    """Acknowledgements, memory and live latency stay as they are; then the spool is emptied."""
    with (
        platform_on_influxdb(tmp_path) as (platform, influxd),
        closing(Spool(tmp_path / "data" / "spool.db", read_only=True)) as spool,
    ):
        with Load(platform.port).running() as load:
            memory = Memory()
            look_until(time.monotonic() + WARM_S, memory, spool)
            memory.warm()
            acked = Histogram(platform, TO_ACK)
            influxd.stop()
            look_until(time.monotonic() + DOWN_S, memory, spool)
            ack_p99_s = Histogram(platform, TO_ACK).p99_since(acked)
            stored = Histogram(platform, TO_STORED)
            influxd.start()
            catch_up = CatchUp(time.monotonic(), look_until(0.0, memory, spool))
            look_until(time.monotonic() + AFTER_S, memory, spool)
            stored_p99_s = Histogram(platform, TO_STORED).p99_since(stored)
        wait_for(lambda: _is_settled(platform, spool, load.count), "all is in InfluxDB", 60)
        count, total = _in_influxdb(influxd)
        refused = spool.counts().refused
    assert (count, total, refused) == (load.count, load.sum, 0)
    _record(load, catch_up, memory.growth(), ack_p99_s, stored_p99_s)


def _is_settled(platform: Platform, spool: Spool, count: int) -> bool:
    stats = platform.get("/stats")
    done = stats["messages_received"] >= count and not stats["messages_pending"]
    return done and not spool.counts().lines


def _in_influxdb(influxd: Influxd) -> tuple[int, int]:
    """Number and sum of what is stored."""
    with closing(Server(Address(influxd.url))) as server:
        question = 'SELECT count(dns_ms), sum(dns_ms) FROM "connectivity-probe"'
        (row,) = server.query(RAW, question)
    return round(row["count"]), round(row["sum"])


def _record(
    load: Load,
    catch_up: CatchUp,
    growth: dict[str, int],
    ack_p99_s: float,
    stored_p99_s: float,
) -> None:
    down = f"down {DOWN_S:.0f} s at {LIVE_RATE:,.0f} messages/s"
    record("influx-lost", f"0 of {load.count:,}; {down}", met=True)
    grown = ", ".join(f"{name} {count / 1e6:.0f} MB" for name, count in growth.items())
    total = sum(growth.values())
    record("influx-memory", f"{total / 1e6:.0f} MB in all: {grown}; {down}", met=total < 50e6)
    record(
        "influx-puback",
        f"{ack_p99_s * 1000:.0f} ms from arrival at the receiver to PUBACK; {down}",
        met=ack_p99_s <= 0.05,
    )
    record(
        "influx-catch-up",
        f"{catch_up.rate / LIVE_RATE:.0f} times the live rate ({catch_up.waiting:,} lines in"
        f" {catch_up.took_s:.1f} s, begun {catch_up.idle_s:.0f} s after InfluxDB was back);"
        f" {stored_p99_s * 1000:.0f} ms from event to the platform's disk, where alerts and latest"
        " readings come from",
        met=catch_up.rate >= 5 * LIVE_RATE and stored_p99_s <= 2,
    )

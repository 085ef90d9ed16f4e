"""The figures behind docs/decisions: each function measures one choice against its alternative.

python -m bench.choices                      all but the broker, about 20 s
python -m bench.choices sqlite               one of: decode, columns, sqlite, journal
python -m bench.choices broker --backlog 500000     pauses of Mosquitto's snapshots
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from devices.readings import Readings
from runtime.ports import is_open, require_free

ROOT = Path(__file__).resolve().parents[1]
PAYLOAD = (
    b'{"v":1,"boot":"9f2c","seq":4711,"ts":1790000000123,"up":86400,"m":{"nat_rtt_p50_ms":21.4,'
    b'"nat_rtt_p95_ms":33.1,"nat_loss_pct":0.0,"nat_jitter_ms":1.2,"dns_ms":14.2,"http_ms":87.0}}'
)
ROWS = 200_000


def decode() -> None:
    """msgspec against the standard library, on a payload of six metrics."""
    print(f"decode with json: {_us_each(lambda: json.loads(PAYLOAD), 50_000):.2f} us")
    decoder = msgspec.json.Decoder()
    print(f"decode with msgspec: {_us_each(lambda: decoder.decode(PAYLOAD), 50_000):.2f} us")
    for bad in (b"NaN", b"1e400", b'"\\ud800"'):
        print(f"{bad.decode()}: json takes it: {_takes(json.loads, bad)};", end=" ")
        print(f"msgspec takes it: {_takes(decoder.decode, bad)}")


@dataclass(slots=True)
class _Reading:
    series: int
    at_ms: int
    received_ms: int
    value: float


def columns() -> None:
    """A range check over 20,000 readings, as columns and as objects."""
    count, at_ms = 20_000, 1_790_000_000_000
    values = np.random.default_rng(1).normal(20, 5, count)
    tracemalloc.start()
    objects = [_Reading(n, at_ms + n, at_ms + n, float(v)) for n, v in enumerate(values)]
    object_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    numbers = [at_ms + n for n in range(count)]
    readings = Readings.of(list(range(count)), numbers, numbers, values.tolist())
    column_bytes = sum(
        c.nbytes for c in (readings.series, readings.at_ms, readings.received_ms, readings.value)
    )
    print(f"memory of a reading: {object_bytes / count:.0f} B as object,", end=" ")
    print(f"{column_bytes / count:.0f} B in columns")
    slow = _us_each(lambda: [not 0 <= r.value <= 35 for r in objects], 20) / count
    fast = _us_each(lambda: (readings.value < 0) | (readings.value > 35), 200) / count
    print(f"range check of a reading: {slow * 1000:.0f} ns as object, {fast * 1000:.1f} ns")


def sqlite() -> None:
    """Rows a second into a (series, time) table, for three sizes of a commit; full sync."""
    for size in (50, 500, 20_000):
        with tempfile.TemporaryDirectory(dir=ROOT) as directory:
            database = sqlite3.connect(Path(directory) / "series.db", isolation_level=None)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.execute(
                "CREATE TABLE raw (series INTEGER, at_ms INTEGER, value REAL,"
                " PRIMARY KEY (series, at_ms)) WITHOUT ROWID"
            )
            rows = [(n % 6000, n // 6000, 21.4) for n in range(ROWS)]
            began = time.perf_counter()
            for start in range(0, ROWS, size):
                database.execute("BEGIN")
                database.executemany("INSERT INTO raw VALUES (?, ?, ?)", rows[start : start + size])
                database.execute("COMMIT")
            rate = ROWS / (time.perf_counter() - began)
            database.close()
        print(f"sqlite, {size} rows a commit: {rate:,.0f} rows/s")


def journal() -> None:
    """Messages a second onto the disk when 1, 50 or 500 of them share one fsync."""
    record = b"x" * 260
    for group in (1, 50, 500):
        count = group * 200
        with tempfile.NamedTemporaryFile(dir=ROOT, buffering=0) as file:
            began = time.perf_counter()
            for _ in range(200):
                file.write(record * group)
                os.fsync(file.fileno())
            seconds = time.perf_counter() - began
        print(f"journal, {group} messages an fsync: {count / seconds:,.0f} messages/s,", end=" ")
        print(f"{seconds / 200 * 1000:.2f} ms a group")


def broker(backlog: int) -> None:
    """How long Mosquitto's snapshots hold up a publisher, with a backlog for an absent ingest."""
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        directory, port = Path(name), require_free("127.0.0.1", 0, what="the broker", flag="")
        process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", _configuration(directory, port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not is_open("127.0.0.1", port):
                time.sleep(0.05)
            _leave_a_session(port)
            pauses = _publish(port, backlog)
            resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096
            size = (directory / "data/mosquitto.db").stat().st_size
        finally:
            process.terminate()
            process.wait(60)
    print(f"broker, backlog {backlog:,}: memory {resident / 1e6:.0f} MB, file {size / 1e6:.0f} MB")
    print(f"acknowledgement of {len(pauses)} publishes: {_quantiles(pauses)}")


def _configuration(directory: Path, port: int) -> Path:
    """deploy/mosquitto's settings without its logins."""
    (directory / "config/conf.d").mkdir(parents=True)
    (directory / "data").mkdir()
    text = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text()
    text = text.replace("/mosquitto", str(directory)).replace("listener 1883", f"listener {port}")
    lines = [x for x in text.splitlines() if not x.startswith(("allow_", "password_", "acl_"))]
    lines += ["allow_anonymous true", "user root" if os.getuid() == 0 else ""]
    path = directory / "mosquitto.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def _client(port: int, name: str, *, clean: bool) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def _leave_a_session(port: int) -> None:
    granted: list[int] = []
    client = _client(port, "ingest", clean=False)
    client.on_subscribe = lambda *_: granted.append(1)
    client.subscribe("gov/v1/#", 1)
    while not granted:
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()


def _publish(port: int, backlog: int) -> list[float]:
    """Publish the backlog; then, over three snapshots, the seconds that each publish waited."""
    client = _client(port, "load", clean=True)
    for start in range(0, backlog, 2000):
        sent = [
            client.publish(f"gov/v1/LA-LP/probe-{n % 400:04d}/telemetry", PAYLOAD, 1)
            for n in range(start, min(start + 2000, backlog))
        ]
        sent[-1].wait_for_publish(60)
    pauses = []
    until = time.monotonic() + 18
    while time.monotonic() < until:
        began = time.perf_counter()
        client.publish("gov/v1/LA-LP/live/telemetry", PAYLOAD, 1).wait_for_publish(60)
        pauses.append(time.perf_counter() - began)
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()
    return pauses


def _quantiles(seconds: list[float]) -> str:
    p50, p99, worst = (np.quantile(seconds, q) * 1000 for q in (0.5, 0.99, 1))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {worst:.0f} ms"


def _us_each(call: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times * 1e6


def _takes(decoder: Callable[[bytes], object], text: bytes) -> bool:
    try:
        decoder(text)
    except ValueError:
        return False
    return True


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    measures = {f.__name__: f for f in (decode, columns, sqlite, journal)}
    parser.add_argument("what", nargs="*", choices=[*measures, "broker", []])
    parser.add_argument("--backlog", type=int, default=100_000, help="messages (default: 100,000)")
    args = parser.parse_args()
    for name in args.what or measures:
        broker(args.backlog) if name == "broker" else measures[name]()


if __name__ == "__main__":
    main()

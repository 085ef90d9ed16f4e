"""The API: how long answers take, alone and beside heavy questions, and how live the stream is.

    python -m bench.api                   latency of common questions, 10,000 devices registered
    python -m bench.api --listeners 500   delay from commit to every one of 500 event streams

The API runs as a process of its own, the clients in this one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from devices.geography import DISTRICTS
from devices.readings import Readings
from devices.registry import Device, Registry, Site, Uplink
from storage.ledger.events import Event, add_events
from storage.ledger.facts import DeviceSeen, Facts, commit
from storage.ledger.keys import create_key
from storage.ledger.migrations import open_ledger
from storage.ledger.registry import add_registry
from storage.ledger.series import add_series
from storage.series.sqlite import SqliteSeries

DEVICES, DAYS, MINUTE_MS = 10_000, 30, 60_000
ROUNDS = 200
METRICS = ("dns_ms", "nat_rtt_p50_ms")  # that d0 has reported for DAYS
LATEST = (*METRICS, "nat_loss_pct", "gw_rtt_p50_ms", "int_rtt_p50_ms", "int_loss_pct")
QUESTIONS = {
    "one device's latest": "/devices/d5000/latest",
    "latest of a province": "/telemetry/latest?province=LA-VT",
    "a page of 100 devices": "/devices?limit=100",
    "every province with counts": "/provinces",
    "a day of one metric in 5 m": "/devices/d0/telemetry?metric=dns_ms&bucket=5m&from={day}",
    "a week of one metric in 1 h": "/devices/d0/telemetry?metric=dns_ms&bucket=1h&from={week}",
    "30 days of a site as a chart": "/telemetry?device=d0&points=1000&from={month}",
    "a day's p95 in 1 h": "/devices/d0/telemetry?metric=dns_ms&bucket=1h&agg=p95&from={day}",
    "1,000 raw readings": "/devices/d0/telemetry?metric=dns_ms&from={week}&limit=1000",
}
HEAVY = "/devices/d0/telemetry?metric=dns_ms&bucket=59s&from={week}&limit=1"


HEADERS: dict[str, str] = {}  # with the key of this run
UNLIMITED = "viewer=10000000, operator=10000000, admin=10000000, auditor=10000000"


def main() -> None:
    """Run one measurement and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, help="measure the event stream with this many")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        now_ms = time.time_ns() // 1_000_000
        fill(directory, now_ms)
        with serving(directory) as url:
            if args.listeners:
                asyncio.run(measure_stream(url, directory, args.listeners))
            else:
                measure_answers(url, now_ms)


def measure_answers(url: str, now_ms: int) -> None:
    """Print p50 and p99 of every question, then of /health beside heavy questions."""
    times = {
        name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ms / 1000 - days * 86_400))
        for name, days in (("day", 1), ("week", 7), ("month", DAYS))
    }
    for what, path in QUESTIONS.items():
        print(f"{what:32}", _quantiles(url + path.format(**times), ROUNDS))
    heavy = url + HEAVY.format(**times)
    print(f"{'a heavy question':32}", _quantiles(heavy, 5))
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(_quantiles, heavy, 5) for _ in range(4)]
        print(f"{'/health beside four of them':32}", _quantiles(f"{url}/health", ROUNDS))
        for one in asked:
            one.result()


async def measure_stream(url: str, directory: Path, count: int) -> None:
    """Print the delay from the commit of an event to its arrival at every listener."""
    ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
    open_streams = asyncio.Semaphore(0)
    arrived: list[float] = []

    async def listen(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", f"{url}/events") as answer:
            open_streams.release()
            async for line in answer.aiter_lines():
                if line.startswith("data"):
                    arrived.append(time.monotonic())
                    return

    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(
        timeout=60, trust_env=False, limits=limits, headers=HEADERS
    ) as client:
        tasks = [asyncio.create_task(listen(client)) for _ in range(count)]
        for _ in range(count):
            await open_streams.acquire()
        with ledger.begin() as connection:
            add_events(connection, [Event(0, "alert", {"text": "x" * 300})])
        committed = time.monotonic()
        await asyncio.gather(*tasks)
    delays = np.array(arrived) - committed
    ledger.close()
    print(
        f"{count} listeners: median {np.median(delays) * 1000:.0f} ms,"
        f" last {delays.max() * 1000:.0f} ms after the commit"
    )


def fill(directory: Path, now_ms: int) -> None:
    """10,000 devices, all heard, and a month of minutes of one of them."""
    ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
    series = SqliteSeries.open(directory / "series.db")
    uplink = (Uplink("LTC", "fibre", None, None),)
    sites = {
        f"s{n}": Site(f"s{n}", "S", "", "office", province, district, None, None, "A", uplink,
                      "", "normal")
        for n, (province, district) in enumerate(sorted(DISTRICTS))
    }  # fmt: skip
    devices = {
        f"d{n}": Device(f"d{n}", f"s{n % len(sites)}", "connectivity-probe", 60.0, 1, {})
        for n in range(DEVICES)
    }
    add_registry(ledger, Registry(sites, devices))
    latest = dict.fromkeys(LATEST, (now_ms, 14.25))
    made = create_key(ledger, name="bench", role="admin", days=1, now_ms=now_ms, by="bench")
    HEADERS["Authorization"] = f"Bearer {made.text}"
    latest = {"dns_ms": (now_ms, 14.0), "nat_rtt_p50_ms": (now_ms, 21.0)}
    seen = [DeviceSeen(device, now_ms, latest, None) for device in devices]
    commit(ledger, Facts(position=0, device_seen=seen), now_ms=now_ms)
    add_series(ledger, [(n, "d0", metric) for n, metric in enumerate(METRICS)])
    at_ms = [now_ms - n * MINUTE_MS for n in range(DAYS * 1440)]
    values = [float(n % 50) for n in range(len(at_ms))]
    for number in range(len(METRICS)):
        readings = Readings.of([number] * len(at_ms), at_ms, at_ms, values)
        series.write(readings, first=number, last=number + 1)
    series.roll_up(now_ms, budget_s=60)
    series.close()
    ledger.close()


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """`govsense api` on a free port: its address."""
    command = [sys.executable, "-m", "runtime", "--data-dir", str(directory), "api", "--port", "0"]
    environment = {**os.environ, "GOVSENSE_LIMITS__REQUESTS_PER_MINUTE": UNLIMITED}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip() + "/api/v1"
        while not _answers(url):
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.ConnectError:
        return False


def _quantiles(url: str, rounds: int) -> str:
    with httpx.Client(timeout=60, trust_env=False, headers=HEADERS) as client:
        spans = []
        for _ in range(rounds):
            began = time.monotonic()
            client.get(url).raise_for_status()
            spans.append(time.monotonic() - began)
    p50, p99 = np.quantile(spans, [0.5, 0.99]) * 1000
    return f"p50 {p50:7.1f} ms   p99 {p99:7.1f} ms"


if __name__ == "__main__":
    main()

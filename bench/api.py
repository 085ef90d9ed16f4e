"""The API: how long answers take, alone and beside heavy questions, and how live the stream is.

    python -m bench.api                   latency of common questions, 10,000 devices registered
    python -m bench.api --only latest     of those questions with this in their names
    python -m bench.api --listeners 500   delay from commit to every one of 500 event streams

The API runs as a process of its own, the clients in this one. Answers are asked for one after the
other, compressed, over one connection, and are there when their last byte is. Each question is
asked in three runs, of which the median is shown. The processor time is that of the whole API.
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
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import numpy as np

from bench import listeners
from bench.registered import CHARTED, DAYS, METRICS, by_size, fill

ROUNDS, RUNS = 200, 3
WARM = 20  # questions before the first that counts
QUESTIONS = {
    "one device's latest": "/devices/d5000/latest",
    "latest of a typical province, {typical}": "/telemetry/latest?province={typical_code}",
    "latest of the largest, {largest}": "/telemetry/latest?province={largest_code}",
    "30 days of a site, 6 metrics": "/telemetry?device=d{n}&points=1000&from={month}&metric={six}",
    "30 days of a site, 1 metric": "/telemetry?device=d{n}&points=1000&from={month}&metric=dns_ms",
    "a page of 100 devices": "/devices?limit=100",
    "every province with counts": "/provinces",
    "a day of one metric in 5 m": "/devices/d{n}/telemetry?metric=dns_ms&bucket=5m&from={day}",
    "a week of one metric in 1 h": "/devices/d{n}/telemetry?metric=dns_ms&bucket=1h&from={week}",
    "a day's p95 in 1 h": "/devices/d{n}/telemetry?metric=dns_ms&bucket=1h&agg=p95&from={day}",
    "1,000 raw readings": "/devices/d{n}/telemetry?metric=dns_ms&from={week}&limit=1000",
}
HEAVY = "/devices/d0/telemetry?metric=dns_ms&bucket=59s&from={week}&limit=1"
UNLIMITED = "viewer=10000000, operator=10000000, admin=10000000, auditor=10000000"


class Api(NamedTuple):
    """The API that is measured: its address, a key of it, its process."""

    url: str
    key: str
    pid: int

    def processor_s(self) -> float:
        """The time that it has used of a processor."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run one measurement and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--listeners", type=int, help="measure the event stream with this many")
    parser.add_argument("--only", metavar="TEXT", default="", help="questions with this text")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        now_ms = time.time_ns() // 1_000_000
        key = fill(directory, now_ms)
        with serving(directory, key) as api:
            if args.listeners:
                asyncio.run(listeners.measure(api.url, key, directory, args.listeners))
            else:
                measure_answers(api, now_ms, args.only)


def measure_answers(api: Api, now_ms: int, only: str) -> None:
    """Print p50 and p99 of the questions, then of /health beside heavy ones."""
    known = _known(now_ms)
    for what, path in QUESTIONS.items():
        if only in what:
            asked = [path.format(n=n, **known) for n in range(CHARTED)]
            print(f"{what.format(**known):40}", _quantiles(api, asked, ROUNDS), flush=True)
    if only:
        return
    heavy = [HEAVY.format(**known)]
    print(f"{'a heavy question':40}", _quantiles(api, heavy, 5))
    with ThreadPoolExecutor(4) as pool:
        beside = [pool.submit(_quantiles, api, heavy, 5) for _ in range(4)]
        print(f"{'/health beside four of them':40}", _quantiles(api, ["/health"], ROUNDS))
        for one in beside:
            one.result()


def _known(now_ms: int) -> dict[str, str]:
    """What the questions ask about."""
    provinces = by_size()
    (typical, typical_code), (largest, largest_code) = provinces[len(provinces) // 2], provinces[-1]
    times = {
        name: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ms / 1000 - days * 86_400))
        for name, days in (("day", 1), ("week", 7), ("month", DAYS))
    }
    return {
        **times,
        "six": ",".join(METRICS),
        "typical": f"{typical} devices",
        "typical_code": typical_code,
        "largest": f"{largest} devices",
        "largest_code": largest_code,
    }


@contextmanager
def serving(directory: Path, key: str) -> Iterator[Api]:
    """`govsense api` on a free port."""
    command = [sys.executable, "-m", "runtime", "--data-dir", str(directory), "api", "--port", "0"]
    environment = {**os.environ, "GOVSENSE_LIMITS__REQUESTS_PER_MINUTE": UNLIMITED}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip() + "/api/v1"
        while not _answers(url):
            time.sleep(0.05)
        yield Api(url, key, process.pid)
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.ConnectError:
        return False


def _quantiles(api: Api, paths: list[str], rounds: int) -> str:
    """The figures of these paths, asked for in turn."""
    parts = urlsplit(api.url)
    connection = HTTPConnection(parts.netloc, timeout=60)
    headers = {"Authorization": f"Bearer {api.key}", "Accept-Encoding": "gzip"}

    def asked(n: int) -> float:
        began = time.perf_counter()
        connection.request("GET", parts.path + paths[n % len(paths)], headers=headers)
        answer = connection.getresponse()
        answer.read()
        took = time.perf_counter() - began
        if answer.status != 200:
            raise SystemExit(f"{paths[n % len(paths)]} was answered with {answer.status}")
        return took

    for n in range(min(WARM, rounds)):
        asked(n)
    used = api.processor_s()
    runs = [np.quantile([asked(n) for n in range(rounds)], [0.5, 0.99]) for _ in range(RUNS)]
    used = (api.processor_s() - used) / (RUNS * rounds)
    connection.close()
    p50, p99 = (np.median([run[n] for run in runs]) * 1000 for n in (0, 1))
    low, high = (edge([run[1] for run in runs]) * 1000 for edge in (min, max))
    return (
        f"p50 {p50:6.1f}  p99 {p99:6.1f} ms (runs {low:.1f} to {high:.1f})"
        f"  processor {used * 1000:5.1f} ms"
    )


if __name__ == "__main__":
    main()

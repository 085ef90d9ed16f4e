"""The stores alone: rows a second into the series, and milliseconds of a batch's ledger commit.

    python -m bench.series

One process, one core, full sync, on the disk of --directory. Each write holds the next rounds of
every series; the last ten of thirty are told apart, since pages begin to split after a while.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from devices.readings import Readings
from storage.ledger.facts import DeviceSeen, Facts, commit
from storage.ledger.migrations import open_ledger
from storage.series.levels import DAY_MS, FIVE_MINUTES_MS
from storage.series.sqlite import SqliteSeries

START_MS = 1_790_000_100_000 // DAY_MS * DAY_MS
WRITES = 30
METRICS = ("nat_rtt_p50_ms", "nat_rtt_p95_ms", "nat_loss_pct", "nat_jitter_ms", "dns_ms", "http_ms")


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=6000, help="series (default: 6000)")
    parser.add_argument("--rounds", type=int, default=4, help="rounds a write (default: 4)")
    parser.add_argument("--directory", type=Path, default=Path(), help="where to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory) as name:
        measure_series(Path(name) / "series.db", args.series, args.rounds)
        measure_ledger(Path(name) / "ledger.db", args.series // len(METRICS))


def measure_series(path: Path, count: int, rounds: int) -> None:
    """Writes of new rows, of rows that are stored already, roll-ups and reads."""
    store = SqliteSeries.open(path)
    batches = [batch(count, rounds, first=n * rounds) for n in range(WRITES)]
    rows = count * rounds
    new = [took(partial(store.write, batches[n], first=n, last=n + 1)) for n in range(WRITES)]
    print(f"write {rows:,} new rows: {rows * WRITES / sum(new):,.0f} rows/s", end=" ")
    print(f"(last ten {rows * 10 / sum(new[-10:]):,.0f}), longest {max(new) * 1000:.0f} ms")
    again = [took(partial(store.write, batches[n], first=n + 100, last=n + 101)) for n in range(5)]
    print(f"write {rows:,} known rows: {rows * 5 / sum(again):,.0f} rows/s")
    end_ms = START_MS + DAY_MS
    rolled = took(partial(store.roll_up, end_ms, budget_s=60))
    marks = count * -(-WRITES * rounds * 60_000 // FIVE_MINUTES_MS)
    print(f"roll up: {marks / rolled:,.0f} buckets of 5 minutes a second, with their hour and day")
    asked = list(range(6))
    for bucket_ms in (60_000, FIVE_MINUTES_MS):
        ask = partial(store.buckets, asked, START_MS, end_ms, interval_ms=60_000)
        read = took(partial(ask, bucket_ms=bucket_ms))
        print(f"read a day of 6 series in buckets of {bucket_ms // 1000} s: {read * 1000:.1f} ms")
    store.close()


def measure_ledger(path: Path, devices: int) -> None:
    """Commits of a batch in which every device was heard."""
    ledger = open_ledger(f"sqlite:///{path}")
    times = []
    for n in range(20):
        at_ms = START_MS + n * 60_000
        latest = dict.fromkeys(METRICS, (at_ms, 21.4 + n))
        facts = Facts(
            position=n,
            device_seen=[DeviceSeen(f"probe-{d}", at_ms, latest, None) for d in range(devices)],
            accounting={(f"probe-{d}", START_MS): (1, 0, 0, 0) for d in range(devices)},
            totals={"messages_stored": devices, "readings_stored": devices * len(METRICS)},
        )
        times.append(took(lambda f=facts: commit(ledger, f, now_ms=START_MS)))  # type: ignore[misc]
    times = sorted(times)
    print(f"commit of {devices:,} devices: median {times[10] * 1000:.1f} ms", end=", ")
    print(f"longest {times[-1] * 1000:.1f} ms")
    ledger.close()


def batch(count: int, rounds: int, *, first: int) -> Readings:
    """Consecutive rounds, a minute apart, of every series, in order of arrival."""
    at_ms = np.repeat(START_MS + (first + np.arange(rounds)) * 60_000, count)
    series = np.tile(np.arange(count, dtype=np.int32), rounds)
    value = np.random.default_rng(first).normal(21.4, 3.0, len(series)).round(2)
    return Readings(series, at_ms, at_ms + 200, value)


def took(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

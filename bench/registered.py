"""A country for the benchmarks of the API: 10,000 probes that were all just heard, a month of some.

A probe says its six main metrics in every round; the month is kept for a few of them, since a chart
reads its own series only.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import numpy as np

from devices.geography import DISTRICTS
from devices.readings import Readings
from devices.registry import Device, Registry, Site, Uplink
from storage.ledger.facts import DeviceSeen, Facts, commit
from storage.ledger.keys import create_key
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.registry import add_registry
from storage.ledger.series import add_series
from storage.series.sqlite import SqliteSeries

DEVICES, DAYS, MINUTE_MS = 10_000, 30, 60_000
CHARTED = 5  # probes d0, d1, ... with a month of minutes
METRICS = (
    "dns_ms", "nat_rtt_p50_ms", "nat_loss_pct", "gw_rtt_p50_ms", "int_rtt_p50_ms", "int_loss_pct",
)  # fmt: skip


def fill(directory: Path, now_ms: int) -> str:
    """Make the stores in a directory; returns a key for them."""
    ledger = ledger_of(directory)
    draw = random.Random(7)
    add_registry(ledger, _registry())
    _commit_latest(ledger, now_ms, draw)
    _write_month(ledger, directory, now_ms)
    made = create_key(ledger, name="bench", role="admin", days=1, now_ms=now_ms, by="bench")
    ledger.close()
    return made.text


def ledger_of(directory: Path) -> Ledger:
    """The ledger of a directory."""
    return open_ledger(f"sqlite:///{directory / 'ledger.db'}")


def by_size() -> list[tuple[int, str]]:
    """(probes, province), the smallest first."""
    found = Counter(province for province, _ in _places())
    return sorted((count, province) for province, count in found.items())


def _places() -> list[tuple[str, str]]:
    """Province and district of each probe, the districts in turn."""
    districts = sorted(DISTRICTS)
    return [districts[n % len(districts)] for n in range(DEVICES)]


def _registry() -> Registry:
    """An office for each probe."""
    uplink = (Uplink("LTC", "fibre", 50.0, 25.0),)
    sites, devices = {}, {}
    for n, (province, district) in enumerate(_places()):
        sites[f"s{n}"] = Site(
            f"s{n}", f"Office {n}", "ຫ້ອງການ", "office", province, district, None, None,
            "Health", uplink, "", "normal",
        )  # fmt: skip
        devices[f"d{n}"] = Device(f"d{n}", f"s{n}", "connectivity-probe", 60.0, 1, {})
    return Registry(sites, devices)


def _commit_latest(ledger: Ledger, now_ms: int, draw: random.Random) -> None:
    """Every probe said something in the last minute."""
    seen = []
    for n in range(DEVICES):
        at_ms = now_ms - draw.randrange(MINUTE_MS)
        latest = {name: (at_ms, round(draw.uniform(0, 90), 1)) for name in METRICS}
        seen.append(DeviceSeen(f"d{n}", at_ms, latest, None))
    commit(ledger, Facts(position=0, device_seen=seen), now_ms=now_ms)


def _write_month(ledger: Ledger, directory: Path, now_ms: int) -> None:
    names = [(f"d{n}", metric) for n in range(CHARTED) for metric in METRICS]
    add_series(ledger, [(n, device, metric) for n, (device, metric) in enumerate(names)])
    store = SqliteSeries.open(directory / "series.db")
    at_ms = now_ms - np.arange(DAYS * 1440, dtype=np.int64)[::-1] * MINUTE_MS
    draw = np.random.default_rng(7)
    for number in range(len(names)):
        values = draw.gamma(4, 6, len(at_ms)).round(1)
        readings = Readings(np.full(len(at_ms), number, np.int32), at_ms, at_ms + 300, values)
        store.write(readings, first=number, last=number + 1)
    while store.roll_up(now_ms, budget_s=5):
        time.sleep(0)
    store.close()

"""How long a report takes: a month of a country, from an empty cache to the last byte.

    python -m bench.reports                     2,000 sites, the month before and the month
    python -m bench.reports --sites 300

The days of bins and the speed tests are made up; the bins themselves are left out, as a report does
not read them. `--parts` shows where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from detection.outages import Bin
from devices.geography import DISTRICTS
from devices.registry import Device, Registry, Site, Uplink
from reports.calendars import CalendarName, read_working_hours
from reports.issuing import Asked, report_now
from reports.periods import DAY_MS, midnight_ms, period_named
from reports.rules import Rules
from storage.ledger.bins import put_bins
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.registry import add_registry
from storage.ledger.report_data import Within
from storage.ledger.schema import bin_days, speed_days
from storage.ledger.speed_tests import PACKED

FIRST, MONTH, LAST = date(2026, 9, 1), "2026-10", date(2026, 11, 1)
TESTS_A_DAY = 4
AGENCIES = ("Health", "Education", "Interior", "Finance", "Water", "Posts")
PROVIDERS = ("LTC", "Unitel", "ETL", "TPLUS", "LaoSat")


def main() -> None:
    """Run and print the figures."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as name:
        ledger = open_ledger(args.ledger or f"sqlite:///{Path(name) / 'ledger.db'}")
        began = time.perf_counter()
        _fill(ledger, args.sites)
        print(f"filled in {time.perf_counter() - began:.1f} s: {args.sites} sites")
        rules = Rules(read_working_hours())
        now_ms = midnight_ms(LAST) + 3 * DAY_MS
        calendars: tuple[CalendarName, ...] = ("24x7", "working-hours")
        scopes = {"country": Within(), "province": Within(province="LA-LP")}
        for what, within in scopes.items():
            for calendar in calendars:
                asked = Asked(within, period_named(MONTH), calendar)
                _measure(f"{what}, {calendar}", partial(report_now, ledger, asked, rules, now_ms))
        if args.parts:
            whole = Asked(Within(), period_named(MONTH), "24x7")
            _profile(partial(report_now, ledger, whole, rules, now_ms))
        ledger.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sites", type=int, default=2000)
    parser.add_argument("--ledger", metavar="URL", help="an empty database instead of a new file")
    parser.add_argument("--parts", action="store_true", help="show where the time goes")
    return parser.parse_args()


def _measure(what: str, run: Callable[[], str]) -> None:
    times, used = [], []
    for _ in range(5):
        began, began_used = time.perf_counter(), time.process_time()
        text = run()
        times.append(time.perf_counter() - began)
        used.append(time.process_time() - began_used)
    size = len(text.encode()) / 1e6
    shown = " ".join(f"{one:.2f}" for one in times)
    print(f"{what}: first (issued) and four more: {shown} s; {size:.1f} MB of JSON;", end=" ")
    print(f"of the processor at least {min(used):.2f} s")


def _profile(run: Callable[[], str]) -> None:
    profile = cProfile.Profile()
    profile.runcall(run)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(25)


def _fill(ledger: Ledger, sites: int) -> None:
    draw = random.Random(7)
    registry = _registry(sites, draw)
    add_registry(ledger, registry)
    with ledger.begin() as connection:
        for rows in _day_rows(registry, draw):
            connection.execute(insert(bin_days), rows)
        for rows in _test_rows(registry, draw):
            connection.execute(insert(speed_days), rows)
        site = next(iter(registry.sites))
        put_bins(connection, [Bin(site, midnight_ms(LAST), "UP", False, 1)])


def _registry(count: int, draw: random.Random) -> Registry:
    districts = list(DISTRICTS)
    sites, devices = {}, {}
    for n in range(count):
        province, district = districts[n % len(districts)]
        uplink = Uplink(draw.choice(PROVIDERS), "fibre", draw.choice([20.0, 50.0, 100.0]), 10.0)
        name = f"site-{n:05}"
        sites[name] = Site(
            name, f"Office {n}", "ຫ້ອງການ", "office", province, district, None, None,
            draw.choice(AGENCIES), (uplink,), "", "normal",
        )  # fmt: skip
        devices[f"probe-{n:05}"] = Device(f"probe-{n:05}", name, "connectivity-probe", 60.0, 1, {})
    return Registry(sites, devices)


def _days() -> Iterator[int]:
    yield from range(midnight_ms(FIRST), midnight_ms(LAST), DAY_MS)


def _day_rows(registry: Registry, draw: random.Random) -> Iterator[list[dict[str, Any]]]:
    """Four days in ten with an outage or a gap of an hour."""
    for day_ms in _days():
        rows = []
        for site in registry.sites:
            states = "U" * 288
            if draw.random() < 0.4:
                at = draw.randrange(270)
                states = states[:at] + draw.choice("DDKGu") * 12 + states[at + 12 :]
            rows.append({"day_ms": day_ms, "site": site, "states": states})
        yield rows


def _test_rows(registry: Registry, draw: random.Random) -> Iterator[list[dict[str, Any]]]:
    for day_ms in _days():
        yield [
            {
                "day_ms": day_ms,
                "device": device,
                "tests": b"".join(_test(day_ms, n, draw) for n in range(TESTS_A_DAY)),
            }
            for device in registry.devices
        ]


def _test(day_ms: int, n: int, draw: random.Random) -> bytes:
    apart_ms = DAY_MS // TESTS_A_DAY
    at_ms = day_ms + n * apart_ms + draw.randrange(apart_ms)
    down_mbps, up_mbps = draw.uniform(5, 100), draw.uniform(2, 30)
    return PACKED.pack(at_ms, down_mbps, up_mbps, draw.uniform(5, 80), 10.0, 10.0)


if __name__ == "__main__":
    main()

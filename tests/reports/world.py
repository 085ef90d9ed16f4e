"""Three offices with a month of bins and speed tests in a ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from detection.outages import BIN_MS, LETTERS, Bin, BinState
from devices.registry import Device, Registry, Site, Uplink
from reports.calendars import CalendarName, read_working_hours
from reports.issuing import Asked
from reports.periods import DAY_MS, midnight_ms, period_named
from reports.rules import Rules
from storage.ledger.facts import Facts, commit
from storage.ledger.migrations import Ledger
from storage.ledger.registry import add_registry
from storage.ledger.report_data import Within
from storage.ledger.speed_tests import SpeedTest

START = midnight_ms(date(2026, 9, 1))  # a Tuesday
DAYS = 30
END = START + DAYS * DAY_MS
FINAL = END + 3 * DAY_MS
RULES = Rules(read_working_hours())
MONTH = period_named("2026-09")
STATES: dict[str, BinState] = {letter: state for state, letter in LETTERS.items()}


def registry() -> Registry:
    """Two health offices and a school in two provinces, and one that is never heard."""
    fast, slow = Uplink("LTC", "fibre", 50.0, 25.0), Uplink("ETL", "4g", 20.0, None)
    places = {
        "a": ("LA-LP", "luangprabang", "Health", (fast,)),
        "b": ("LA-LP", "luangprabang", "Education", (slow, fast)),
        "c": ("LA-VT", "chanthabuly", "Health", (fast,)),
        "ghost": ("LA-VT", "chanthabuly", "Health", (slow,)),
    }
    sites = {
        name: Site(
            name, f"Office {name}", "ຫ້ອງການ", "office", province, district, None, None, agency,
            uplinks, "", "normal",
        )
        for name, (province, district, agency, uplinks) in places.items()
    }  # fmt: skip
    devices = [Device(f"p-{name}", name, "connectivity-probe", 60.0, 1, {}) for name in places]
    devices.append(Device("p-b2", "b", "connectivity-probe", 60.0, 2, {}))
    return Registry(sites, {one.device: one for one in devices})


def put(ledger: Ledger, site: str, first: int, letters: str, *, revision: int = 1) -> None:
    """Bins of a site from the first-th of the month on; a dot leaves one out."""
    commit(ledger, Facts(0, bins=list(bins(site, first, letters, revision))), now_ms=0)


def bins(site: str, first: int, letters: str, revision: int = 1) -> Iterator[Bin]:
    """Bins from letters."""
    for n, letter in enumerate(letters, first):
        if letter != ".":
            start_ms = START + n * BIN_MS
            yield Bin(site, start_ms, STATES[letter.upper()], letter.islower(), revision)


def leave_out(ledger: Ledger, site: str, first: int, count: int, window: str | None) -> None:
    """Bins that a window leaves out; None: that it leaves out no more."""
    state: BinState = "UP" if window is None else "EXCLUDED"
    times = range(START + first * BIN_MS, START + (first + count) * BIN_MS, BIN_MS)
    changed = [Bin(site, at_ms, state, False, 2, window) for at_ms in times]
    commit(ledger, Facts(0, bins=changed), now_ms=0)


def put_tests(ledger: Ledger, tests: Sequence[SpeedTest]) -> None:
    """Keep speed tests."""
    commit(ledger, Facts(0, speed_tests=list(tests)), now_ms=0)


def fill(ledger: Ledger) -> None:
    """a: an hour down on the 1st at 10:00, two on backup; b begins on the 16th; c: ten unknown."""
    add_registry(ledger, registry())
    month = DAYS * 288
    put(ledger, "a", 0, "U" * 120 + "D" * 12 + "u" * 24 + "U" * (month - 156))
    put(ledger, "b", 15 * 288, "U" * 286 + "DD" + "G" * (14 * 288))
    put(ledger, "c", 0, "U" * 1000 + "K" * 120 + "X" * 6 + "U" * (month - 1126))
    speeds = {"p-a": (45.0, 22.0), "p-b": (15.0, 4.0), "p-b2": (30.0, 30.0), "p-c": (60.0, 30.0)}
    put_tests(
        ledger,
        [
            SpeedTest(device, START + day * DAY_MS + 11 * 3_600_000, down, up, 12.0, 10.0, 10.0)
            for device, (down, up) in speeds.items()
            for day in range(12)
        ],
    )


def asked(calendar: CalendarName = "24x7", **within: str) -> Asked:
    """A question about the month."""
    return Asked(Within(**within), MONTH, calendar)

"""Any changed byte of a report, and any changed row that it is made from, is found."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Row, delete, insert, select, update

from detection.outages import BIN_MS
from reports.issuing import Asked, report_now
from reports.periods import Period
from reports.verifying import NoReportError, verify
from storage.ledger.migrations import Ledger
from storage.ledger.report_data import Within
from storage.ledger.schema import bins, sites, speed_days
from tests.cases import cases
from tests.reports.test_planned_work import HOUR_MS, window
from tests.reports.world import FINAL, RULES, START, leave_out

FIRST = 120  # bin of the month: 10:00 on the 1st
PERIOD = Period("", START + 10 * HOUR_MS, START + 12 * HOUR_MS)
HEALTH = Asked(Within(agency="Health"), PERIOD, "24x7")  # a, c and the ghost
DIGESTS = ("digest", "bins", "left_out", "speed_tests")


@pytest.fixture
def content(ledger: Ledger) -> bytes:
    """A report of two hours with an outage, a backup, planned work and speed tests."""
    own = window(ledger, "site", "c", "mast repair")
    leave_out(ledger, "c", FIRST + 3, 6, own.window)
    text = report_now(ledger, HEALTH, RULES, FINAL).encode()
    assert verify(text, ledger, RULES) == []
    return text


def fails(content: bytes, ledger: Ledger) -> bool:
    """Whether it does not verify."""
    try:
        return bool(verify(content, ledger, RULES))
    except NoReportError:
        return True


def test_every_digit_of_every_digest(ledger: Ledger, content: bytes) -> None:
    """Each of the four, digit by digit."""
    for name in DIGESTS:
        start = content.index(f'"{name}":"'.encode()) + len(name) + 4
        assert len(json.loads(content[start - 1 : start + 65])) == 64
        for place in range(start, start + 64):
            other = b"0" if content[place : place + 1] != b"0" else b"1"
            assert fails(content[:place] + other + content[place + 1 :], ledger), (name, place)


def test_any_byte_of_the_report(ledger: Ledger, content: bytes) -> None:
    """To any other value; a thousand of them in every run, 20,000 in a thorough one."""
    draw = random.Random(5)
    for _ in range(cases(1000, 20_000)):
        place, value = draw.randrange(len(content)), draw.randrange(256)
        if content[place] != value:
            changed = content[:place] + bytes([value]) + content[place + 1 :]
            assert fails(changed, ledger), (place, value, content[place - 20 : place + 20])


def test_any_bin(ledger: Ledger, content: bytes) -> None:
    """Of every bin of the period: its state, its link, by what it is left out, and that it is."""
    inside = (bins.c.start_ms >= PERIOD.start_ms, bins.c.start_ms < PERIOD.end_ms)
    ours = bins.c.site.in_(("a", "c"))
    with ledger.read() as connection:
        rows = connection.execute(select(bins).where(ours, *inside)).all()
    assert len(rows) == 2 * (PERIOD.end_ms - PERIOD.start_ms) // BIN_MS
    for row in rows:
        for values in _other_bins(row):
            assert _fails_with(ledger, content, row, values), (row, values)
    assert verify(content, ledger, RULES) == []


def _other_bins(row: Row[Any]) -> Iterator[dict[str, Any] | None]:
    yield None
    yield {"state": "UNKNOWN"}
    yield {"state": "DEGRADED"}
    yield {"on_backup": not row.on_backup}
    if row.excluded_by is not None:
        yield {"excluded_by": "w0"}
        yield {"excluded_by": None}


def _fails_with(
    ledger: Ledger, content: bytes, row: Row[Any], values: dict[str, Any] | None
) -> bool:
    """Whether it does not verify with that bin changed, or gone; the bin is put back."""
    which = (bins.c.site == row.site, bins.c.start_ms == row.start_ms)
    with ledger.begin() as connection:
        if values is None:
            connection.execute(delete(bins).where(*which))
        else:
            connection.execute(update(bins).where(*which).values(**values))
    found = fails(content, ledger)
    with ledger.begin() as connection:
        connection.execute(delete(bins).where(*which))
        connection.execute(insert(bins), [row._asdict()])
    return found


def test_any_byte_of_a_speed_test(ledger: Ledger, content: bytes) -> None:
    """Of the time and the five values of each test of the period."""
    first = speed_days.c.day_ms == START
    with ledger.read() as connection:
        rows = connection.execute(
            select(speed_days).where(first, speed_days.c.device.in_(("p-a", "p-c")))
        ).all()
    assert [len(row.tests) for row in rows] == [48, 48]
    for row in rows:
        which = (first, speed_days.c.device == row.device)
        for place in range(48):
            packed = bytearray(row.tests)
            packed[place] ^= 1
            _put_tests(ledger, which, bytes(packed))
            assert fails(content, ledger), (row.device, place)
        _put_tests(ledger, which, b"")
        assert fails(content, ledger)
        _put_tests(ledger, which, row.tests)
    assert verify(content, ledger, RULES) == []


def _put_tests(ledger: Ledger, which: Any, packed: bytes) -> None:
    with ledger.begin() as connection:
        connection.execute(update(speed_days).where(*which).values(tests=packed))


@pytest.mark.parametrize("name", ["name_en", "name_lo", "province", "district", "agency"])
def test_the_registry(ledger: Ledger, content: bytes, name: str) -> None:
    """What the report says of a site, and what it was chosen by."""
    value = "LA-XE" if name == "province" else "other"
    with ledger.begin() as connection:
        connection.execute(update(sites).where(sites.c.site == "a").values({name: value}))
    assert fails(content, ledger)

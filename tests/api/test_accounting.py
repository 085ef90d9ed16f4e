"""Accounting by device and hour, and its sums."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.registry import Device, Registry
from storage.ledger.accounting import device_hours
from storage.ledger.accounting_totals import sum_hours
from storage.ledger.facts import DeviceSeen, Facts, commit
from storage.ledger.migrations import open_ledger
from storage.ledger.registry import add_registry
from storage.ledger.sequences import SequenceRow
from tests.api.world import HOUR_MS, NOW_MS, World, registry

COUNTS = ("expected", "received", "late", "duplicate", "quarantined", "missing")


def test_every_hour_of_a_device_is_accounted_for(world: World) -> None:
    """The day before now, hour by hour; pages hold the same."""
    hours = world.items("/devices/p0/accounting")
    assert len(hours) == 24
    assert world.items("/devices/p0/accounting", limit=5) == hours
    assert hours[-1] == {
        "hour": "2026-10-05T01:00:00.000Z",
        "expected": 1, "received": 70, "late": 0, "duplicate": 0, "quarantined": 1, "missing": 0,
    }  # fmt: skip


def test_pages_that_begin_within_an_hour_repeat_none(world: World) -> None:
    """A range from half past has every hour that it touches once."""
    asked = {"from_": "2026-10-04T22:30:00Z", "to": "2026-10-05T01:30:00Z"}
    hours = [row["hour"] for row in world.items("/devices/p0/accounting", limit=1, **asked)]
    assert [hour[11:16] for hour in hours] == ["22:00", "23:00", "00:00", "01:00"]


def test_the_sum_over_all_devices(world: World) -> None:
    """/accounting adds devices and hours; a province has its own."""
    everything = world.get("/accounting")
    assert (everything["devices"], everything["received"], everything["late"]) == (5, 133, 2)
    assert world.get("/accounting", province="LA-VT")["received"] == 3
    with_hours = [
        hour
        for device in ("p0", "n0", "c0", "n1", "old")
        for hour in world.items("/devices/" + device + "/accounting")
    ]
    assert {name: sum(hour[name] for hour in with_hours) for name in COUNTS} == {
        name: everything[name] for name in COUNTS
    }


def test_missing_numbers_are_those_of_the_sequences(own_world: World) -> None:
    """The counts are what /sequences lists, of a device, a province and all."""
    rows = [
        SequenceRow("p0", "b1", 9, [(2, 3)], [(5, 5), (7, 8)]),
        SequenceRow("p0", "b2", 4, [], []),
        SequenceRow("n1", "b1", 9, [], [(1, 8)]),
    ]
    commit(own_world.ledger, Facts(position=100, sequences=rows), now_ms=NOW_MS)
    ranges = {
        device: own_world.get(f"/devices/{device}/sequences")["boots"]
        for device in ("p0", "n0", "c0", "n1", "old")
    }

    def count(device: str, which: str) -> int:
        missing = [one for boot in ranges[device] for one in boot[which]]
        return sum(one["last"] - one["first"] + 1 for one in missing)

    for device in ranges:
        numbered = own_world.get(f"/devices/{device}/accounting")["numbered"]
        assert numbered == {name: count(device, name) for name in ("waiting", "lost")}
    everything = own_world.get("/accounting")["numbered"]
    assert everything["waiting"] == sum(count(device, "waiting") for device in ranges) > 0
    assert everything["lost"] == sum(count(device, "lost") for device in ranges) > 0
    assert own_world.get("/accounting", province="LA-LP")["numbered"] == {"waiting": 2, "lost": 3}


@pytest.mark.parametrize("path", ["/accounting", "/devices/p0/accounting"])
def test_too_long_a_range_is_refused(world: World, path: str) -> None:
    """The problem says how long it may be."""
    problem = world.problem(422, path, from_="2020-01-01T00:00:00Z")
    assert problem["errors"][0]["field"] == "from"
    assert "days" in problem["errors"][0]["allowed"]


_offsets = st.integers(-6 * HOUR_MS, 3 * HOUR_MS)


@settings(max_examples=60, deadline=None)
@given(
    devices=st.lists(
        st.tuples(
            st.sampled_from([0.5, 1.0, 7.0, 60.0, 3600.0, 5000.0, 86400.0]),
            st.none() | _offsets,
            st.lists(st.tuples(st.integers(-6, 2), st.integers(0, 9000)), max_size=5),
        ),
        max_size=3,
    ),
    begin=st.integers(-6, 2),
    length=st.integers(0, 8),
    now_offset_ms=_offsets,
)
def test_the_sum_is_that_of_the_hours(
    tmp_path_factory: pytest.TempPathFactory,
    devices: list[tuple[float, int | None, list[tuple[int, int]]]],
    begin: int,
    length: int,
    now_offset_ms: int,
) -> None:
    """What the database adds up equals the sum of every device's hours, for any past."""
    directory: Path = tmp_path_factory.mktemp("sums")
    ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
    office = registry().sites["office"]
    facts = Facts(position=0)
    known = {}
    for number, (interval_s, first_seen, hours) in enumerate(devices):
        name = f"d{number}"
        known[name] = Device(name, "office", "environment", interval_s, 1, {})
        if first_seen is not None:
            facts.device_seen.append(DeviceSeen(name, NOW_MS + first_seen, {}, None))
        for hour, received in hours:
            facts.accounting[name, NOW_MS + hour * HOUR_MS] = (received, 1, 2, 3)
    add_registry(ledger, Registry({"office": office}, known))
    commit(ledger, facts, now_ms=NOW_MS)
    from_ms = NOW_MS + begin * HOUR_MS
    to_ms, now_ms = from_ms + length * HOUR_MS, NOW_MS + now_offset_ms
    total = sum_hours(ledger, from_ms=from_ms, to_ms=to_ms, now_ms=now_ms)._asdict()
    each = [
        hour._asdict()
        for name in known
        for hour in device_hours(ledger, name, from_ms=from_ms, to_ms=to_ms, now_ms=now_ms)
    ]
    assert {name: total[name] for name in COUNTS} == {
        name: sum(hour[name] for hour in each) for name in COUNTS
    }
    ledger.close()

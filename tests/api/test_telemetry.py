"""Readings over time: raw, in buckets, in pages, within limits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from api.times import parse_time
from devices.readings import Readings
from storage.ledger.series import add_series
from storage.series import roll_ups
from storage.series.roll_ups import Piece
from tests.api.world import MINUTE_MS, NOW_MS, World, world_in
from tests.api.world import RTT as RTT_NUMBER

FROM, TO = "2026-10-05T00:00:00Z", "2026-10-05T02:00:00Z"
RTT = "nat_rtt_p50_ms"


def test_raw_readings_carry_event_and_receive_time(world: World) -> None:
    """Without a bucket the answer is what is stored, from `from` up to before `to`."""
    rows = world.items("/devices/p0/telemetry", from_=FROM, to=TO, metric=RTT)
    assert len(rows) == 120
    assert rows[0] == {
        "metric": RTT,
        "at": "2026-10-05T00:00:00.000Z",
        "received_at": "2026-10-05T00:00:00.250Z",
        "value": 0.0,
    }
    assert rows[-1]["at"] == "2026-10-05T01:59:00.000Z"


def test_an_offset_means_the_same_instant(world: World) -> None:
    """Times may be given in the zone of the caller."""
    laos = world.items(
        "/devices/p0/telemetry", from_="2026-10-05T07:00:00+07:00", to="2026-10-05T09:00:00+07:00"
    )
    assert laos == world.items("/devices/p0/telemetry", from_=FROM, to=TO)
    assert {row["metric"] for row in laos} == {RTT, "dns_ms"}


def test_the_last_hour_is_the_default(world: World) -> None:
    """Without times the hour up to now is meant, and says so."""
    answer = world.get("/devices/p0/telemetry", metric=RTT)
    assert (answer["start"], answer["end"]) == (
        "2026-10-05T01:00:00.000Z",
        "2026-10-05T02:00:00.000Z",
    )
    assert len(answer["items"]) == 60


@pytest.mark.parametrize("asked", [{}, {"bucket": "10m", "agg": "mean,count"}])
def test_pages_together_are_the_whole(world: World, asked: dict[str, str]) -> None:
    """Small pages hold the same rows in the same order as one large page."""
    whole = world.items("/devices/p0/telemetry", from_=FROM, to=TO, **asked)
    assert world.items("/devices/p0/telemetry", from_=FROM, to=TO, limit=7, **asked) == whole


def test_pages_stay_on_their_range_while_time_goes_on(own_world: World) -> None:
    """The range of the first page holds for the next, also where it was `now`."""
    first = own_world.get("/devices/p0/telemetry", metric=RTT, limit=30)
    own_world.now_ms += 30 * MINUTE_MS
    second = own_world.get("/devices/p0/telemetry", metric=RTT, limit=30, cursor=first["next"])
    assert (second["start"], second["next"]) == (first["start"], None)
    assert len(first["items"] + second["items"]) == 60


def test_buckets_hold_the_aggregates_that_were_asked_for(world: World) -> None:
    """A bucket of ten minutes sums up ten readings."""
    rows = world.items(
        "/devices/p0/telemetry",
        from_=FROM, to=TO, metric=RTT, bucket="10m", agg=["count", "min,max", "mean", "coverage"],
    )  # fmt: skip
    assert len(rows) == 12
    assert rows[0] == {
        "metric": RTT, "at": "2026-10-05T00:00:00.000Z",
        "count": 10, "min": 0.0, "max": 9.0, "mean": 4.5, "coverage": 1.0,
    }  # fmt: skip


def test_a_bucket_with_gaps_says_how_much_it_covers(world: World) -> None:
    """A day of which two hours came has the coverage of two hours."""
    (row,) = world.items("/devices/p0/telemetry", from_=FROM, to=TO, metric=RTT, bucket="1d")
    assert row["coverage"] == pytest.approx(120 / 1440)
    assert row["at"] == "2026-10-04T17:00:00.000Z"  # local midnight


def test_a_metric_that_never_reported_gives_no_rows(world: World) -> None:
    """A metric of the kind that was never measured is empty, not an error."""
    assert world.items("/devices/p0/telemetry", metric="gw_rtt_p50_ms") == []
    assert world.items("/devices/n0/telemetry", bucket="1h") == []


@pytest.mark.parametrize(
    ("asked", "field", "hint"),
    [
        ({"metric": "nat_rtt_p50"}, "metric", "did you mean nat_rtt_p50_ms?"),
        ({"bucket": "5 minutes"}, "bucket", "5m"),
        ({"bucket": "0m"}, "bucket", "5m"),
        ({"bucket": "1h", "agg": "avg"}, "agg", "mean"),
        ({"agg": "mean"}, "agg", "bucket="),
        ({"limit": "10001"}, "limit", "at most 10000"),
        ({"limit": "0"}, "limit", "at least 1"),
        ({"from": "2026-10-05T03:00:00Z", "to": FROM}, "to", "2026-10-05T03:00:00.000Z"),
        ({"from": "2026-10-05T03:00:00"}, "from", "append Z"),
        ({"from": "yesterday"}, "from", "ISO 8601"),
        ({"from": "0001-01-01T00:00:00Z"}, "from", "1970"),
        ({"to": "9999-12-31T23:59:59Z"}, "to", "3000"),
        ({"from": "2026-10-05T08:00:00 07:00"}, "from", "%2B"),
        ({"from": "2000-01-01T00:00:00Z", "bucket": "5m"}, "bucket", "at most 20000:"),
        ({"from": "2025-01-01T00:00:00Z", "bucket": "121m"}, "bucket", "at most 200000:"),
        ({"cursor": "AAAA"}, "cursor", "next"),
    ],
)
def test_what_cannot_be_answered_says_why(
    world: World, asked: dict[str, str], field: str, hint: str
) -> None:
    """A refused parameter is named with its reason and what is allowed."""
    problem = world.problem(422, "/devices/p0/telemetry", **asked)
    (error,) = problem["errors"]
    assert error["field"] == field
    assert hint in f"{error['reason']} {error['allowed']}"


def test_a_cursor_serves_only_the_question_that_it_was_made_for(world: World) -> None:
    """A cursor under other filters, or changed in one character, is refused."""
    answer = world.get("/devices/p0/telemetry", metric=RTT, limit=5)
    cursor = answer["next"]
    world.problem(422, "/devices/p0/telemetry", metric="dns_ms", limit=5, cursor=cursor)
    world.problem(422, "/devices/n0/telemetry", metric=RTT, limit=5, cursor=cursor)
    middle = len(cursor) // 2
    changed = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    world.problem(422, "/devices/p0/telemetry", metric=RTT, limit=5, cursor=changed)
    world.get("/devices/p0/telemetry", metric=RTT, limit=50, cursor=cursor)


def test_several_devices_are_answered_in_one_call(own_world: World) -> None:
    """Each row says of which device it is; repeated and with commas is the same."""
    add_series(own_world.ledger, [(3, "n0", "dns_ms")])
    at_ms = [NOW_MS - n * MINUTE_MS for n in range(10)]
    own_world.series.write(Readings.of([3] * 10, at_ms, at_ms, [1.0] * 10), first=240, last=241)
    rows = own_world.items("/telemetry", device="p0,n0", metric="dns_ms", from_=FROM, to=TO)
    assert [row["device"] for row in rows] == ["p0"] * 120 + ["n0"] * 9
    again = own_world.items(
        "/telemetry", device=["n0", "p0"], metric=["dns_ms"], from_=FROM, to=TO, limit=50
    )
    assert again == rows
    buckets = own_world.items(
        "/telemetry", device="p0,n0", from_=FROM, to=TO, bucket="1h", agg="count", limit=1
    )
    assert [(row["device"], row["metric"], row["count"]) for row in buckets] == [
        *(("p0", RTT, 60), ("p0", RTT, 60), ("p0", "dns_ms", 60), ("p0", "dns_ms", 60)),
        ("n0", "dns_ms", 9),
    ]


def test_p95_is_there_where_it_is_asked_for(world: World) -> None:
    """By nearest rank: number 10 of ten readings, 19 of twenty."""
    asked = {"from_": FROM, "to": TO, "metric": RTT, "agg": "p95,count"}
    assert [row["p95"] for row in world.items("/devices/p0/telemetry", bucket="10m", **asked)] == (
        [9.0] * 12
    )
    row, *_ = world.items("/devices/p0/telemetry", bucket="20m", **asked)
    assert row == {"metric": RTT, "at": "2026-10-05T00:00:00.000Z", "p95": 9.0, "count": 20}
    row, *_ = world.items("/devices/p0/telemetry", bucket="1h")
    assert "p95" not in row


@pytest.mark.parametrize(
    ("from_", "to", "bucket"),
    [
        (FROM, TO, "1m"),  # not under the interval of its device
        ("2026-10-04T02:00:00Z", TO, "5m"),
        ("2026-09-05T02:00:00Z", TO, "2h"),
        ("2025-10-05T02:00:00Z", TO, "1d"),
        ("1990-10-05T02:00:00Z", TO, "28d"),
    ],
)
def test_auto_is_a_round_length_that_a_chart_shows(
    world: World, from_: str, to: str, bucket: str
) -> None:
    """At most 500 buckets a series, and the answer says how long they are."""
    answer = world.get("/devices/p0/telemetry", from_=from_, to=to, metric=RTT, bucket="auto")
    assert answer["bucket"] == bucket
    assert sum(row["count"] for row in answer["items"]) == 120
    stated = world.get("/devices/p0/telemetry", from_=from_, to=to, metric=RTT, bucket=bucket)
    assert stated == answer


@pytest.fixture(scope="module")
def charted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, list[float]]]:
    """A world whose p0 has 30 days of minutes with rare extremes, rolled up, and its values."""
    with world_in(tmp_path_factory.mktemp("charted")) as world:
        rng = random.Random(7)
        count = 30 * 1440
        at_ms = [NOW_MS - (count - n) * MINUTE_MS for n in range(count)]
        values = [20.0 + rng.random() for _ in range(count)]
        for n in rng.sample(range(count), 20):
            values[n] = rng.choice([0.0, 900.0]) + rng.random()
        values[0], values[-1] = 333.25, 444.75
        world.series.write(
            Readings.of([RTT_NUMBER] * count, at_ms, at_ms, values), first=9, last=10
        )
        world.series.roll_up(NOW_MS, budget_s=60)
        yield world, values


@pytest.mark.parametrize("points", [2, 37, 500, 1000, 5000])
def test_a_chart_keeps_extremes_and_ends(charted: tuple[World, list[float]], points: int) -> None:
    """Every column has the least and the greatest of its readings; the ends are exact."""
    world, values = charted
    first, *columns, last = world.get(
        "/devices/p0/telemetry", from_="2026-09-05T02:00:00Z", to=TO, metric=RTT, points=points
    )["items"]
    assert first == {"metric": RTT, "at": "2026-09-05T02:00:00.000Z", "value": 333.25}
    assert last == {"metric": RTT, "at": "2026-10-05T01:59:00.000Z", "value": 444.75}
    assert points / 3 < len(columns) <= points
    starts = [parse_time(column["at"]) for column in columns]
    width_ms = starts[1] - starts[0] if len(starts) > 1 else 10**12
    inside: dict[int, list[float]] = {start: [] for start in starts}
    for n, value in enumerate(values):
        at_ms = NOW_MS - (len(values) - n) * MINUTE_MS
        inside[starts[0] + (at_ms - starts[0]) // width_ms * width_ms].append(value)
    assert [(column["min"], column["max"]) for column in columns] == [
        (min(found), max(found)) for found in inside.values()
    ]


def test_a_chart_of_few_readings_is_those_readings(world: World) -> None:
    """Where there are no more readings than pixels nothing is summed up."""
    rows = world.get("/devices/p0/telemetry", from_=FROM, to=TO, metric=RTT, points=120)["items"]
    raw = world.items("/devices/p0/telemetry", from_=FROM, to=TO, metric=RTT)
    assert rows == [{name: row[name] for name in ("metric", "at", "value")} for row in raw]
    assert (
        "min"
        in world.get("/devices/p0/telemetry", from_=FROM, to=TO, metric=RTT, points=119)["items"][1]
    )


def test_a_long_chart_is_made_of_roll_ups(
    charted: tuple[World, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month needs some hundred rows of an hour, not its 43,200 readings."""
    world, _ = charted
    read = 0
    stored = roll_ups._stored

    def counted(*asked: Any) -> list[Piece]:
        nonlocal read
        found = stored(*asked)
        read += len(found)
        return found

    monkeypatch.setattr(roll_ups, "_stored", counted)
    world.get("/devices/p0/telemetry", from_="2026-09-05T02:00:00Z", to=TO, metric=RTT, points=1000)
    assert 0 < read <= 1000


@pytest.mark.parametrize(
    ("asked", "field", "hint"),
    [
        ({"device": ""}, "device", "1 to 100"),
        ({"device": ",".join(f"d{n}" for n in range(101))}, "device", "1 to 100"),
        ({"device": "p0,p1"}, "device", "is not registered"),
        ({"device": "p0,c0", "metric": "ph"}, "metric", "temperature_c"),
        ({"device": "p0", "bucket": "1s", "from": "2026-10-04T02:00:00Z"}, "bucket",
         "at most 20000: a longer bucket"),
        ({"device": "p0", "bucket": "1d", "agg": "p95", "from": "2026-01-01T00:00:00Z"}, "bucket",
         "at most 200000: a bucket in whole 5m, 1h or 1d without p95"),
        ({"device": "p0", "points": "1"}, "points", "at least 2"),
        ({"device": "p0", "points": "5001"}, "points", "at most 5000"),
        ({"device": "p0", "points": "9", "bucket": "1h"}, "points", "one of them"),
        ({"device": "p0", "points": "9", "agg": "min"}, "agg", "bucket="),
        ({"device": "p0", "points": "9", "limit": "5"}, "limit", "without points"),
        ({"device": "p0", "format": "csv", "limit": "5"}, "limit", "only with JSON"),
        ({"device": "p0", "format": "csv", "cursor": "AAAA"}, "cursor", "only with JSON"),
        ({"device": "p0", "format": "csv", "from": "2010-01-01T00:00:00Z"}, "from",
         "at most 5000000"),
        ({"device": "p0", "format": "parquet", "bom": "true"}, "bom", "format=csv"),
    ],
)  # fmt: skip
def test_what_is_too_much_says_what_is_allowed(
    world: World, asked: dict[str, str], field: str, hint: str
) -> None:
    """Bounds on devices, metrics and buckets are told with what would be answered."""
    (error,) = world.problem(422, "/telemetry", **asked)["errors"]
    assert error["field"] == field
    assert hint in f"{error['reason']} {error['allowed']}"

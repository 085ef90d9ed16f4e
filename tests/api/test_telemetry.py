"""Readings over time: raw, in buckets, in pages, within limits."""

from __future__ import annotations

import pytest

from tests.api.world import MINUTE_MS, World

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

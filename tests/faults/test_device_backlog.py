"""A day of backlog from many devices at once, while live readings flow; and everything thrice."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fleet import probes
from tests.faults.guarantees import record, seed, size
from tests.path.platform import Platform, running
from tests.project.broker import Client, wait_for

pytestmark = [pytest.mark.guarantee, pytest.mark.mosquitto]
DAY_ROUNDS = 1440
BATCH = 1000
BAD = 80.0  # percent of loss, which pages when it is live


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def message(boot: str, rounds: list[tuple[int, int, float]]) -> bytes:
    """A payload of (seq, event time, loss) rounds."""
    said = [
        {"seq": seq, "ts": at_ms, "m": {"nat_loss_pct": loss, "nat_rtt_p50_ms": 20.0 + seq % 7}}
        for seq, at_ms, loss in rounds
    ]
    return json.dumps({"v": 1, "boot": boot, "r": said}).encode()


def day_of(device: int, end_ms: int) -> Iterator[bytes]:
    """A day of one-minute rounds in messages of at most a thousand, bad for an hour of it."""
    start_ms = end_ms - DAY_ROUNDS * 60_000
    rounds = [
        (n, start_ms + n * 60_000 + device, BAD if 300 <= n < 360 else 0.0)
        for n in range(1, DAY_ROUNDS + 1)
    ]
    for first in range(0, DAY_ROUNDS, BATCH):
        yield message("day", rounds[first : first + BATCH])


def topic(device: int, channel: str) -> str:
    return f"gov/v1/LA-LP/p{device}/{channel}"


def received(platform: Platform) -> int:
    """Rounds stored of the last 30 hours, each counted once."""
    start, end = (time.gmtime(time.time() + hours * 3600) for hours in (-30, 1))
    form = "%Y-%m-%dT%H:%M:%SZ"
    asked = {"from": time.strftime(form, start), "to": time.strftime(form, end)}
    return int(platform.get("/accounting", **asked)["received"])


def test_a_day_of_backlog_is_stored_whole_and_pages_nobody(tmp_path: Path) -> None:
    """Every late round is stored and none pages, nor is a live one lost meanwhile."""
    devices = size(quick=30, long=500)
    with (
        running(tmp_path, probes(devices, interval_s=60.0)) as platform,
        Client("backlog").connected(platform.port) as backlog,
        Client("live").connected(platform.port) as live,
    ):
        late = [(d, p) for d in range(devices) for p in day_of(d, now_ms() - 600_000)]
        for device, payload in late:
            backlog.publish_soon(topic(device, "backfill"), payload)
        sent, total, began = 0, devices * DAY_ROUNDS, time.monotonic()

        def all_stored() -> bool:
            nonlocal sent
            payload = message("live", [(sent // devices + 1, now_ms(), 0.0)])
            live.publish(topic(sent % devices, "telemetry"), payload)
            sent += 1
            return sent % 20 == 0 and received(platform) == total + sent

        wait_for(all_stored, "backlog and live rounds are stored", 300)
        took_s = time.monotonic() - began
        span: dict[str, float] = {}

        def beaten() -> bool:
            span.update(platform.get("/stats")["event_to_stored_ms"])
            return span["count"] == sent

        wait_for(beaten, "the last latencies are known")
        lost = total + sent - received(platform)
        alerts = len(platform.items("/alerts"))
    figure = (
        f"{lost} of {total:,} from {devices} devices in {took_s:.0f} s; {alerts} alerts;"
        f" live to stored p99 {span['p99']:.0f} ms of {sent:,}"
    )
    record("backlog", figure, met=lost == alerts == 0)
    assert alerts == 0
    assert platform.log("ingest").count("Traceback") == 0


def test_live_rounds_like_those_of_the_backlog_do_page(tmp_path: Path) -> None:
    """The same hour, live, opens an alert: the test above can fail."""
    with (
        running(tmp_path, probes(1, interval_s=1.0)) as platform,
        Client("live").connected(platform.port) as live,
    ):
        base_ms = now_ms()
        for n in range(60):
            live.publish(topic(0, "telemetry"), message("b", [(n + 1, base_ms + n * 1000, BAD)]))
        wait_for(lambda: bool(platform.items("/alerts")), "an alert fires")


def test_triple_shuffled_delivery_adds_nothing(tmp_path: Path) -> None:
    """Rows are those of one delivery in order, and so are alerts or fewer."""
    chance = random.Random(seed())
    rounds = size(quick=300, long=20_000)
    base_ms = now_ms() - 60_000
    spacing_ms = 120_000 / rounds  # all within the bound of live readings
    payloads = [
        message("b", [(n + 1, base_ms + round(n * spacing_ms), BAD if n % 200 >= 120 else 0.0)])
        for n in range(rounds)
    ]
    thrice = payloads * 3
    chance.shuffle(thrice)
    with (
        running(tmp_path, probes(2, interval_s=60.0)) as platform,
        Client("twins").connected(platform.port) as client,
    ):
        for payload in payloads:
            client.publish_soon(topic(0, "telemetry"), payload)
        for payload in thrice:
            client.publish_soon(topic(1, "telemetry"), payload)
        client.wait_published()
        wait_for(
            lambda: (
                (s := platform.get("/stats"))["messages_received"] == 4 * rounds
                and not s["messages_pending"]
            ),
            "all is processed",
            120,
        )
        wait_for(lambda: platform.get("/stats")["readings_stored"] == 4 * rounds, "all is stored")
        fired = [len(platform.items("/alerts", device=f"p{device}")) for device in (0, 1)]
        counts = platform.metrics()
    extra_rows = int(counts["govsense_readings_stored_total"]) - 4 * rounds
    extra_alerts = max(0, fired[1] - fired[0])
    figure = f"{extra_rows} rows, {extra_alerts} alerts of {3 * rounds:,} messages"
    record("shuffled", figure, met=extra_rows == extra_alerts == 0)
    assert fired[0] > 0
    assert extra_rows == extra_alerts == 0
    assert counts["govsense_messages_duplicate_total"] == 2 * rounds

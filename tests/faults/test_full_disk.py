"""A disk that is full and is freed: intake stops, says so, and comes back without a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ingest.journal import Head
from tests.faults.guarantees import record, size
from tests.faults.small_disk import SmallDisk, small_disk
from tests.path.platform import Platform, one_office, reading
from tests.project.broker import Client, wait_for

pytestmark = [pytest.mark.mosquitto, pytest.mark.guarantee]

RATE = 1000  # messages a second
BACK_WITHIN_S = 10.0


class Flow:
    """Devices that publish RATE messages a second, each with one reading of its own."""

    def __init__(self, client: Client) -> None:
        self.sent = 0
        self._client = client
        self._base_ms = time.time_ns() // 1_000_000 - 3_600_000
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def stop(self) -> int:
        """End, wait until the broker has all, and say how many messages that were."""
        self._stopping.set()
        self._thread.join()
        self._client.wait_published()
        return self.sent

    def _publish(self) -> None:
        began = time.monotonic()
        while not self._stopping.wait(0.01):
            while self.sent < (time.monotonic() - began) * RATE:
                device, at_ms = f"p{self.sent % 3}", self._base_ms + self.sent
                payload = reading(at_ms, self.sent, nat_rtt_p50_ms=20.0 + self.sent % 7)
                self._client.publish_soon(f"gov/v1/LA-LP/{device}/telemetry", payload)
                self.sent += 1


class Scrapes:
    """The conservation law, asked ten times a second for as long as it runs."""

    def __init__(self, platform: Platform) -> None:
        self.count = 0
        self.broken: list[dict[str, float]] = []
        self._platform = platform
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._scrape)
        self._thread.start()

    def stop(self) -> None:
        """End after the scrape in hand."""
        self._stopping.set()
        self._thread.join()

    def _scrape(self) -> None:
        names = (
            "received_total",
            "stored_total",
            "duplicate_total",
            "quarantined_total",
            "pending",
        )
        while not self._stopping.wait(0.1):
            found = self._platform.metrics()
            received, *outcomes = (found[f"govsense_messages_{name}"] for name in names)
            self.count += 1
            if received != sum(outcomes):
                self.broken.append(found)


def fill_and_free(platform: Platform, disk: SmallDisk, while_full: Callable[[], None]) -> int:
    """Fill the disk under load, free it, and let all arrive; returns how many messages were sent.

    Asserts what must hold, and records how long intake took to come back.
    """
    before = processes(platform)
    head = Head(platform.data / "journal", create=False)
    scrapes = Scrapes(platform)
    with Client().connected(platform.port) as client:
        flow = Flow(client)
        try:
            wait_for(lambda: head.position > 500, "messages flow", 30)
            disk.fill()
            wait_for(lambda: bool(head.shortage(time.monotonic_ns())), "intake has stopped", 30)
            stopped_at = head.position
            while_full()
            full_until = time.monotonic() + size(quick=3.0, long=30.0)
            wait_for(lambda: time.monotonic() > full_until, "it stays full", 60)
            assert head.position == stopped_at
            disk.free()
            freed = time.monotonic()
            wait_for(
                lambda: head.position > stopped_at, lambda: f"intake: {platform.log('ingest')}", 30
            )
            back_s = time.monotonic() - freed
            wait_for(lambda: flow.sent > 12 * RATE, "the flow goes on", 60)
        finally:
            sent = flow.stop()
    wait_for(lambda: stored(platform) == sent, f"all is stored: {platform.log('ingest')}", 60)
    scrapes.stop()
    assert platform.get("/stats")["readings_stored"] == sent
    assert not scrapes.broken
    assert processes(platform) == before
    head.close()
    record(
        "disk-full",
        f"0 of {sent:,} lost, intake back after {back_s:.1f} s, {scrapes.count} scrapes exact",
        met=back_s <= BACK_WITHIN_S,
        of=disk.path.name,
    )
    return sent


@contextmanager
def running_over(data: Path, directory: Path) -> Iterator[Platform]:
    """A platform whose data lie elsewhere than broker and logs."""
    platform = Platform(directory, one_office(), {}, data=data)
    try:
        platform.start("broker", "ingest", "api")
        yield platform
    finally:
        platform.close()


def processes(platform: Platform) -> set[int]:
    """The processes of ingest."""
    ingest = psutil.Process(platform.pid("ingest"))
    return {ingest.pid, *(child.pid for child in ingest.children(recursive=True))}


def stored(platform: Platform) -> int:
    return int(platform.get("/stats")["messages_stored"])


def alerts(platform: Platform) -> list[tuple[str, str]]:
    """Rule and state of every alert on the platform itself."""
    items: list[dict[str, Any]] = platform.items("/alerts", device="@platform")
    return [(item["rule"], item["state"]) for item in items]


def test_a_full_disk_under_all_data(tmp_path: Path) -> None:
    """Journal, ledger and telemetry cannot grow: ready says why, nothing is lost, all comes back.

    The alert cannot be written while it lasts: it is there afterwards, fired and resolved once.
    """
    with (
        small_disk(tmp_path / "data", mib=64) as disk,
        running_over(disk.path, tmp_path) as platform,
    ):
        fill_and_free(
            platform,
            disk,
            lambda: wait_for(lambda: "make space" in platform.unready(), "ready says why"),
        )
        wait_for(lambda: alerts(platform) == [("disk-full", "resolved")], "one alert, over", 30)
        assert platform.log("ingest").count("Seen: no space is left") == 1
        assert "Traceback" not in platform.log("ingest")


def test_a_start_on_a_full_disk(tmp_path: Path) -> None:
    """A receiver that finds no room for its first byte says so and ends, and can start later."""
    with small_disk(tmp_path / "journal", mib=8) as disk:
        platform = Platform(tmp_path, one_office(), {})
        disk.fill()
        refused = platform.run("ingest", "--only", "receiver")
        assert refused.returncode == 1
        assert "no space left on the disk" in refused.stderr
        assert "Traceback" not in refused.stderr
        disk.free()
        platform.start("broker", "ingest")
        wait_for(lambda: "connected to the broker" in platform.log("ingest"), "it receives", 30)
        platform.close()


def test_a_full_disk_under_the_journal(tmp_path: Path) -> None:
    """Only the journal cannot grow: the alert is open while intake waits, and over afterwards."""
    journal = tmp_path / "data" / "journal"

    def is_told() -> None:
        wait_for(lambda: alerts(platform) == [("disk-full", "firing")], "the alert is open")
        wait_for(lambda: "has stopped intake" in platform.unready(), "ready says why")
        asked = platform.run("health", "ingest")
        assert asked.returncode == 1
        assert "the disk is full" in asked.stderr

    with (
        small_disk(journal, mib=32) as disk,
        running_over(tmp_path / "data", tmp_path) as platform,
    ):
        fill_and_free(platform, disk, is_told)
        wait_for(lambda: alerts(platform) == [("disk-full", "resolved")], "one alert, over", 30)
        (alert,) = platform.items("/alerts", device="@platform")
        assert str(journal) in alert["text_en"]
        assert str(journal) in alert["text_lo"]
        assert (alert["site"], alert["severity"]) == ("", "critical")

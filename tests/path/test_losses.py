"""The path where files are lost or shared: it goes on, and nothing new is passed over."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.ingest.stores import Stores, drain, rounds
from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import Client, wait_for

pytestmark = pytest.mark.mosquitto
P0 = "gov/v1/LA-LP/p0/telemetry"


def test_messages_after_the_loss_of_the_journal_are_processed(tmp_path: Path) -> None:
    """A new journal goes on behind what the ledger has processed of the lost one."""
    at_ms = time.time_ns() // 1_000_000
    with running(tmp_path, one_office()) as platform, Client().connected(platform.port) as client:
        for n in range(20):
            client.publish(P0, reading(at_ms - n * 1000, n, nat_rtt_p50_ms=20.0))
        wait_for(lambda: platform.get("/stats")["messages_stored"] == 20, "all are stored")
        assert platform.stop("ingest") == 0
        shutil.rmtree(tmp_path / "journal")
        platform.start("ingest")
        client.publish(P0, reading(at_ms + 1000, 21, nat_rtt_p50_ms=21.0))
        wait_for(lambda: platform.get("/stats")["messages_stored"] == 21, "the next is stored")
        assert platform.get("/stats")["messages_received"] == 21


def test_a_full_disk_is_said_and_costs_nothing(tmp_path: Path) -> None:
    """Where the stores cannot grow the processor says so and stops, and goes on when they can."""
    stores = Stores(tmp_path)
    stores.arrive(rounds(0, 6000))
    platform = Platform(tmp_path, one_office(), {})
    processor = [*platform.command("ingest"), "--only", "processor"]
    limited = f"ulimit -f 150; exec {shlex.join(processor)}"  # in units of 1 KiB
    full = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert full.returncode == 1
    assert "is its disk full?" in full.stderr
    assert "Traceback" not in full.stderr
    drain(stores.processor())
    assert stores.outcomes() == (6000, 0, 0)
    assert stores.stored() == 6000


def test_a_second_ingest_is_refused(tmp_path: Path) -> None:
    """A second processor over the same data leaves it alone and says what to do."""
    with running(tmp_path, one_office(), "broker", "ingest") as platform:
        wait_for(lambda: "processing from" in platform.log("ingest"), "the first one runs")
        second = platform.run("ingest")
        assert second.returncode == 1
        assert "another processor has" in second.stderr
        assert "processing from" not in second.stderr

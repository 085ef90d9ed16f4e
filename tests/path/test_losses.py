"""The path where files are lost or shared: it goes on, and nothing new is passed over."""

from __future__ import annotations

import resource
import shlex
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.ingest.stores import Stores, rounds
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


def test_stores_that_cannot_grow_are_said_and_cost_nothing(tmp_path: Path) -> None:
    """The processor says so once, waits, and goes on by itself; every message counts once."""
    stores = Stores(tmp_path)
    stores.arrive(rounds(0, 6000))
    platform = Platform(tmp_path, one_office(), {})
    processor = [*platform.command("ingest"), "--only", "processor"]
    limited = f"ulimit -S -f 150; exec {shlex.join(processor)}"  # in units of 1 KiB
    log = tmp_path / "log"
    with log.open("wb") as file, subprocess.Popen(["bash", "-c", limited], stderr=file) as process:
        try:
            wait_for(lambda: "does not take what is written" in log.read_text(), "it is said", 30)
            wait_for(lambda: log.read_text().count("processing from") > 2, "it tries again", 30)
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
            wait_for(lambda: stores.outcomes() == (6000, 0, 0), "all is processed", 30)
        finally:
            process.terminate()
    assert process.returncode == 0
    assert stores.stored() == 6000
    assert log.read_text().count("does not take what is written") == 1
    assert "Traceback" not in log.read_text()


def test_a_ledger_that_somebody_holds_is_waited_for(tmp_path: Path) -> None:
    """A program that locks the ledger stops processing only until it lets go."""
    with running(tmp_path, one_office()) as platform, Client().connected(platform.port) as client:
        at_ms = time.time_ns() // 1_000_000
        holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        with closing(holder):
            holder.execute("BEGIN IMMEDIATE")
            for n in range(20):
                client.publish(P0, reading(at_ms - n * 1000, n, nat_rtt_p50_ms=20.0))
            wait_for(lambda: "database is locked" in platform.log("ingest"), "it is said", 40)
            holder.execute("ROLLBACK")
        wait_for(lambda: platform.get("/stats")["messages_stored"] == 20, "all are stored", 20)
        assert platform.get("/stats")["messages_received"] == 20
        assert platform.get("/stats")["messages_duplicate"] == 0


def test_a_second_ingest_is_refused(tmp_path: Path) -> None:
    """A second processor over the same data leaves it alone and says what to do."""
    with running(tmp_path, one_office(), "broker", "ingest") as platform:
        wait_for(lambda: "processing from" in platform.log("ingest"), "the first one runs")
        second = platform.run("ingest")
        assert second.returncode == 1
        assert "another processor has" in second.stderr
        assert "processing from" not in second.stderr

"""The path of a message with the ledger in PostgreSQL: killed, it costs time and no message."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from ingest.journal.head import Head
from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import Client, wait_for
from tests.storage import postgresql

pytestmark = [pytest.mark.postgresql, pytest.mark.mosquitto]
TOPIC = "gov/v1/LA-LP/p0/telemetry"
MESSAGES = 60


def test_a_killed_postgresql_costs_nothing(tmp_path: Path) -> None:
    """Killed with -9 twice: intake goes on, no process ends, all messages are counted once."""
    with ExitStack() as stack:
        server = stack.enter_context(postgresql.running())
        url = f"{server.url}/postgres".replace("postgresql:", "postgresql+psycopg:")
        environment = {"GOVSENSE_STORAGE__LEDGER_URL": url}
        platform = stack.enter_context(running(tmp_path / "data", one_office(), **environment))
        before = processes()
        base_ms = time.time_ns() // 1_000_000 - 60_000
        with Client().connected(platform.port) as client:
            for n in range(MESSAGES):
                if n in (20, 40):
                    server.kill()
                client.publish(TOPIC, reading(base_ms + n * 1000, seq=n, dns_ms=float(n)))
                if n in (30, 50):
                    wait_for(lambda n=n: taken(platform) > n, "intake goes on without it")  # type: ignore[misc]
                    wait_for(lambda n=n: outages(platform) == n // 20, "the log says so")  # type: ignore[misc]
                    assert moves(platform), "a processor that waits does not stand still"
                    server.start()
                    wait_for(lambda n=n: stored(platform) > n, "processing went on", 30)  # type: ignore[misc]
        wait_for(lambda: stored(platform) == MESSAGES, platform.log("ingest"), 30)
        counts = platform.get("/stats")
        assert platform.log("ingest").count("the stores answer again") == 2
        assert processes() == before, platform.log("ingest")
        assert counts["messages_duplicate"] == 0
        assert platform.stop("ingest") == 0


def processes() -> set[int]:
    """The processes of the platform: all that this test started, but PostgreSQL's."""
    return {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if "runtime" in process.cmdline()
    }


def taken(platform: Platform) -> int:
    """How many messages the receiver has put on disk."""
    head = Head(platform.directory / "journal", create=False)
    try:
        return head.position
    finally:
        head.close()


def stored(platform: Platform) -> int:
    """How many messages were stored, 0 while the API cannot say."""
    return int(platform.metrics().get("govsense_messages_stored_total", 0))


def moves(platform: Platform) -> bool:
    """Whether /live says that every loop moves."""
    url = f"http://127.0.0.1:{platform.http_port}/live"
    return httpx.get(url, timeout=5, trust_env=False).status_code == 200


def outages(platform: Platform) -> int:
    """How often the log says that the ledger is away."""
    return platform.log("ingest").count("the ledger is away")

"""A journal at its bound: intake stops, says so, and goes on by itself when it is read."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ingest.journal import Head, Shortage
from tests.path.platform import one_office, running
from tests.project.broker import Client, wait_for

pytestmark = pytest.mark.mosquitto

NOBODY = "gov/v1/LA-LP/nobody/telemetry"
MESSAGES, BYTES = 250, 100_000  # 25 MB, where the journal may have 16 MiB


def test_a_journal_at_its_bound(tmp_path: Path) -> None:
    """While the processor stands still the journal fills, and then the broker holds the rest.

    Afterwards every message has its outcome, and one alert has fired and is resolved.
    """
    bound = {"GOVSENSE_INGEST__JOURNAL_MAX_MIB": "16"}
    with running(tmp_path, one_office(), **bound) as platform:
        head = Head(tmp_path / "journal", create=False)
        os.kill(platform.pid("ingest"), signal.SIGSTOP)
        with Client().connected(platform.port) as client:
            for n in range(MESSAGES):
                client.publish_soon(NOBODY, b"%d" % n + b"x" * BYTES)
            client.wait_published()
        wait_for(
            lambda: head.shortage(time.monotonic_ns()) is Shortage.BOUND, "intake has stopped", 30
        )
        assert 100 < head.position < MESSAGES
        assert sum(one.stat().st_size for one in (tmp_path / "journal").iterdir()) < 17 * 2**20
        os.kill(platform.pid("ingest"), signal.SIGCONT)
        awake = time.monotonic()
        wait_for(lambda: platform.get("/stats")["messages_quarantined"] == MESSAGES, "all", 60)
        assert time.monotonic() - awake < 15
        assert platform.get("/stats")["messages_received"] == MESSAGES
        wait_for(
            lambda: (
                [(one["rule"], one["state"]) for one in platform.items("/alerts")]
                == [("journal-full", "resolved")]
            ),
            "one alert, over",
            30,
        )
        head.close()

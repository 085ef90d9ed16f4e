"""Device clocks that are wrong: what is impossible is never stored, what is behind is late."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.fleet import probes
from tests.faults.guarantees import record, size
from tests.faults.test_device_backlog import BAD, message, topic
from tests.path.platform import Platform, running
from tests.project.broker import Client, wait_for

pytestmark = [pytest.mark.guarantee, pytest.mark.mosquitto]
HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS
IMPOSSIBLE = {0: "clock-before-2020", 1: "clock-future", 2: "clock-future"}
BEHIND, JUMPS_BACK = 3, 4


def test_wrong_clocks_are_stored_as_live_by_none(tmp_path: Path) -> None:
    """1970, ten years and seven hours ahead are refused; seven hours behind and a jump are late."""
    rounds = size(quick=40, long=2000)
    now_ms = time.time_ns() // 1_000_000
    off_ms = {0: -now_ms, 1: 10 * YEAR_MS, 2: 7 * HOUR_MS, BEHIND: -7 * HOUR_MS}
    with (
        running(tmp_path, probes(5, interval_s=1.0)) as platform,
        Client("clocks").connected(platform.port) as client,
    ):
        for n in range(rounds):
            for device in range(5):
                jump_ms = -HOUR_MS if n >= rounds // 2 else 0
                at_ms = now_ms + n + off_ms.get(device, jump_ms)
                loss = 0.0 if device == JUMPS_BACK and not jump_ms else BAD
                said = message("b", [(n + 1, at_ms, loss)])
                client.publish_soon(topic(device, "telemetry"), said)
        client.wait_published()
        wait_for(lambda: processed(platform) == 5 * rounds, "all is processed", 60)
        for device, reason in IMPOSSIBLE.items():
            assert counts(platform, device) == (0, 0, rounds)
            held = platform.items("/quarantine", device=f"p{device}")
            assert {row["reason"] for row in held} == {reason}
        assert counts(platform, BEHIND) == (rounds, rounds, 0)
        assert counts(platform, JUMPS_BACK) == (rounds, rounds - rounds // 2, 0)
        assert platform.items("/alerts") == []
        live = sum(counts(platform, device)[0] for device in IMPOSSIBLE)
    record("clocks", f"{live} of {3 * rounds:,}", met=live == 0)


def processed(platform: Platform) -> int:
    stats = platform.get("/stats")
    return sum(stats[f"messages_{name}"] for name in ("stored", "duplicate", "quarantined"))


def counts(platform: Platform, device: int) -> tuple[int, int, int]:
    """Rounds received, those of them that were late, and refusals, of the last day."""
    hours = platform.items(f"/devices/p{device}/accounting")
    received, late, refused = (
        sum(hour[name] for hour in hours) for name in ("received", "late", "quarantined")
    )
    return received, late, refused

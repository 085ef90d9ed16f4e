"""Alerts through the real processes: they survive kills, and the same world gives the same ones."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from devices.registry import Registry
from devices.registry_files import write_registry
from devices.sample import national_sample
from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import Client, wait_for

pytestmark = pytest.mark.mosquitto
P0 = "gov/v1/LA-LP/p0/telemetry"
START = "2026-10-05T00:00:00Z"
SPEED = 60
AHEAD_MS = 20_000  # the platform runs by then: what is sent before that is late, and differs
SCENARIO = """
faults:
  - fault: mains-sags
    type: level-shift
    select: {kind: power}
    metric: mains_v
    start: 3m
    duration: 8m
    size: -60
  - fault: dark-offices
    type: silence
    select: {kind: connectivity-probe, count: 2}
    start: 4m
    duration: 10m
  - fault: loses-packets
    type: level-shift
    select: {kind: connectivity-probe}
    metric: nat_loss_pct
    start: 3m
    duration: 9m
    size: 60
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _has_started(platform: Platform, times: int) -> bool:
    return platform.log("ingest").count("processing from") == times


def alert_keys(platform: Platform) -> set[tuple[str, str, str, str]]:
    return {
        (alert["device"], alert["metric"] or "", alert["rule"], alert["event_time"])
        for alert in platform.items("/alerts")
        if alert["state"] != "pending"
    }


def test_open_alerts_are_the_same_after_a_kill_and_resolve_once(tmp_path: Path) -> None:
    """kill -9 neither doubles nor forgets an alert; it fires once and is resolved once."""
    with running(tmp_path, one_office()) as platform, Client().connected(platform.port) as client:
        base = now_ms() - 20_000

        def send(count: int, start: int, loss: float) -> None:
            for n in range(start, start + count):
                client.publish(P0, reading(base + n * 1000, seq=n, nat_loss_pct=loss))

        send(6, 0, 80.0)
        wait_for(lambda: len(alert_keys(platform)) == 1, "the alert fires")
        before = platform.items("/alerts", state="firing")
        for kill in range(3):
            platform.kill("ingest")
            platform.start("ingest")
            wait_for(partial(_has_started, platform, kill + 2), "ingest is back", 30)
        assert platform.items("/alerts", state="firing") == before
        send(6, 6, 80.0)
        send(6, 12, 0.0)
        wait_for(lambda: platform.items("/alerts", state="resolved") != [], "it is resolved")
        (alert,) = platform.items("/alerts")
        assert alert["alert"] == before[0]["alert"]
        assert alert["at"] == before[0]["at"]


def played(directory: Path, country: Registry) -> tuple[bytes, set[tuple[str, str, str, str]]]:
    """A quarter of an hour of a small country, played at speed: its truth file and its alerts."""
    sites, scenario, truth = directory / "sites", directory / "faults.yaml", directory / "T.jsonl"
    directory.mkdir()
    write_registry(country, sites)
    scenario.write_text(SCENARIO)
    clock = {
        "GOVSENSE_CLOCK__START": START,
        "GOVSENSE_CLOCK__SPEED": str(SPEED),
        "GOVSENSE_CLOCK__ORIGIN_MS": str(now_ms() + AHEAD_MS),
    }
    with running(directory, country, **clock) as platform:
        simulated = platform.run(
            "simulate", "--sites", str(sites), "--scenario", str(scenario), "--seed", "11",
            "--truth", str(truth), "--duration", "16m",
        )  # fmt: skip
        assert simulated.returncode == 0, simulated.stderr
        wait_for(lambda: platform.get("/stats")["messages_pending"] == 0, "all is processed", 20)
        return truth.read_bytes(), alert_keys(platform)


def test_the_same_seed_and_scenario_give_the_same_truth_and_alerts(tmp_path: Path) -> None:
    """Two runs over real processes and a real broker agree on every fault and every alert."""
    sample = national_sample()
    probes = [d for d in sample.devices.values() if d.kind == "connectivity-probe"][:8]
    others = [d for d in sample.devices.values() if d.kind == "power" and d.interval_s <= 60][:2]
    chosen = {device.device: device for device in probes + others}
    sites = {d.site: sample.sites[d.site] for d in chosen.values()}
    country = Registry(sites, chosen)
    first_truth, first_alerts = played(tmp_path / "first", country)
    second_truth, second_alerts = played(tmp_path / "second", country)
    assert first_truth == second_truth
    assert first_truth.count(b"\n") >= 3
    assert first_alerts == second_alerts
    rules = {rule for _, _, rule, _ in first_alerts}
    assert rules == {"silence", "limits", "mains-low", "mains-sag"}

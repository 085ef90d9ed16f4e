"""`govsense simulate` as a command: what it writes, publishes, prints and refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devices.kinds import KINDS
from devices.registry_files import write_registry
from devices.topics import parse_topic
from devices.wire import decode
from tests.project.broker import Client, free_port, wait_for
from tests.simulators.country import START_MS, country
from tests.simulators.test_fleet import mosquitto, rounds_in, states

pytestmark = pytest.mark.mosquitto


def simulate(
    directory: Path, port: int, *arguments: str, **environment: str
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "runtime", "simulate", "--sites", str(directory)]
    return subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "GOVSENSE_MQTT__PORT": str(port), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_stops_in_good_order(tmp_path: Path) -> None:
    """SIGTERM makes every device say offline, and the last line sums the run up."""
    port = free_port()
    write_registry(country(1.0), tmp_path)
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/#")
        with simulate(tmp_path, port, "--limit", "6", "--interval-s", "0.2") as process:
            wait_for(lambda: len(rounds_in(listener.received)) > 20, "rounds", 20)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=15)
        speaking = {parse_topic(topic).device for topic, _ in listener.received}
        wait_for(
            lambda: all(states(listener.received, d)[-1] == "offline" for d in speaking),
            "farewells",
        )
    assert process.returncode == 0, err
    summary: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert summary["devices"] == len(speaking) == 6
    assert summary["pending"] == 0


def test_a_capture_without_a_broker_is_the_same_every_time(tmp_path: Path) -> None:
    """--no-broker writes the whole run at once, byte for byte the same for the same seed."""
    write_registry(country(), tmp_path)
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "faults:\n"
        "  - {fault: dark, type: silence, select: {kind: power}, start: 5m, duration: 5m}\n"
        "  - {fault: bad, type: malformed, select: {kind: solar}, payload: bad-utf8}\n"
    )
    for name in ("a", "b"):
        arguments = ["--no-broker", "--capture", str(tmp_path / f"{name}.jsonl"), "--truth",
                     str(tmp_path / f"{name}.truth"), "--start", "2026-03-02T00:00:00Z",
                     "--duration", "20m", "--scenario", str(scenario)]  # fmt: skip
        with simulate(tmp_path, 0, *arguments) as process:
            _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
    text = (tmp_path / "a.jsonl").read_text()
    assert text == (tmp_path / "b.jsonl").read_text()
    assert (tmp_path / "a.truth").read_text() == (tmp_path / "b.truth").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert lines[0]["at"] == START_MS
    assert sum("payload_b64" in line for line in lines) == 1
    power = [json.loads(x["payload"]) for x in lines if "facility-power/status" in x["topic"]]
    assert [status["state"] for status in power] == ["online", "offline", "online", "offline"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-broker"], "--capture FILE"),
        (["--no-broker", "--capture", "c"], "--duration"),
        (["--replay", "x.csv"], "--device and --metric"),
        (["--limit", "0"], "--limit is 0"),
        (["--start", "yesterday"], "2026-03-02T00:00:00Z"),
        (["--scenario", "nowhere"], "built in: first-minute"),
        (["--duration", "5"], "--duration is '5'"),
        (["--duration", "5s"], "mqtt.port is 0"),
    ],
)
def test_wrong_calls_are_explained(tmp_path: Path, arguments: list[str], words: str) -> None:
    """Options that do not fit end with code 2 and one sentence that names the option."""
    write_registry(country(), tmp_path)
    with simulate(tmp_path, 0, *arguments) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert words in err
    assert "Traceback" not in err


def test_what_is_read_is_not_overwritten(tmp_path: Path) -> None:
    """A registry, a scenario and the other file of the call stay as they are."""
    write_registry(country(1.0), tmp_path)
    scenario = tmp_path / "s.yaml"
    scenario.write_text("faults: []\n")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    written = ["--no-broker", "--duration", "60s", "--start", "2026-03-02T00:00:00Z"]
    world = ["--no-broker", "--world", "scenario", "--scenario", str(scenario)]
    for arguments, words in (
        ([*written, "--capture", str(tmp_path / "sites.csv")], "same file as --sites"),
        ([*written, "--scenario", str(scenario), "--capture", str(scenario)], "as --scenario"),
        ([*written, "--truth", str(tmp_path / "T"), "--capture", str(tmp_path / "T")], "--truth"),
        ([*written, "--capture", str(tmp_path / "no" / "C")], "no folder"),
        ([*world, "--out", str(tmp_path)], "same file as --sites"),
    ):
        with simulate(tmp_path, 0, *arguments) as process:
            _, err = process.communicate(timeout=30)
        assert process.returncode == 2, err
        assert words in err
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("speed", "is_the_clocks"), [("1", False), ("60", True)])
def test_a_run_starts_now_or_with_a_fast_clock(
    tmp_path: Path, speed: str, is_the_clocks: bool
) -> None:
    """At speed 1 a run starts now; a fast clock's start is the same for every process."""
    write_registry(country(), tmp_path)
    clock = {
        "GOVSENSE_CLOCK__START": "2026-03-02T00:00:00Z",
        "GOVSENSE_CLOCK__SPEED": speed,
        "GOVSENSE_CLOCK__ORIGIN_MS": str(time.time_ns() // 1_000_000 - 3_600_000),
    }
    arguments = ["--no-broker", "--capture", str(tmp_path / "c"), "--duration", "1m"]
    with simulate(tmp_path, 0, *arguments, **clock) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    start = datetime.fromisoformat(json.loads(out)["start"])
    assert (round(start.timestamp() * 1000) == START_MS) is is_the_clocks
    if not is_the_clocks:
        assert timedelta(0) <= start - datetime(2026, 3, 2, 1, tzinfo=UTC) < timedelta(seconds=30)


def test_a_recording_is_published(tmp_path: Path) -> None:
    """A past series goes as one backfill; shifted to now it is live, with its distances kept."""
    port = free_port()
    write_registry(country(1.0), tmp_path)
    series = tmp_path / "level.csv"
    series.write_text("Zeit;Pegel\n02.03.2026 07:00:00;1,5\n02.03.2026 07:00:02;1,75\n")
    arguments = ["--replay", str(series), "--device", "facility-water-level", "--metric",
                 "level_m", "--date-format", "%d.%m.%Y %H:%M:%S", "--decimal-comma"]  # fmt: skip
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/+/+/backfill", "gov/v1/+/+/telemetry")
        for more in ([], ["--shift-to-now"]):
            with simulate(tmp_path, port, *arguments, *more) as process:
                _, err = process.communicate(timeout=30)
            assert process.returncode == 0, err
        wait_for(lambda: len(listener.received) == 3, "one backfill and two live messages")
    tank = KINDS["water-level"]
    said = [decode(payload, tank, 0).rounds for _, payload in listener.received]
    assert [parse_topic(topic).channel for topic, _ in listener.received] == [
        "backfill", "telemetry", "telemetry",
    ]  # fmt: skip
    assert [(r.at_ms, r.values["level_m"]) for r in said[0]] == [
        (START_MS, 1.5), (START_MS + 2000, 1.75),
    ]  # fmt: skip
    (first,), (second,) = said[1:]
    assert second.at_ms - first.at_ms == 2000
    assert abs(first.at_ms - time.time_ns() // 1_000_000) < 60_000


def test_a_capture_beside_the_broker_holds_what_was_published(tmp_path: Path) -> None:
    """--capture with a broker writes every message that the broker was given."""
    port = free_port()
    write_registry(country(), tmp_path)
    capture = tmp_path / "c.jsonl"
    arguments = ["--capture", str(capture), "--speed", "300", "--duration", "3m"]
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/#")
        with simulate(tmp_path, port, *arguments) as process:
            out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        wait_for(lambda: len(listener.received) == json.loads(out)["acknowledged"], "every message")
    lines = [json.loads(line) for line in capture.read_text().splitlines()]
    captured = sorted((line["topic"], line["payload"]) for line in lines)
    assert captured == sorted((topic, payload.decode()) for topic, payload in listener.received)

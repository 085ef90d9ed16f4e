"""/live: 503 that names the loop within 5 s after one stands still, 200 as soon as it goes on."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import psutil
import pytest

from ingest.journal.head import silences_s
from runtime import settings as settings_file
from runtime.clock import clock_from
from runtime.loops import Loops
from runtime.supervisor import Supervisor
from runtime.up_watch import Watch
from storage.ledger.loops import STILL_S
from tests.influx.influxd import Influxd
from tests.path.platform import Platform, one_office, running
from tests.project.broker import wait_for

pytestmark = pytest.mark.mosquitto
WITHIN_S = 5.0


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with every loop, the drainer included."""
    directory = tmp_path_factory.mktemp("live")
    influxd = Influxd(directory / "influxd")
    influxd.start()
    environment = {"GOVSENSE_STORAGE__SERIES": "influxdb", "GOVSENSE_INFLUX__URL": influxd.url}
    try:
        with running(directory / "data", one_office(), "broker", **environment) as platform:
            assert platform.run("influx", "init").returncode == 0
            platform.start("ingest", "api")
            yield platform
    finally:
        influxd.stop()


def live(platform: Platform) -> httpx.Response:
    """The answer to /live."""
    return httpx.get(f"http://127.0.0.1:{platform.http_port}/live", timeout=5, trust_env=False)


def loop_of(platform: Platform, name: str) -> psutil.Process:
    """The process of a loop of ingest."""
    ingest = platform.process("ingest")
    if name == "processor":
        return ingest
    return next(child for child in ingest.children() if name in child.cmdline())


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """The process stands still within this context."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@pytest.mark.influx
@pytest.mark.parametrize("name", ["receiver", "processor", "drainer"])
def test_a_loop_that_stands_still_is_named_within_five_seconds(
    platform: Platform, name: str
) -> None:
    """SIGSTOP: 503 with the name and since when; SIGCONT: 200 again."""
    wait_for(lambda: live(platform).status_code == 200, f"all move: {live(platform).text}")
    with stopped(loop_of(platform, name)):
        began_ms = time.time_ns() // 1_000_000
        wait_for(lambda: live(platform).status_code == 503, "it is noticed", WITHIN_S)
        problem = live(platform).json()
        assert f"the {name} stands still since " in problem["detail"]
        moves = {one["name"]: one["moves"] for one in problem["loops"]}
        assert set(moves) == {"receiver", "processor", "drainer", "feed"}
        assert not moves[name]
        others = [one for one in moves if one != name]
        assert all(moves[other] for other in others)
        (since,) = [one["last_moved"] for one in problem["loops"] if one["name"] == name]
        assert abs(in_ms(since) - began_ms) < 2000
        health = platform.run("health", "ingest")
        assert health.returncode == 1
        assert f"the {name} has not moved for" in health.stderr
    wait_for(lambda: live(platform).status_code == 200, "it goes on", WITHIN_S)
    assert platform.run("health", "ingest").returncode == 0


@pytest.mark.influx
def test_both_paths_answer_the_same(platform: Platform) -> None:
    """/live stands beside /metrics, and below /api/v1 with the rest."""
    below = platform.get("/live")
    assert [one["name"] for one in below["loops"]] == [
        one["name"] for one in live(platform).json()["loops"]
    ]


def test_a_broker_that_is_away_is_not_a_loop_that_stands_still(tmp_path: Path) -> None:
    """The receiver that waits for the broker moves."""
    with running(tmp_path, one_office()) as platform:
        wait_for(lambda: live(platform).status_code == 200, "all move")
        platform.kill("broker")
        wait_for(lambda: "no broker at" in platform.log("ingest"), "the broker is missed")
        until = time.monotonic() + 6
        while time.monotonic() < until:
            answer = live(platform)
            assert answer.status_code == 200, answer.text


def test_a_broker_that_does_not_answer_at_all_is_none_either(tmp_path: Path) -> None:
    """A connection attempt into the void takes 5 s, and the receiver has said so before."""
    with socket.socket() as void, ExitStack() as full:
        void.bind(("127.0.0.1", 0))
        void.listen(0)
        for _ in range(3):  # more than its queue takes: whoever comes next waits
            waiting = full.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(void.getsockname())
        port = {"GOVSENSE_MQTT__PORT": str(void.getsockname()[1])}
        with running(tmp_path, one_office(), "ingest", **port):
            journal = tmp_path / "journal"
            wait_for(lambda: "receiver" in silences_s(journal, time.monotonic_ns()), "it runs", 30)
            until = time.monotonic() + 6
            while time.monotonic() < until:
                assert silences_s(journal, time.monotonic_ns())["receiver"] < STILL_S


def test_the_speed_of_the_clock_makes_no_difference(tmp_path: Path) -> None:
    """With 60 seconds in a second it is 5 seconds of the machine all the same."""
    clock = {
        "GOVSENSE_CLOCK__START": "2026-10-05T00:00:00Z",
        "GOVSENSE_CLOCK__SPEED": "60",
        "GOVSENSE_CLOCK__ORIGIN_MS": str(time.time_ns() // 1_000_000),
    }
    with running(tmp_path, one_office(), **clock) as platform:
        wait_for(lambda: live(platform).status_code == 200, "all move")
        until, answers = time.monotonic() + 3, []
        while time.monotonic() < until:
            answers.append(live(platform).status_code)
        assert answers.count(200) > 0.8 * len(answers)  # not scaled, it were one in fifteen
        with stopped(loop_of(platform, "processor")):
            wait_for(lambda: live(platform).status_code == 503, "it is noticed", WITHIN_S)
            assert "the processor stands still" in live(platform).json()["detail"]


@pytest.mark.parametrize("name", ["receiver", "processor"])
def test_up_kills_what_stands_still_and_starts_it_again(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A loop that hangs takes its ingest with it, and a new one goes on."""
    with running(tmp_path, one_office(), "broker") as platform:
        supervisor = Supervisor()
        environ = {"GOVSENSE_MQTT__PORT": str(platform.port)}
        settings = settings_file.load(
            environ={**environ, "GOVSENSE_PLATFORM__DATA_DIR": str(tmp_path)}
        )
        loops = Loops(settings, clock_from(settings.clock).now_ms)
        watch = Watch(supervisor, loops, "http://127.0.0.1:1", still_s=2.0)

        def moves() -> bool:
            watch.look()
            found = {one.name: one.silent_s for one in loops.look()}
            child = supervisor.children["ingest"]
            return len(found) == 2 and max(found.values()) < min(1.5, child.age_s)

        command = [sys.executable, "-m", "runtime", "--data-dir", str(tmp_path), "ingest"]
        supervisor.start("ingest", command, environ)
        try:
            child = supervisor.children["ingest"]
            wait_for(moves, "both loops move", 30)
            first = psutil.Process(child.pid)
            hung = first if name == "processor" else first.children()[0]
            os.kill(hung.pid, signal.SIGSTOP)

            def is_replaced() -> bool:
                watch.look()
                return child.pid not in (None, first.pid)

            wait_for(is_replaced, "a new one is started", 30)
            wait_for(moves, "its loops move", 30)
            assert not hung.is_running() or hung.status() == psutil.STATUS_ZOMBIE
            assert f"ingest is killed: its {name} has not moved for" in caplog.text
        finally:
            supervisor.stop()
            loops.close()


def in_ms(iso: str) -> int:
    """Milliseconds since 1970 of an answer's time."""
    return round(datetime.fromisoformat(iso).timestamp() * 1000)

"""The agent on a real Mosquitto: birth, Will, live rounds, and what it keeps in an outage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devices.kinds import KINDS
from devices.probe.agent import Agent
from devices.probe.config import ProbeConfig, Target
from devices.probe.measure import measure
from devices.probe.session import Broker
from devices.wire import Message, Round, Status, decode, decode_status
from tests.cable import Cable
from tests.probe import servers
from tests.project.broker import Client, Installation, free_port, wait_for
from tests.simulators.test_fleet import mosquitto

pytestmark = pytest.mark.mosquitto
TOPIC = "gov/v1/LA-LP/probe-7"
KIND = KINDS["connectivity-probe"]
INTERVAL_S = 0.2


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def statuses(client: Client) -> list[Status]:
    return [decode_status(p) for topic, p in list(client.received) if topic == f"{TOPIC}/status"]


def messages(client: Client, channel: str) -> list[Message]:
    return [
        decode(payload, KIND, now_ms())
        for topic, payload in list(client.received)
        if topic == f"{TOPIC}/{channel}"
    ]


def rounds(client: Client, *channels: str) -> list[Round]:
    said = [m for channel in channels for m in messages(client, channel)]
    return [one for message in said for one in message.rounds]


@contextmanager
def probing(config: ProbeConfig, broker: Broker) -> Iterator[Agent]:
    """An agent in a thread."""
    stop = threading.Event()
    agent = Agent(config, broker, measure=measure, now_ms=now_ms)
    thread = threading.Thread(target=agent.run, args=(stop.is_set,))
    thread.start()
    try:
        yield agent
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive()


@contextmanager
def probe_process(port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "runtime", "probe", "--device", "probe-7"]
    command += ["--province", "LA-LP", "--interval-s", str(INTERVAL_S), *arguments]
    environment = {**os.environ, "GOVSENSE_MQTT__PORT": str(port)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_measures_and_says_goodbye(tmp_path: Path) -> None:
    """A real probe publishes its birth, real rounds, and offline at SIGTERM."""
    port = free_port()
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/#")
        with servers.listener() as target:
            targets = f"nat=tcp://127.0.0.1:{target}"
            with probe_process(port, "--targets", targets, "--packets", "3") as process:
                wait_for(lambda: len(rounds(listener, "telemetry")) >= 3, "rounds", 20)
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 0
        wait_for(lambda: statuses(listener)[-1].state == "offline", "the farewell")
    birth = statuses(listener)[0]
    assert (birth.state, birth.kind, birth.interval_s) == ("online", KIND.name, INTERVAL_S)
    said = messages(listener, "telemetry")
    assert not any(message.refusals for message in said)
    assert {message.boot for message in said} == {birth.boot}
    live = rounds(listener, "telemetry")
    assert [one.seq for one in live] == list(range(len(live)))
    assert live[0].values["nat_rcvd"] == 3
    assert live[0].attributes == {"nat_by": "tcp"}
    assert abs(live[0].at_ms - now_ms()) < 60_000


def test_a_killed_probe_leaves_its_will(tmp_path: Path) -> None:
    """kill -9 brings the retained Will of the same boot."""
    port = free_port()
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/#")
        with probe_process(port) as process:
            wait_for(lambda: bool(statuses(listener)), "the birth", 20)
            process.kill()
            wait_for(lambda: len(statuses(listener)) == 2, "the Will")
    birth, will = statuses(listener)
    assert (birth.state, will.state) == ("online", "offline")
    assert birth.boot == will.boot


def test_an_outage_is_backfilled_and_nothing_is_missing(tmp_path: Path) -> None:
    """Rounds of an outage come after it as backfill, with their times; none is lost."""
    port, cut_port = free_port(), free_port()
    config = ProbeConfig("probe-7", "LA-LP", interval_s=INTERVAL_S)
    with (
        mosquitto(tmp_path, port),
        Client().connected(port) as listener,
        Cable(cut_port, port).laid() as cable,
    ):
        listener.subscribe("gov/v1/#")
        with probing(config, Broker("127.0.0.1", cut_port)) as agent:
            wait_for(lambda: len(rounds(listener, "telemetry")) >= 2, "live rounds")
            cable.cut()
            wait_for(lambda: len(agent.buffer) >= 8, "the buffer fills")
            cable.mend()
            wait_for(lambda: bool(rounds(listener, "backfill")), "backfill")
            count = len(rounds(listener, "telemetry"))
            wait_for(lambda: len(rounds(listener, "telemetry")) >= count + 2, "live again")
            wait_for(lambda: len(agent.buffer) <= 1, "the buffer empties")
    late = rounds(listener, "backfill")
    assert len(late) >= 4
    assert [one.at_ms for one in late] == sorted(one.at_ms for one in late)
    everything = {one.seq for one in rounds(listener, "telemetry", "backfill")}
    assert everything == set(range(len(everything)))
    backlog = max(one.values["backlog_msgs"] for one in rounds(listener, "telemetry", "backfill"))
    assert backlog >= 7
    assert [status.state for status in statuses(listener)][:3] == ["online", "offline", "online"]


def test_a_full_buffer_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    """While the broker is away longer than the buffer lasts, dropped_msgs counts what went."""
    port = free_port()
    config = ProbeConfig("probe-7", "LA-LP", interval_s=0.02, buffer_rounds=5)
    with probing(config, Broker("127.0.0.1", port)) as agent:
        wait_for(lambda: agent.buffer.dropped >= 4, "rounds are dropped")
        with mosquitto(tmp_path, port), Client().connected(port) as listener:
            listener.subscribe("gov/v1/#")
            wait_for(lambda: bool(rounds(listener, "telemetry")), "live rounds")
            wait_for(
                lambda: rounds(listener, "telemetry")[-1].values["dropped_msgs"] >= 4, "the count"
            )
            assert len(agent.buffer) <= 5


def test_the_password_of_a_device_lets_it_in(tmp_path: Path) -> None:
    """With a password file the device's id is its user name, as the broker's ACL wants it."""
    installation = Installation(tmp_path / "broker")
    installation.write("probe-7")
    password = tmp_path / "password"
    password.write_text(installation.passwords["probe-7"] + "\n")
    os.environ["GOVSENSE_MQTT__PASSWORD_FILE"] = str(password)
    try:
        with installation.running(), installation.client("ingest") as ingest:
            ingest.subscribe("gov/v1/#")
            with probe_process(installation.port):
                wait_for(lambda: bool(rounds(ingest, "telemetry")), "a round", 20)
    finally:
        del os.environ["GOVSENSE_MQTT__PASSWORD_FILE"]


def test_once_prints_a_round() -> None:
    """--once measures, prints JSON and needs no broker."""
    with servers.listener() as target:
        targets = f"int=127.0.0.1:{target}"
        with probe_process(1, "--once", "--targets", targets, "--packets", "2") as process:
            out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert '"int_rcvd": 2' in out


def test_a_wrong_call_is_explained() -> None:
    """A wrong target ends with code 2 and one sentence."""
    with probe_process(1, "--targets", "lan=10.0.0.1") as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "targets.lan" in err
    assert "Traceback" not in err


def test_every_start_is_another_boot() -> None:
    """The boot is random, so that numbers of two starts are never taken for one sequence."""
    config = ProbeConfig("probe-7", "LA-LP", targets={"gw": Target("127.0.0.1")})
    agents = [
        Agent(config, Broker("127.0.0.1", 1), measure=measure, now_ms=now_ms) for _ in range(2)
    ]
    assert agents[0].boot != agents[1].boot

"""The agent on a real Mosquitto: birth, Will, live rounds, and what it keeps in an outage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from devices.kinds import KINDS
from devices.probe.agent import Agent
from devices.probe.client import Broker
from devices.probe.config import ProbeConfig
from devices.probe.measure import measure
from devices.probe.outbox import Outbox
from devices.wire import (
    Message,
    Receipt,
    Resend,
    Round,
    Status,
    decode,
    decode_status,
    encode_receipt,
    encode_resend,
)
from tests.faults.proxy import Proxy
from tests.probe import servers
from tests.probe.kept import kept_in
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


def numbers(client: Client) -> set[int | None]:
    return {one.seq for one in rounds(client, "telemetry", "backfill")}


@contextmanager
def probing(
    config: ProbeConfig, broker: Broker, outbox: Outbox | None = None, *, speed: float = 1.0
) -> Iterator[Outbox]:
    """An agent in a thread, with an outbox in memory unless one is given."""
    stop = threading.Event()
    if outbox is None:
        outbox = Outbox(":memory:", config.buffer_rounds)
    agent = Agent(config, broker, outbox=outbox, measure=measure, now_ms=now_ms, speed=speed)
    thread = threading.Thread(target=agent.run, args=(stop.is_set,))
    thread.start()
    try:
        yield outbox
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive()


@contextmanager
def probe_process(directory: Path, port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "runtime", "probe", "--device", "probe-7"]
    command += ["--province", "LA-LP", "--interval-s", str(INTERVAL_S), *arguments]
    environment = {**os.environ, "GOVSENSE_MQTT__PORT": str(port)}
    environment["GOVSENSE_PLATFORM__DATA_DIR"] = str(directory / "probe-data")
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
            with probe_process(tmp_path, port, "--targets", targets, "--packets", "3") as process:
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
    assert [one.seq for one in live] == list(range(1, len(live) + 1))
    assert live[0].values["nat_rcvd"] == 3
    assert live[0].attributes == {"nat_by": "tcp"}
    assert abs(live[0].at_ms - now_ms()) < 60_000


def test_a_killed_probe_leaves_its_will(tmp_path: Path) -> None:
    """kill -9 brings the retained Will of the same boot."""
    port = free_port()
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/#")
        with probe_process(tmp_path, port) as process:
            wait_for(lambda: bool(statuses(listener)), "the birth", 20)
            process.kill()
            wait_for(lambda: len(statuses(listener)) == 2, "the Will")
    birth, will = statuses(listener)
    assert (birth.state, will.state) == ("online", "offline")
    assert birth.boot == will.boot


def test_an_outage_is_backfilled_and_nothing_is_missing(tmp_path: Path) -> None:
    """Rounds of an outage come after it as backfill, with their times; none is lost."""
    port = free_port()
    config = ProbeConfig("probe-7", "LA-LP", interval_s=INTERVAL_S)
    with (
        mosquitto(tmp_path, port),
        Client().connected(port) as listener,
        Proxy(port).running() as way,
    ):
        listener.subscribe("gov/v1/#")
        with probing(config, Broker("127.0.0.1", way.port)) as outbox:
            wait_for(lambda: len(rounds(listener, "telemetry")) >= 2, "live rounds")
            way.cut()
            wait_for(lambda: outbox.unsent >= 8, "the outbox fills")
            way.mend()
            wait_for(lambda: bool(rounds(listener, "backfill")), "backfill")
            count = len(rounds(listener, "telemetry"))
            wait_for(lambda: len(rounds(listener, "telemetry")) >= count + 2, "live again")
            wait_for(lambda: outbox.unsent <= 1, "the backlog is sent")
    late = rounds(listener, "backfill")
    assert len(late) >= 4
    assert [one.at_ms for one in late] == sorted(one.at_ms for one in late)
    everything = {one.seq for one in rounds(listener, "telemetry", "backfill")}
    assert everything == set(range(1, len(everything) + 1))
    backlog = max(one.values["backlog_msgs"] for one in rounds(listener, "telemetry", "backfill"))
    assert backlog >= 7
    assert [status.state for status in statuses(listener)][:3] == ["online", "offline", "online"]


def test_a_full_outbox_drops_the_oldest_and_says_so(tmp_path: Path) -> None:
    """While the broker is away longer than the outbox lasts, dropped_msgs counts what went."""
    port = free_port()
    config = ProbeConfig("probe-7", "LA-LP", interval_s=0.02, buffer_rounds=5)
    with probing(config, Broker("127.0.0.1", port)) as outbox:
        wait_for(lambda: outbox.dropped >= 4, "rounds are dropped")
        with mosquitto(tmp_path, port), Client().connected(port) as listener:
            listener.subscribe("gov/v1/#")
            wait_for(lambda: bool(rounds(listener, "telemetry")), "live rounds")
            wait_for(
                lambda: rounds(listener, "telemetry")[-1].values["dropped_msgs"] >= 4, "the count"
            )
            assert len(outbox) <= 5


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
            with probe_process(tmp_path, installation.port):
                wait_for(lambda: bool(rounds(ingest, "telemetry")), "a round", 20)
    finally:
        del os.environ["GOVSENSE_MQTT__PASSWORD_FILE"]


def test_once_prints_a_round(tmp_path: Path) -> None:
    """--once measures, prints JSON and needs no broker."""
    with servers.listener() as target:
        targets = f"int=127.0.0.1:{target}"
        with probe_process(
            tmp_path, 1, "--once", "--targets", targets, "--packets", "2"
        ) as process:
            out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert '"int_rcvd": 2' in out


def test_a_wrong_call_is_explained(tmp_path: Path) -> None:
    """A wrong target ends with code 2 and one sentence."""
    with probe_process(tmp_path, 1, "--targets", "lan=10.0.0.1") as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "targets.lan" in err
    assert "Traceback" not in err


def test_every_start_is_another_boot() -> None:
    """The boot is random, so that numbers of two starts are never taken for one sequence."""
    assert Outbox(":memory:", 1).boot != Outbox(":memory:", 1).boot


def test_a_receipt_empties_the_outbox_and_a_resend_is_answered(tmp_path: Path) -> None:
    """What has no receipt stays and comes again when it is asked for; a retained receipt counts."""
    port = free_port()
    config = ProbeConfig("probe-7", "LA-LP", interval_s=INTERVAL_S)
    with mosquitto(tmp_path, port), Client().connected(port) as platform:
        platform.subscribe("gov/v1/#")
        with probing(config, Broker("127.0.0.1", port)) as outbox:
            wait_for(lambda: len(rounds(platform, "telemetry")) >= 5, "live rounds")
            platform.publish(f"{TOPIC}/receipt", b"not a receipt")
            platform.publish(f"{TOPIC}/resend", encode_resend(Resend(outbox.boot, 2, 4)))
            wait_for(lambda: bool(rounds(platform, "backfill")), "what was asked for")
            assert [one.seq for one in rounds(platform, "backfill")] == [2, 3, 4]
            receipt = encode_receipt(Receipt(outbox.boot, 4))
            platform.publish(f"{TOPIC}/receipt", receipt, retain=True)
            wait_for(lambda: len(outbox) <= 4, "it lets go")
            platform.publish(f"{TOPIC}/resend", encode_resend(Resend(outbox.boot, 1, 5)))
            wait_for(lambda: len(rounds(platform, "backfill")) == 4, "what is left of a range")
            assert rounds(platform, "backfill")[-1].seq == 5
    live = [one.seq or 0 for one in rounds(platform, "telemetry")]
    assert live == sorted(set(live)), "live rounds are sent once"


def test_a_broker_that_forgot_gets_again_what_has_no_receipt(tmp_path: Path) -> None:
    """A killed broker took with it what it had acknowledged: the outbox sends all of it again."""
    port = free_port()
    config = ProbeConfig("probe-7", "LA-LP", interval_s=INTERVAL_S)
    outbox = Outbox(tmp_path / "outbox.db", 1000)
    with ExitStack() as agent:
        with mosquitto(tmp_path, port) as broker, Client().connected(port) as platform:
            platform.subscribe("gov/v1/#")
            agent.enter_context(probing(config, Broker("127.0.0.1", port), outbox))
            wait_for(lambda: len(rounds(platform, "telemetry")) >= 6, "live rounds")
            platform.publish(f"{TOPIC}/receipt", encode_receipt(Receipt(outbox.boot, 4)))
            wait_for(lambda: len(outbox) <= 4, "the receipt is heard")
            broker.kill()
        with mosquitto(tmp_path, port), Client().connected(port) as platform:
            platform.subscribe("gov/v1/#")
            wait_for(lambda: bool(rounds(platform, "telemetry")), "live again", 20)
            wanted = set(range(5, (rounds(platform, "telemetry")[-1].seq or 0) + 1))
            wait_for(lambda: wanted <= numbers(platform), "everything without a receipt")
            assert not {1, 2, 3, 4} & numbers(platform)
    outbox.close()


def test_a_session_that_the_broker_kept_repeats_nothing(tmp_path: Path) -> None:
    """After a short cut only what was not sent is sent; without a receipt it goes again later."""
    port = free_port()
    config = ProbeConfig("probe-7", "LA-LP", interval_s=INTERVAL_S)
    with (
        mosquitto(tmp_path, port),
        Client().connected(port) as platform,
        Proxy(port).running() as way,
    ):
        platform.subscribe("gov/v1/#")
        with probing(config, Broker("127.0.0.1", way.port)) as outbox:
            wait_for(lambda: len(rounds(platform, "telemetry")) >= 5, "live rounds")
            sent = len(outbox) - outbox.unsent
            way.cut()
            wait_for(lambda: outbox.unsent >= 5, "an outage")
            way.mend()
            wait_for(lambda: bool(rounds(platform, "backfill")), "backfill")
            wait_for(lambda: outbox.unsent <= 1, "the backlog is sent")
    assert not {one.seq for one in rounds(platform, "backfill")} & set(range(1, sent))


def test_what_gets_no_receipt_goes_again(tmp_path: Path) -> None:
    """Five minutes (played 1,000 times as fast) after the broker took it, it is sent again."""
    port = free_port()
    config = ProbeConfig("probe-7", "LA-LP", interval_s=INTERVAL_S)
    with mosquitto(tmp_path, port), Client().connected(port) as platform:
        platform.subscribe("gov/v1/#")
        with probing(config, Broker("127.0.0.1", port), speed=1000):
            wait_for(lambda: bool(rounds(platform, "backfill")), "it comes again")
    assert rounds(platform, "backfill")[0].seq == 1


def test_the_next_start_sends_what_the_last_one_could_not(tmp_path: Path) -> None:
    """Rounds of a probe that was killed off line come from the next process, as its boot's."""
    port = free_port()
    file = tmp_path / "kept.db"
    with probe_process(tmp_path, port, "--outbox", str(file)) as process:
        wait_for(lambda: len(kept_in(file)) >= 3, "rounds are kept", 20)
        process.kill()
        process.wait()
    with mosquitto(tmp_path, port), Client().connected(port) as platform:
        platform.subscribe("gov/v1/#")
        with probe_process(tmp_path, port, "--outbox", str(file)):
            wait_for(lambda: bool(messages(platform, "backfill")), "backfill", 20)
    early, now = messages(platform, "backfill")[0], statuses(platform)[0]
    assert early.boot != now.boot
    assert [one.seq for one in early.rounds[:3]] == [1, 2, 3]

"""The broker's files: who may say what, and that nothing is dropped. Against a real Mosquitto."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from tests.project.broker import Client, Installation, program, wait_for

pytestmark = pytest.mark.mosquitto

MINE, OTHER = "gov/v1/LA-LP/probe-1", "gov/v1/LA-LP/probe-2"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    program("mosquitto")
    installation = Installation(tmp_path_factory.mktemp("mosquitto") / "own")
    installation.write("probe-1", "probe-2")
    with installation.running():
        yield installation


def test_anonymous_clients_are_refused(broker: Installation) -> None:
    """Without a user name nobody gets in, and neither does a wrong password."""
    with Client().connected(broker.port) as anonymous:
        assert anonymous.reason == "Not authorized"
    with Client("probe-1", "guess").connected(broker.port) as guesser:
        assert guesser.reason == "Not authorized"
    with broker.client("probe-1") as known:
        assert known.reason == "Success"


@pytest.mark.parametrize(
    "topic",
    [
        f"{OTHER}/telemetry",
        f"{OTHER}/status",
        f"{OTHER}/receipt",
        f"{OTHER}/resend",
        "gov/v1/LA-LP/telemetry",
        "gov/v1/LA-LP/x/probe-1/telemetry",
    ],
)
def test_a_device_cannot_write_outside_its_own_name(broker: Installation, topic: str) -> None:
    """A publish to any topic but one's own is denied without a word, and reaches nobody."""
    with (
        broker.client("ingest") as ingest,
        broker.client("probe-1") as device,
        broker.client("probe-2") as victim,
    ):
        victim.subscribe(f"{OTHER}/receipt", f"{OTHER}/resend")
        ingest.subscribe("gov/#")
        device.publish(topic, b"spoofed")
        device.publish(f"{MINE}/telemetry", b"honest")
        wait_for(lambda: bool(ingest.received), "the honest message arrives")
        assert ingest.received == [(f"{MINE}/telemetry", b"honest")]
        ingest.publish(f"{OTHER}/receipt", b"mark")
        wait_for(lambda: bool(victim.received), "the receipt arrives")
        assert victim.received == [(f"{OTHER}/receipt", b"mark")]


def test_a_device_reads_only_its_own_receipts_and_requests(broker: Installation) -> None:
    """Whatever a device subscribes to, it gets its own receipt and resend topics, no $SYS."""
    with broker.client("ingest") as ingest, broker.client("probe-1") as device:
        ingest.publish(f"{OTHER}/receipt", b"retained", retain=True)
        device.subscribe("#", "gov/v1/#", f"{OTHER}/receipt", f"{OTHER}/telemetry", "$SYS/#")
        with broker.client("probe-2") as other:
            other.publish(f"{OTHER}/telemetry", b"private")
        ingest.publish(f"{OTHER}/resend", b"private")
        ingest.publish(f"{MINE}/receipt", b"receipt")
        ingest.publish(f"{MINE}/resend", b"resend")
        ends = (f"{MINE}/resend", b"resend")
        wait_for(lambda: ends in device.received, "its own request arrives")
        assert set(device.received) == {(f"{MINE}/receipt", b"receipt"), ends}
        ingest.publish(f"{OTHER}/receipt", b"", retain=True)


def test_ingest_writes_receipts_only(broker: Installation) -> None:
    """The platform's user cannot publish telemetry in a device's name."""
    with broker.client("ingest") as ingest:
        ingest.subscribe("gov/v1/#")
        ingest.publish(f"{MINE}/telemetry", b"forged")
        ingest.publish(f"{MINE}/resend", b"mark")
        wait_for(lambda: bool(ingest.received), "the request comes back")
        assert ingest.received == [(f"{MINE}/resend", b"mark")]


def test_ingest_can_watch_for_dropped_messages(broker: Installation) -> None:
    """The counter that shows a full queue is readable to the platform, and nothing else of $SYS."""
    counter = "$SYS/broker/publish/messages/dropped"
    with broker.client("ingest") as ingest:
        ingest.subscribe("$SYS/#", counter)
        ingest.publish(f"{MINE}/resend", b"mark")
        wait_for(lambda: bool(ingest.received), "the counter arrives", within_s=15)
        assert {topic for topic, _ in ingest.received} == {counter}


def test_a_payload_above_the_contract_reaches_ingest(broker: Installation) -> None:
    """256 KiB pass, and so does more: the platform refuses it visibly, not the broker silently."""
    with broker.client("ingest") as ingest, broker.client("probe-1") as device:
        ingest.subscribe("gov/v1/#")
        for size in (262_144, 300_000):
            device.publish(f"{MINE}/telemetry", b"x" * size)
        wait_for(lambda: len(ingest.received) == 2, "both arrive")
        assert [len(payload) for _, payload in ingest.received] == [262_144, 300_000]


def test_a_backlog_survives_a_restart_and_arrives_in_one_window(tmp_path: Path) -> None:
    """5,000 messages for an absent ingest are all kept, and 1,500 arrive before one is acked."""
    installation = Installation(tmp_path / "own")
    installation.write("probe-1")
    with installation.running():
        with installation.client("ingest", clean=False) as ingest:
            ingest.subscribe("gov/v1/#")
        with installation.client("probe-1") as device:
            device.publish_many(f"{MINE}/telemetry", 5000)
    with installation.running():
        with installation.client("ingest", clean=False, acknowledge=False) as holding:
            wait_for(lambda: len(holding.received) >= 1500, "a wide window of messages")
        with installation.client("ingest", clean=False) as ingest:
            wait_for(lambda: len(ingest.received) >= 5000, "the whole backlog")
            assert {payload for _, payload in ingest.received} == {b"%d" % i for i in range(5000)}


def test_a_snapshot_is_written_within_seconds(tmp_path: Path) -> None:
    """A broker that is killed has lost a few seconds, not half an hour."""
    installation = Installation(tmp_path / "own")
    installation.write("probe-1")
    with installation.running() as process:
        with installation.client("probe-1") as device:
            device.publish(f"{MINE}/status", b"birth", retain=True)
        database = installation.directory / "data/mosquitto.db"
        wait_for(lambda: database.exists() and b"birth" in database.read_bytes(), "a snapshot")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with installation.running(), installation.client("ingest") as ingest:
        ingest.subscribe("gov/v1/#")
        wait_for(lambda: bool(ingest.received), "the retained status")
        assert ingest.received == [(f"{MINE}/status", b"birth")]


def test_mqtt_5_clients_are_under_the_same_rules(broker: Installation) -> None:
    """A device that speaks MQTT 5 writes below its own name and nowhere else."""
    with broker.client("ingest") as ingest:
        ingest.subscribe("gov/v1/#")
        with broker.client("probe-1", protocol=mqtt.MQTTv5) as device:
            device.publish(f"{OTHER}/telemetry", b"spoofed")
            device.publish(f"{MINE}/telemetry", b"honest")
            wait_for(lambda: bool(ingest.received), "the honest message arrives")
            assert ingest.received == [(f"{MINE}/telemetry", b"honest")]


def test_the_tls_example_works(tmp_path: Path) -> None:
    """With the example file and a certificate, devices connect over TLS under the same rules."""
    installation = Installation(tmp_path / "own")
    installation.write("probe-1")
    installation.enable_tls()
    secrets = installation.directory / "secrets"
    command = f"{program('openssl')} req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=broker"
    command += " -addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.crt"
    subprocess.run(command.split(), cwd=secrets, check=True, capture_output=True)
    with installation.running():
        password = installation.passwords["probe-1"]
        trusting = Client("probe-1", password, tls_ca=secrets / "server.crt")
        with trusting.connected(installation.tls_port) as device:
            assert device.reason == "Success"
        with Client(tls_ca=secrets / "server.crt").connected(installation.tls_port) as anonymous:
            assert anonymous.reason == "Not authorized"

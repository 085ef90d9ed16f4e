"""A real Mosquitto that runs with the files of deploy/mosquitto, and clients to try it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/add-device-credentials"
WITHIN_S = 30.0
MOST_UNDERWAY = 20_000  # a client has 65,535 packet identifiers


def program(name: str) -> str:
    """The path of a Debian program; skips the test where it is missing, fails it in CI."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is not None:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


def wait_for(
    condition: Callable[[], bool], what: str | Callable[[], str], within_s: float = WITHIN_S
) -> None:
    """Wait until a condition holds; fails the test after the deadline, and says then what for."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            said = what if isinstance(what, str) else what()
            pytest.fail(f"not within {within_s} s: {said}")
        time.sleep(0.01)


def free_port() -> int:
    """A port of the loopback interface that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """A copy of deploy/mosquitto in a directory, with its one prefix and its ports replaced."""

    directory: Path
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    passwords: dict[str, str] = field(default_factory=dict)

    def write(self, *devices: str) -> None:
        """Lay the files out; every device and `ingest` get a password from our own script."""
        secrets = self.directory / "secrets"
        (self.directory / "data").mkdir(parents=True)
        secrets.mkdir()
        shutil.copytree(ROOT / "deploy/mosquitto", self.directory / "config")
        self._adapt(self.directory / "config/mosquitto.conf", 1883, self.port)
        ingest = secrets / "mqtt_ingest_password"
        command: list[str | Path] = [sys.executable, SCRIPT, "--passwords", secrets / "passwords"]
        command += ["--ingest", ingest, *devices]
        added = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = added.stdout.splitlines()[1:]
        self.passwords = dict(row.split(",", 1) for row in rows)
        self.passwords["ingest"] = ingest.read_text().strip()

    def enable_tls(self) -> None:
        """Turn the example for TLS into a file that the broker includes."""
        example = self.directory / "config/conf.d/tls.conf.example"
        self._adapt(example, 8883, self.tls_port)
        example.rename(example.with_suffix(""))

    def _adapt(self, file: Path, port: int, ours: int) -> None:
        text = file.read_text().replace("/mosquitto", str(self.directory))
        text = text.replace(f"listener {port}\n", f"listener {ours} 127.0.0.1\n")
        if os.getuid() == 0:  # else Mosquitto becomes a user who cannot write here
            text += "user root\n" if file.name == "mosquitto.conf" else ""
        file.write_text(text)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The broker, started, answering, and stopped at the end."""
        log = (self.directory / "log").open("ab")
        command = [program("mosquitto"), "-c", str(self.directory / "config/mosquitto.conf")]
        with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                wait_for(lambda: self._answers(process), "Mosquitto listens")
                yield process
            finally:
                process.terminate()

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            pytest.fail(f"Mosquitto did not start: {(self.directory / 'log').read_text()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @contextmanager
    def client(self, user: str, **options: Any) -> Iterator[Client]:
        """A client that is logged in as one of the users."""
        client = Client(user, self.passwords[user], **options)
        with client.connected(self.port):
            yield client


class Client:
    """A paho client in a thread of its own, with what it received."""

    def __init__(
        self,
        user: str = "",
        password: str = "",
        *,
        clean: bool = True,
        acknowledge: bool = True,
        protocol: int = mqtt.MQTTv311,
        tls_ca: Path | None = None,
    ) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.reason = ""
        self._granted: set[int] = set()
        self._underway: list[mqtt.MQTTMessageInfo] = []
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"test-{user}",
            clean_session=clean if protocol == mqtt.MQTTv311 else None,
            protocol=protocol,  # type: ignore[arg-type]
            manual_ack=not acknowledge,
        )
        if user:
            self._client.username_pw_set(user, password)
        if tls_ca:
            self._client.tls_set(ca_certs=str(tls_ca))
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.max_queued_messages_set(0)

    @contextmanager
    def connected(self, port: int) -> Iterator[Client]:
        """Connect, wait for the broker's answer (in `reason`), disconnect at the end."""
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        try:
            wait_for(lambda: bool(self.reason), "the broker answers CONNECT")
            yield self
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands; it comes back by itself."""
        return self._client.is_connected()

    def subscribe(self, *topics: str) -> None:
        """Subscribe with QoS 1 and wait for the answer."""
        _, mid = self._client.subscribe([(topic, 1) for topic in topics])
        wait_for(lambda: mid in self._granted, "the broker answers SUBSCRIBE")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for the acknowledgement, which a denial gets too."""
        self._client.publish(topic, payload, 1, retain).wait_for_publish(WITHIN_S)

    def publish_many(self, topic: str, count: int) -> None:
        """Publish numbers 0 to count - 1 and wait for the last acknowledgement."""
        last = [self._client.publish(topic, b"%d" % i, 1) for i in range(count)][-1]
        last.wait_for_publish(WITHIN_S)

    def publish_burst(self, topic: str, count: int) -> None:
        """Publish numbers 0 to count - 1 without waiting; `wait_published` waits for all."""
        for n in range(count):
            self.publish_soon(topic, b"%d" % n)

    def publish_soon(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1; `wait_published` waits for all of these, as this does for many."""
        if len(self._underway) == MOST_UNDERWAY:
            self.wait_published()
        self._underway.append(self._client.publish(topic, payload, 1))

    def wait_published(self) -> None:
        """Wait for the acknowledgement of everything that was published."""
        while self._underway:
            self._underway.pop().wait_for_publish(WITHIN_S)

    def _on_connect(self, client, userdata, flags, reason, properties) -> None:  # type: ignore[no-untyped-def]
        self.reason = str(reason)

    def _on_subscribe(self, client, userdata, mid, reasons, properties) -> None:  # type: ignore[no-untyped-def]
        self._granted.add(mid)

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self.received.append((message.topic, bytes(message.payload)))

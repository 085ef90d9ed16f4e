"""The commands of the Compose file, run without containers: they start, are well and do the job."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from devices.registry_files import write_registry
from tests.path.platform import one_office, reading
from tests.project.broker import Installation, free_port, program, wait_for
from tests.project.test_compose import SERVICES

pytestmark = pytest.mark.mosquitto

GOVSENSE = [sys.executable, "-m", "runtime"]


class Deployment:
    """Mosquitto, ingest and API as docker-compose.yml starts them, on free ports."""

    def __init__(self, directory: Path) -> None:
        self.installation = Installation(directory / "mosquitto")
        self.installation.write("p0", "p1")
        self.http_port = free_port()
        self.directory = directory
        self._own = {  # what differs between a container and this machine
            "GOVSENSE_PLATFORM__DATA_DIR": str(directory / "data"),
            "GOVSENSE_MQTT__HOST": "127.0.0.1",
            "GOVSENSE_MQTT__PORT": str(self.installation.port),
            "GOVSENSE_MQTT__PASSWORD_FILE": str(
                self.installation.directory / "secrets/mqtt_ingest_password"
            ),
            "GOVSENSE_HTTP__HOST": "127.0.0.1",
            "GOVSENSE_HTTP__PORT": str(self.http_port),
        }

    def environment(self, service: str) -> dict[str, str]:
        """The service's own environment, with this machine's addresses and paths."""
        return {**os.environ, **SERVICES[service].get("environment", {}), **self._own}

    def register(self) -> None:
        """Import a registry, as docs/operations.md says to."""
        write_registry(one_office(2), self.directory / "registry")
        command = [*GOVSENSE, "registry", "import", str(self.directory / "registry")]
        subprocess.run(command, env=self.environment("api"), check=True, capture_output=True)

    @contextmanager
    def service(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """One of our services, stopped with SIGTERM within its grace period."""
        log = (self.directory / f"{name}.log").open("ab")
        command = [*GOVSENSE, *SERVICES[name]["command"]]
        grace_s = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        with log:
            process = subprocess.Popen(command, env=self.environment(name), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(grace_s) == 0, (self.directory / f"{name}.log").read_text()

    def is_well(self, name: str) -> bool:
        """Whether the service's own health check succeeds."""
        kind, *test = SERVICES[name]["healthcheck"]["test"]
        if kind == "CMD":
            assert test[0] == "govsense"
            test = [*GOVSENSE, *test[1:]]
        else:
            script = test[0].replace("$$", "$").replace("1883", str(self.installation.port))
            test = ["sh", "-c", script]
        done = subprocess.run(test, env=self.environment(name), capture_output=True, check=False)
        return done.returncode == 0


def test_the_commands_of_the_compose_file_make_a_platform(tmp_path: Path) -> None:
    """Every health check goes from bad to good, and a device's reading comes out of the API."""
    program("mosquitto")
    program(shlex.split(SERVICES["mosquitto"]["healthcheck"]["test"][1])[0])
    deployment = Deployment(tmp_path)
    assert not any(map(deployment.is_well, ("mosquitto", "ingest", "api")))
    deployment.register()
    with ExitStack() as stack:
        stack.enter_context(deployment.installation.running())
        for name in ("ingest", "api"):
            stack.enter_context(deployment.service(name))
        for name in ("mosquitto", "ingest", "api"):
            wait_for(partial(deployment.is_well, name), f"{name} is well", within_s=30)
        with deployment.installation.client("p0") as device:
            payload = reading(time.time_ns() // 1_000_000, nat_rtt_p50_ms=21.4)
            device.publish("gov/v1/LA-LP/p1/telemetry", payload)  # in another's name
            device.publish("gov/v1/LA-LP/p0/telemetry", payload)
        url = f"http://127.0.0.1:{deployment.http_port}/api/v1/devices"

        def readings(device: str) -> list[dict[str, object]]:
            answer = httpx.get(f"{url}/{device}/latest", timeout=5, trust_env=False)
            found: list[dict[str, object]] = answer.json()["readings"]
            return found

        wait_for(lambda: bool(readings("p0")), "the reading is stored")
        assert [r["value"] for r in readings("p0") if r["metric"] == "nat_rtt_p50_ms"] == [21.4]
        assert readings("p1") == []


def test_ingest_is_unwell_without_its_broker(tmp_path: Path) -> None:
    """The health check of ingest fails while there is no broker, and recovers when it is back."""
    deployment = Deployment(tmp_path)
    with deployment.service("ingest"):
        with deployment.installation.running():
            wait_for(lambda: deployment.is_well("ingest"), "ingest is well", within_s=30)
        wait_for(lambda: not deployment.is_well("ingest"), "ingest is unwell", within_s=15)
        with deployment.installation.running():
            wait_for(lambda: deployment.is_well("ingest"), "ingest is well again", within_s=30)

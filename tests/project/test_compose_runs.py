"""The commands of the Compose file, run without containers: they start, are well and do the job."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from devices.registry_files import write_registry
from tests.path.platform import one_office, reading
from tests.project.broker import ROOT, Installation, free_port, program, wait_for
from tests.project.documents import documents, text_of
from tests.project.test_compose import SERVICES

pytestmark = pytest.mark.mosquitto

ALL = ("mosquitto", "ingest", "api")
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

    def get(self, path: str) -> httpx.Response:
        """The API's answer."""
        return httpx.get(
            f"http://127.0.0.1:{self.http_port}{path}", timeout=5, trust_env=False
        ).raise_for_status()

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


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    program("mosquitto")
    program(shlex.split(SERVICES["mosquitto"]["healthcheck"]["test"][1])[0])
    deployment = Deployment(tmp_path_factory.mktemp("compose"))
    assert not any(map(deployment.is_well, ALL))
    deployment.register()
    with (
        deployment.installation.running(),
        deployment.service("ingest"),
        deployment.service("api"),
    ):
        for name in ALL:
            wait_for(partial(deployment.is_well, name), f"{name} is well", within_s=30)
        yield deployment


def test_a_reading_comes_out_of_the_api(deployment: Deployment) -> None:
    """What a device says in its own name is stored; what it says in another's is not."""
    with deployment.installation.client("p0") as device:
        payload = reading(time.time_ns() // 1_000_000, nat_rtt_p50_ms=21.4)
        device.publish("gov/v1/LA-LP/p1/telemetry", payload)
        device.publish("gov/v1/LA-LP/p0/telemetry", payload)

    def readings(device: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = deployment.get(f"/api/v1/devices/{device}/latest").json()[
            "readings"
        ]
        return found

    wait_for(lambda: bool(readings("p0")), "the reading is stored")
    assert [r["value"] for r in readings("p0") if r["metric"] == "nat_rtt_p50_ms"] == [21.4]
    assert readings("p1") == []


def test_the_metrics_that_operators_are_told_of_exist(deployment: Deployment) -> None:
    """Every metric that docs/operations.md names is in the answer of /metrics."""
    scraped = set(
        re.findall(r"^(govsense_\w+?)(?:_bucket)?[{ ]", deployment.get("/metrics").text, re.M)
    )
    told = set(re.findall(r"\bgovsense_\w+", (ROOT / "docs/operations.md").read_text()))
    told -= {"govsense_refused"}  # comes with the first refusal
    assert told
    assert told <= scraped


def test_the_paths_that_the_documents_name_exist(deployment: Deployment) -> None:
    """Every path below /api/v1 in the documents is one of the API's own description."""
    known = deployment.get("/api/v1/openapi.json").json()["paths"]
    patterns = [re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in known]
    for document in documents():
        for path in re.findall(r"/api/v1/[\w/{}.-]*\w}?", text_of(document)):
            plain = path.removesuffix("/openapi.json")
            assert any(re.fullmatch(p, plain) for p in patterns) or plain != path, (document, path)


def test_ingest_is_unwell_without_its_broker(tmp_path: Path) -> None:
    """The health check of ingest fails while there is no broker, and recovers when it is back."""
    deployment = Deployment(tmp_path)
    with deployment.service("ingest"):
        with deployment.installation.running():
            wait_for(lambda: deployment.is_well("ingest"), "ingest is well", within_s=30)
        wait_for(lambda: not deployment.is_well("ingest"), "ingest is unwell", within_s=15)
        with deployment.installation.running():
            wait_for(lambda: deployment.is_well("ingest"), "ingest is well again", within_s=30)

"""A whole platform for tests: a real broker, `govsense ingest` and `govsense api` as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from api.client import Client as ApiClient
from devices.registry import Device, Registry, Site, Uplink
from storage.ledger.keys import create_key
from storage.ledger.migrations import open_ledger
from storage.ledger.registry import add_registry
from tests.project.broker import free_port, program, wait_for

UNLIMITED = ", ".join(f"{role}=1000000" for role in ("viewer", "operator", "admin", "auditor"))
READY_WITHIN_S = 120.0  # a start takes seconds; beside another suite on a busy machine, many
LOOPS = ("receiver", "processor", "drainer")
BROKER = """listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 2000
max_queued_messages 1000000
message_size_limit 1048576
persistence true
autosave_interval 5
persistence_location {directory}/
"""


def one_office(devices: int = 3, *, interval_s: float = 60.0) -> Registry:
    """An office in Luang Prabang with some probes p0, p1, ... and a cold room c0."""
    uplink = Uplink("LTC", "fibre", 50.0, 25.0)
    site = Site("office", "Office", "ຫ້ອງການ", "office", "LA-LP", "luangprabang", 19.9, 102.1,
                "Interior", (uplink,), "", "normal")  # fmt: skip
    probes = {
        f"p{n}": Device(f"p{n}", "office", "connectivity-probe", interval_s, 1, {})
        for n in range(devices)
    }
    cold = {"c0": Device("c0", "office", "cold-chain", interval_s, 1, {})}
    return Registry({"office": site}, probes | cold)


class Platform:
    """Processes over one data directory. Every port is free and of the loopback interface."""

    def __init__(
        self,
        directory: Path,
        registry: Registry,
        environment: dict[str, str],
        *,
        data: Path | None = None,
    ) -> None:
        """directory: of the broker and the logs. data: of the platform, the same unless given."""
        self.directory = directory
        self.data = data or directory
        self.port = free_port()
        self.http_port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "GOVSENSE_MQTT__PORT": str(self.port),
            "GOVSENSE_HTTP__PORT": str(self.http_port),
            "GOVSENSE_LIMITS__REQUESTS_PER_MINUTE": UNLIMITED,
            **environment,
        }
        directory.mkdir(parents=True, exist_ok=True)
        embedded = f"sqlite:///{self.data / 'ledger.db'}"
        self.ledger_url = environment.get("GOVSENSE_STORAGE__LEDGER_URL") or embedded
        ledger = open_ledger(self.ledger_url)
        add_registry(ledger, registry)
        now_ms = time.time_ns() // 1_000_000
        made = create_key(ledger, name="test", role="admin", days=1, now_ms=now_ms, by="test")
        self.key = made.text
        self.headers = {"Authorization": f"Bearer {self.key}"}
        ledger.close()

    def start(self, *names: str) -> None:
        """Start processes out of: broker, ingest or its loops receiver, processor, drainer, api."""
        for name in names:
            self._launch(name)
        if "broker" in names:
            wait_for(self._broker_answers, "the broker listens")
        if "api" in names:
            self.wait_ready("api", "ingest")

    def wait_ready(self, *names: str) -> None:
        """Wait until the API says that all is well; a failure shows the logs of these processes."""
        wait_for(
            self._is_ready,
            lambda: "ready: " + " ".join(self.log(name) for name in names),
            READY_WITHIN_S,
        )

    def _launch(self, name: str) -> None:
        command = self._broker() if name == "broker" else self.command(*_arguments(name))
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                env=self._environment_of(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _environment_of(self, name: str) -> dict[str, str]:
        return self._environment

    def command(self, *arguments: str) -> list[str]:
        """The call of a govsense command on this platform's data."""
        return [sys.executable, "-m", "runtime", "--data-dir", str(self.data), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a govsense command to its end."""
        return subprocess.run(
            self.command(*arguments), env=self._environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    def process(self, name: str) -> psutil.Process:
        """A process that runs."""
        return psutil.Process(self._processes[name].pid)

    def kill(self, name: str) -> None:
        """kill -9 of a process and of all that it started."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        process = self._processes.pop(name)
        process.terminate()
        return process.wait(20)

    def log(self, name: str) -> str:
        """What a process has written."""
        path = self.directory / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON answer of the API to a GET."""
        url = f"http://127.0.0.1:{self.http_port}/api/v1{path}"
        answer = httpx.get(
            url, params=parameters, headers=self.headers, timeout=10, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """The JSON answer of the API to a POST that succeeds."""
        url = f"http://127.0.0.1:{self.http_port}/api/v1{path}"
        answer = httpx.post(url, json=body, headers=self.headers, timeout=10, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def items(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All items of a paged answer."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **parameters, **cursor)
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    @property
    def client(self) -> ApiClient:
        """A client of the API, as an agency has it; close it."""
        url = f"http://127.0.0.1:{self.http_port}"
        return ApiClient(url, key=self.key, timeout_s=10, trust_env=False)

    def metrics(self) -> dict[str, float]:
        """The plain counters and gauges of one Prometheus scrape."""
        url = f"http://127.0.0.1:{self.http_port}/metrics"
        answer = httpx.get(url, headers=self.headers, timeout=10, trust_env=False)
        lines = answer.text.splitlines()
        rows = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, value in rows}

    def close(self) -> None:
        """Kill everything that still runs."""
        for name in list(self._processes):
            self.kill(name)

    def pid(self, name: str) -> int:
        """The process of that name."""
        return self._processes[name].pid

    def unready(self) -> str:
        """Why the platform is not ready, "" where it is."""
        url = f"http://127.0.0.1:{self.http_port}/api/v1/ready"
        answer = httpx.get(url, timeout=10, trust_env=False)
        return "" if answer.status_code == 200 else str(answer.json()["detail"])

    def _broker(self) -> list[str]:
        file = self.directory / "mosquitto.conf"
        text = BROKER.format(port=self.port, directory=self.directory)
        file.write_text(text + ("user root\n" if os.getuid() == 0 else ""))
        return [program("mosquitto"), "-c", str(file)]

    def _broker_answers(self) -> bool:
        try:
            httpx.get(f"http://127.0.0.1:{self.port}", timeout=1, trust_env=False)
        except httpx.ConnectError:
            return False
        except httpx.HTTPError:
            return True
        return True

    def _is_ready(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.http_port}/api/v1/ready"
            return httpx.get(url, timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


def _arguments(name: str) -> list[str]:
    """The arguments of govsense for a process of that name."""
    return ["ingest", "--only", name] if name in LOOPS else [name]


@contextmanager
def running(
    directory: Path, registry: Registry, *names: str, **environment: str
) -> Iterator[Platform]:
    """A platform with these processes started (all three by default), killed at the end."""
    platform = Platform(directory, registry, environment)
    try:
        platform.start(*(names or ("broker", "ingest", "api")))
        yield platform
    finally:
        platform.close()


def reading(at_ms: int, seq: int = 1, **metrics: float | None) -> bytes:
    """A native payload of one round."""
    return json.dumps({"v": 1, "boot": "b1", "seq": seq, "ts": at_ms, "m": metrics}).encode()

"""The services of docker-compose.yml as processes on this machine: real servers, free ports.

What differs from containers: addresses and paths, and InfluxDB, which is Debian's 1.6.7 with
authentication instead of 2.7. That one knows users with passwords instead of tokens, databases
instead of buckets, and has no `influx ping`. What only 2.7 does is in tests/influx/test_setup.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from functools import cached_property, partial
from pathlib import Path

import httpx

from devices.registry_files import write_registry
from storage.influx.server import Address, Server
from tests.influx.influxd import Influxd
from tests.path.platform import one_office, reading
from tests.project.broker import ROOT, Installation, free_port, program, wait_for
from tests.project.test_compose import SERVICES
from tests.storage.postgresql import Postgresql

GOVSENSE = [sys.executable, "-m", "runtime"]
SERVERS = ("mosquitto", "postgresql", "influxdb")
OURS = ("ingest", "api")
DATA_DIR = "/var/lib/govsense"  # as the Dockerfile says


class Deployment:
    """All services. Each finds the secrets and volumes that are mounted for it, and no others."""

    def __init__(self, directory: Path) -> None:
        program("mosquitto_sub")
        self.directory = directory
        self.secrets = directory / "secrets"
        subprocess.run(
            [ROOT / "scripts/make-secrets", self.secrets], check=True, capture_output=True
        )
        self.http_port = free_port()
        self.broker = Installation(directory / "mosquitto")
        self.broker.write("p0", "p1")
        made = self.broker.directory / "secrets/mqtt_ingest_password"
        shutil.copy(made, self.secrets / made.name)
        self.postgresql = Postgresql(
            superuser="postgres", password=self.secret("postgres_password")
        )
        self.influxd = Influxd(directory / "influxd", extra_http="auth-enabled = true")
        administrator = f"admin:{self.secret('influxdb_password')}"
        (self.secrets / "influxdb_token").write_text(administrator)
        self._running: dict[str, ExitStack] = {}

    def secret(self, name: str) -> str:
        """What a secret holds."""
        return (self.secrets / name).read_text().strip()

    def environment(self, service: str) -> dict[str, str]:
        """The service's own environment, with this machine's addresses and paths."""
        stated = {"GOVSENSE_PLATFORM__DATA_DIR": DATA_DIR, **SERVICES[service]["environment"]}
        addresses = {
            "GOVSENSE_HTTP__HOST": "127.0.0.1",
            "GOVSENSE_HTTP__PORT": str(self.http_port),
            "GOVSENSE_MQTT__HOST": "127.0.0.1",
            "GOVSENSE_MQTT__PORT": str(self.broker.port),
        }
        return {
            **os.environ,
            **{key: self.here(service, str(value)) for key, value in stated.items()},
            **addresses,
        }

    def here(self, service: str, said: str) -> str:
        """What a word of the Compose file is on this machine."""
        root = self._root(service)
        for there, here in {
            "/run/secrets": f"{root}/run/secrets",
            "/credentials": f"{root}/credentials",
            DATA_DIR: f"{root}{DATA_DIR}",
            "@postgresql/": f"@127.0.0.1:{self.postgresql.port}/",
            "http://influxdb:8086": self.influxd.url,
        }.items():
            said = said.replace(there, here)
        return said

    def _root(self, service: str) -> Path:
        """A directory with what is mounted for a service, at the paths of the container."""
        root = self.directory / service
        for secret in SERVICES[service].get("secrets", []):
            _link(root / "run/secrets" / secret, self.secrets / secret)
        for volume in SERVICES[service].get("volumes", []):
            source, target = volume.split(":")[:2]
            if not source.startswith("."):
                held = self.directory / "volumes" / source
                held.mkdir(parents=True, exist_ok=True)
                _link(root / target.lstrip("/"), held)
        return root

    def start(self, name: str) -> None:
        """Start a service, and for a server wait until it answers."""
        stack = self._running[name] = ExitStack()
        if name == "mosquitto":
            stack.enter_context(self.broker.running())
        elif name == "postgresql":
            self.postgresql.start()
            stack.callback(self.postgresql.stop)
        elif name == "influxdb":
            self.influxd.start()
            stack.callback(self.influxd.stop)
        else:
            self._start_ours(name, stack)

    def stop(self, name: str) -> None:
        """Stop a service; one of ours must end well within its grace period."""
        self._running.pop(name).close()

    def close(self) -> None:
        """Stop everything, servers last."""
        with ExitStack() as stack:
            stack.callback(self.postgresql.remove)
            for running in self._running.values():
                stack.callback(running.close)

    def up(self) -> None:
        """What `docker compose up` does on a fresh machine, in the order of `depends_on`."""
        for name in SERVERS:
            self.start(name)
        self.set_up_postgresql()
        with closing(Server(Address(self.influxd.url))) as anybody:  # the image does it for 2.7
            password = self.secret("influxdb_password")
            anybody.ask(f"CREATE USER admin WITH PASSWORD '{password}' WITH ALL PRIVILEGES")
        self.run("influx-init")
        self.register()
        for name in OURS:
            self.start(name)
        self.wait_until_well()

    def set_up_postgresql(self) -> None:
        """Run what is mounted below /docker-entrypoint-initdb.d, as the image does."""
        (script,) = (ROOT / "deploy/postgresql").iterdir()
        access = {
            "PATH": f"{self.postgresql.binaries}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgresql.port),
            "PGPASSWORD": self.secret("postgres_password"),
        }
        subprocess.run([script], env={**self.environment("postgresql"), **access}, check=True)

    def run(self, service: str) -> str:
        """Run a service that ends, to its end; what it said."""
        command = [self.here(service, word) for word in SERVICES[service]["command"]]
        done = subprocess.run(
            [*GOVSENSE, *command], env=self.environment(service), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def register(self) -> None:
        """Import a registry, as docs/operations.md says to."""
        write_registry(one_office(2), self.directory / "registry")
        command = [*GOVSENSE, "registry", "import", str(self.directory / "registry")]
        subprocess.run(command, env=self.environment("ingest"), check=True, capture_output=True)

    def get(self, path: str) -> httpx.Response:
        """The API's answer."""
        return httpx.get(
            f"http://127.0.0.1:{self.http_port}{path}",
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=5,
            trust_env=False,
        ).raise_for_status()

    @cached_property
    def _key(self) -> str:
        """A key of the API, made as docs/operations.md says to."""
        command = [*GOVSENSE, "keys", "create", "--name", "test"]
        done = subprocess.run(
            command, env=self.environment("api"), check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def is_well(self, name: str) -> bool:
        """Whether the service's own health check succeeds."""
        if name == "influxdb":
            with closing(Server(Address(self.influxd.url))) as server:
                return server.version() > (0, 0)
        kind, *test = SERVICES[name]["healthcheck"]["test"]
        if kind == "CMD":
            assert test[0] == "govsense"
            test = [*GOVSENSE, *test[1:]]
        else:
            script = test[0].replace("$$", "$")
            script = script.replace("-p 1883", f"-p {self.broker.port}")
            script = script.replace("-p 5432", f"-p {self.postgresql.port}")
            test = ["sh", "-c", script]
        environment = {**os.environ, **(self.environment(name) if name in OURS else {})}
        done = subprocess.run(test, env=environment, capture_output=True, check=False)
        return done.returncode == 0

    def wait_until_well(self) -> None:
        """Wait for every health check."""
        for name in (*SERVERS, *OURS):
            wait_for(partial(self.is_well, name), f"{name} is well; {self.log('ingest')}", 120)

    def log(self, name: str) -> str:
        """What one of our services has written."""
        file = self.directory / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def publish(self, device: str, value: float, *, says: str = "") -> None:
        """A device, logged in with its own password, publishes in its own or another's name."""
        at_ms = time.time_ns() // 1_000_000
        with self.broker.client(device) as client:
            topic = f"gov/v1/LA-LP/{says or device}/telemetry"
            client.publish(topic, reading(at_ms, nat_rtt_p50_ms=value))

    def values(self, device: str) -> list[float]:
        """What the API answers of a device's telemetry, from InfluxDB."""
        path = f"/api/v1/devices/{device}/telemetry?metric=nat_rtt_p50_ms"
        return [row["value"] for row in self.get(path).json()["items"]]

    def _start_ours(self, name: str, stack: ExitStack) -> None:
        log = stack.enter_context((self.directory / f"{name}.log").open("ab"))
        command = [*GOVSENSE, *SERVICES[name]["command"]]
        process = subprocess.Popen(command, env=self.environment(name), stdout=log, stderr=log)
        grace_s = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))

        def end() -> None:
            process.terminate()
            assert process.wait(grace_s) == 0, self.log(name)

        stack.callback(end)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(target)

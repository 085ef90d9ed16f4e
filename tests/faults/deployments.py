"""The two ways to run govsense, under the same faults: embedded stores, and real servers."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ingest.journal.head import Head
from tests.faults import processes
from tests.faults.proxy import Proxy
from tests.influx.influxd import Influxd
from tests.path.platform import Platform, one_office
from tests.project.broker import wait_for
from tests.storage.postgresql import Postgresql

DEVICES = 10
LOOK_S = 0.05
BACK_WITHIN_S = 40.0
DATABASE = "postgres"  # the one that a new PostgreSQL has


class Deployment(Platform):
    """A platform of one kind, its loops apart, each started again when it ends by itself.

    Names of its parts: broker, receiver, processor, api, and of servers drainer, influxdb,
    postgresql. proxies: by part, ways to broker, influxdb and postgresql that ingest takes when it
    is told to; the API and the test go straight.
    """

    def __init__(
        self,
        directory: Path,
        environment: dict[str, str],
        *,
        influxd: Influxd | None = None,
        postgresql: Postgresql | None = None,
    ) -> None:
        super().__init__(directory, one_office(DEVICES), environment)
        self.influxd = influxd
        self.postgresql = postgresql
        self.proxies: dict[str, Proxy] = {}
        self._through_proxies = False
        self.in_storm = False  # a storm is on, or did not end well
        self.restarts: dict[str, list[int]] = defaultdict(list)  # exit codes, unasked
        self._wanted: set[str] = set()
        self._lock = threading.RLock()

    @property
    def kind(self) -> str:
        """embedded or servers."""
        return "servers" if self.postgresql else "embedded"

    @property
    def ingest(self) -> tuple[str, ...]:
        """Parts that are the loops of ingest."""
        return tuple(name for name in self.loops if name != "api")

    @property
    def loops(self) -> tuple[str, ...]:
        """Parts that are processes of govsense."""
        return ("receiver", "processor", "api", *(("drainer",) if self.influxd else ()))

    @property
    def servers(self) -> tuple[str, ...]:
        """Parts that are servers of others, the broker apart."""
        return ("influxdb", "postgresql") if self.postgresql else ()

    @property
    def journal(self) -> Path:
        """The directory of the journal."""
        return self.directory / "journal"

    def start(self, *names: str) -> None:
        """Start parts and keep them running; waits for servers and, of many, for the API."""
        for name in names:
            with self._lock:
                if name in self.servers:
                    self._server(name).start()
                else:
                    super().start(*([name] if name != "api" else []))
                    if name == "api":
                        self._launch(name)
                self._wanted.add(name)

    def take_way(self, *, through_proxies: bool) -> None:
        """Let ingest reach its servers through the proxies or not; it is started again for that.

        A proxy holds what a killed process has sent, and takes it along: kills go without.
        """
        if through_proxies == self._through_proxies:
            return
        self._through_proxies = through_proxies
        for name in self.ingest:
            assert self.stop(name) == 0, self.log(name)
        self.start(*self.ingest)
        self.wait_ready("api", "processor")

    def kill(self, name: str) -> None:
        """kill -9 of a part and of all that it started."""
        with self._lock:
            self._wanted.discard(name)
            if name in self.servers:
                processes.kill(self.pid(name))
            else:
                self._process(name).kill()  # at once: has no children
            self._process(name).wait()

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        with self._lock:
            self._wanted.discard(name)
        return super().stop(name)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        processes.stop(self.pid(name))

    def go_on(self, name: str) -> None:
        """SIGCONT."""
        processes.go_on(self.pid(name))

    def pid(self, name: str) -> int:
        """Process identifier of a part."""
        return self._process(name).pid

    @property
    def connection(self) -> int:
        """Number of the receiver's connection to the broker, 0 while it has none."""
        head = Head(self.journal, create=False)
        try:
            return head.connection(time.monotonic_ns())
        finally:
            head.close()

    def wait_connected(self, *, after: int = 0) -> None:
        """Wait until the receiver has a newer connection to the broker than that one."""
        wait_for(
            lambda: self.connection > after,
            f"ingest is back: {self.log('receiver')[-1000:]}",
            BACK_WITHIN_S,
        )

    @contextmanager
    def kept_running(self) -> Iterator[Deployment]:
        """What ends without being asked is started again, as an orchestrator does."""
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(over.wait,))
        keeper.start()
        try:
            yield self
        finally:
            over.set()
            keeper.join()
            self.close()

    def close(self) -> None:
        """Kill everything that still runs."""
        for name in list(self._wanted):
            self.kill(name)

    def _keep(self, is_over: Callable[[float], bool]) -> None:
        while not is_over(LOOK_S):
            with self._lock:
                for name in [name for name in self.loops if name in self._wanted]:
                    code = self._process(name).poll()
                    if code is not None:
                        self.restarts[name].append(code)
                        self._launch(name)

    def _server(self, name: str) -> Influxd | Postgresql:
        server = self.influxd if name == "influxdb" else self.postgresql
        assert server is not None, f"{name} is no part of {self.kind}"
        return server

    def _process(self, name: str) -> subprocess.Popen[bytes]:
        process = self._server(name).process if name in self.servers else self._processes[name]
        assert process is not None, f"{name} does not run"
        return process

    def _environment_of(self, name: str) -> dict[str, str]:
        if not self._through_proxies or name not in self.ingest:
            return self._environment
        own = {"GOVSENSE_MQTT__PORT": str(self.proxies["broker"].port)}
        if self.servers:
            own["GOVSENSE_INFLUX__URL"] = f"http://127.0.0.1:{self.proxies['influxdb'].port}"
            own["GOVSENSE_STORAGE__LEDGER_URL"] = _ledger_url(self.proxies["postgresql"].port)
        return {**self._environment, **own}


@contextmanager
def deployed(kind: str, directory: Path, *, seed: int = 0) -> Iterator[Deployment]:
    """A deployment that runs and is ready. seed: of what its proxies do by chance."""
    with ExitStack() as stack:
        deployment = _servers(directory, stack) if kind == "servers" else _embedded(directory)
        ports = {"broker": deployment.port}
        if deployment.influxd and deployment.postgresql:
            ports["influxdb"] = deployment.influxd.port
            ports["postgresql"] = deployment.postgresql.port
        for part, port in ports.items():
            proxy = Proxy(port, seed=seed)
            deployment.proxies[part] = stack.enter_context(proxy.running())
        stack.enter_context(deployment.kept_running())
        deployment.start("broker", *deployment.loops)
        deployment.wait_ready("api", "processor")
        yield deployment


def _embedded(directory: Path) -> Deployment:
    return Deployment(directory / "data", {})


def _servers(directory: Path, stack: ExitStack) -> Deployment:
    influxd = Influxd(directory / "influxd")
    postgresql = Postgresql()
    stack.callback(postgresql.remove)
    stack.callback(influxd.stop)
    postgresql.start()
    influxd.start()
    environment = {
        "GOVSENSE_STORAGE__SERIES": "influxdb",
        "GOVSENSE_INFLUX__URL": influxd.url,
        "GOVSENSE_STORAGE__LEDGER_URL": _ledger_url(postgresql.port),
    }
    deployment = Deployment(directory / "data", environment, influxd=influxd, postgresql=postgresql)
    made = deployment.run("influx", "init")
    assert made.returncode == 0, made.stderr
    return deployment


def _ledger_url(port: int) -> str:
    return f"postgresql+psycopg://govsense@127.0.0.1:{port}/{DATABASE}"

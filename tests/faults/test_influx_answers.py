"""A real InfluxDB that is slow, ill, closed or cut off: in the end everything is there, once."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import numpy as np
import pytest

from storage.influx.answers import LONGEST_WAIT_S
from storage.influx.drainer import Drainer
from storage.influx.server import Address, Server
from storage.influx.setup import create
from tests.faults.guarantees import seed, size
from tests.influx.influxd import BASE, KEEP_ALL, Influxd, Store, describe, opened
from tests.influx.servers import Interfere, PassOn, Reply, shim
from tests.influx.test_contract import readings

pytestmark = [pytest.mark.guarantee, pytest.mark.influx]
SERIES = range(8)
ROWS = 500  # a batch
BATCHES = 20
LEAST_STEP_S = 0.05
MOST_STEPS = 2000
BODY_BYTES = 400_000  # of a full request
LOGIN = "auth-enabled = true"

Wanted = dict[tuple[int, int], float]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A real InfluxDB 1.6.7 of these tests."""
    own = Influxd(tmp_path_factory.mktemp("engine"))
    own.start()
    yield own
    own.stop()


@contextmanager
def behind(
    engine: Influxd, directory: Path, interfere: Interfere, version: str = "1.8.10"
) -> Iterator[Store]:
    """A store whose writes somebody interferes with."""
    with (
        shim(engine.url, interfere=interfere, version=version) as url,
        opened(Address(url, directory.name), directory / "spool.db") as store,
    ):
        set_up(engine, directory.name)
        yield store


def set_up(engine: Influxd, database: str) -> None:
    """Make the database of a test."""
    with closing(Server(Address(engine.url, database))) as server:
        create(server, KEEP_ALL)


def fill(store: Store, rng: random.Random, batches: int = BATCHES, *, rows: int = ROWS) -> Wanted:
    """Write batches, now and then the same readings again; returns what must be there."""
    applied = store.series.applied()
    first = applied.last if applied else 0
    wanted: Wanted = {}
    for number in range(first, first + batches):
        batch = [
            (rng.choice(SERIES), BASE + number * 1000 + rng.randrange(1000), rng.random())
            for _ in range(rows)
        ]
        store.series.write(readings(batch), first=number, last=number + 1)
        wanted.update({(series, at_ms): value for series, at_ms, value in batch})
    return wanted


def drain(store: Store, now_s: float = BASE / 1000) -> list[float]:
    """Drain to the end on a clock of its own, which passes waits at once; returns the waits."""
    waits: list[float] = []
    while store.spool.counts().lines:
        assert len(waits) < MOST_STEPS, store.drainer.condition
        waits.append(store.drainer.step(now_s))
        now_s += waits[-1] + LEAST_STEP_S
    return waits


def is_there_once(store: Store, wanted: Wanted) -> None:
    """Every reading with its last value, none refused, and InfluxDB counts as many points."""
    assert store.stored(SERIES) == wanted
    assert store.spool.counts().refused == store.spool.counts().damaged == 0
    assert store.drainer.condition.refused == 0
    name = describe(0)
    (row,) = store.series._server.query(0, f'SELECT count("{name.metric}") FROM "{name.kind}"')
    assert row["count"] == sum(series == 0 for series, _ in wanted)


def every_second(reply: Reply) -> Interfere:
    """Interfere with every other request."""
    turn = iter(range(10**9))
    return lambda _lines, pass_on: reply if next(turn) % 2 == 0 else pass_on()


def by_chance(reply: Reply, rng: random.Random) -> Interfere:
    """Interfere with half of all requests."""
    return lambda _lines, pass_on: reply if rng.random() < 0.5 else pass_on()


ILL = {
    "500": Reply(500, '{"error":"timeout"}'),
    "503": Reply(503, '{"error":"unavailable"}'),
    "502": Reply(502, "<html>bad gateway</html>"),
    "429 for an hour": Reply(429, "slow down", {"Retry-After": "3600"}),
    "503 for an hour": Reply(503, "slow down", {"Retry-After": "3600"}),
    "connection closed": Reply(0),
}


@pytest.mark.parametrize("version", ["1.6.7", "1.8.10"])
@pytest.mark.parametrize("what", ILL)
def test_a_flapping_server_costs_time_only(
    tmp_path: Path, engine: Influxd, what: str, version: str
) -> None:
    """Every second request fails: nothing is lost or refused, no wait is longer than a minute."""
    rng = random.Random(seed())
    with behind(engine, tmp_path, every_second(ILL[what]), version) as store:
        wanted = fill(store, rng)
        waits = drain(store)
        is_there_once(store, wanted)
    assert max(waits) <= LONGEST_WAIT_S
    if "hour" in what:
        assert max(waits) == LONGEST_WAIT_S


@pytest.mark.parametrize("rows", [1, 20])
def test_a_server_that_fails_by_chance_refuses_no_line(
    tmp_path: Path, engine: Influxd, rows: int
) -> None:
    """500 to half of all requests, batches of few lines: none of them is blamed for it."""
    rng = random.Random(7)
    with behind(engine, tmp_path, by_chance(ILL["500"], rng)) as store:
        wanted: Wanted = {}
        for number in range(150):
            wanted |= fill(store, rng, 1, rows=rows)
            store.drainer.step(BASE / 1000 + number)
        drain(store)
        is_there_once(store, wanted)


def test_an_answer_that_is_lost_is_no_loss(tmp_path: Path, engine: Influxd) -> None:
    """Stored, but the connection closes before the answer: written again, and there once."""
    rng = random.Random(seed())
    turn = iter(range(10**9))

    def cut_behind(_lines: list[bytes], pass_on: PassOn) -> Reply:
        reply = pass_on()
        return Reply(0) if next(turn) % 2 == 0 else reply

    with behind(engine, tmp_path, cut_behind) as store:
        wanted = fill(store, rng)
        drain(store)
        is_there_once(store, wanted)


def test_connections_that_are_reset_within_a_write(tmp_path: Path, engine: Influxd) -> None:
    """A TCP reset at any byte of a request, again and again."""
    rng = random.Random(seed())
    with (
        resetting(engine.port, rng) as port,
        opened(Address(f"http://127.0.0.1:{port}", tmp_path.name), tmp_path / "s.db") as store,
    ):
        set_up(engine, tmp_path.name)
        wanted = fill(store, rng, size(quick=BATCHES, long=10 * BATCHES))
        failures = sum(wait > 0 for wait in drain(store))
        assert failures > 0
        store.series._server = Server(Address(engine.url, tmp_path.name))
        is_there_once(store, wanted)


@contextmanager
def resetting(target: int, rng: random.Random) -> Iterator[int]:
    """The port of a way to another one, on which connections are reset after some bytes."""

    class Way(BaseRequestHandler):
        def handle(self) -> None:
            left = rng.randrange(1, 2 * BODY_BYTES)
            with socket.create_connection(("127.0.0.1", target)) as there:
                while left > 0:
                    for source in select.select([self.request, there], [], [])[0]:
                        received = source.recv(65536)
                        if not received:
                            return
                        if source is there:
                            self.request.sendall(received)
                        else:
                            there.sendall(received[:left])
                            left -= len(received)
                for one in (self.request, there):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with ThreadingTCPServer(("127.0.0.1", 0), Way) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize("answer_s", [2, 15][: size(quick=1, long=2)])
def test_a_slow_server_holds_up_nothing_before_the_spool(
    tmp_path: Path, engine: Influxd, answer_s: int
) -> None:
    """While an answer takes its time, writes to the spool take theirs, and all is stored."""
    rng = random.Random(seed())
    asked = threading.Event()

    def slow(_lines: list[bytes], pass_on: PassOn) -> Reply:
        asked.set()
        time.sleep(answer_s)  # the fault itself
        return pass_on()

    with behind(engine, tmp_path, slow) as store:
        wanted = fill(store, rng, 1)
        draining = threading.Thread(target=store.drainer.step, args=(BASE / 1000,))
        draining.start()
        assert asked.wait(10)
        took: list[float] = []
        while draining.is_alive():
            began = time.monotonic()
            wanted |= fill(store, rng, 1)
            took.append(time.monotonic() - began)
        assert len(took) > 10 * answer_s
        assert np.quantile(took, 0.99) < answer_s / 4
        store.drainer = Drainer(store.spool, _direct(store, engine), chance=rng)
        drain(store)
        is_there_once(store, wanted)
        store.drainer._server.close()


def _direct(store: Store, engine: Influxd) -> Server:
    return Server(Address(engine.url, store.series._server.address.database))


def test_a_rotated_password_is_taken_up_from_its_file(tmp_path: Path) -> None:
    """A real 401: everything is kept, and goes on by itself once the file holds the new one."""
    rng = random.Random(seed())
    closed = Influxd(tmp_path / "closed")
    closed.start()
    token = tmp_path / "token"
    try:
        with closing(Server(Address(closed.url, "closed"))) as set_up:
            set_up.ask("CREATE USER root WITH PASSWORD 'root' WITH ALL PRIVILEGES")
            set_up.ask("CREATE USER govsense WITH PASSWORD 'first'")
            create(set_up, KEEP_ALL)
            set_up.ask('GRANT ALL ON "closed" TO govsense')
        closed.stop()
        closed.extra_http = LOGIN
        closed.start()
        token.write_text("govsense:first")
        with opened(Address(closed.url, "closed", token_file=token), tmp_path / "s.db") as store:
            wanted = fill(store, rng)
            store.drainer.step(BASE / 1000)
            assert store.drainer.condition.stored > 0
            _change_password(closed.url, tmp_path, "second")
            waits = [store.drainer.step(BASE / 1000) for _ in range(3)]
            assert waits == [LONGEST_WAIT_S] * 3
            assert store.drainer.condition.state == "misconfigured"
            assert store.drainer.condition.problem.startswith("401: ")
            token.write_text("govsense:second\n")
            assert drain(store)[0] == 0
            is_there_once(store, wanted)
    finally:
        closed.stop()


def _change_password(url: str, directory: Path, password: str) -> None:
    root = directory / "root"
    root.write_text("root:root")
    with closing(Server(Address(url, token_file=root))) as server:
        server.ask(f"SET PASSWORD FOR govsense = '{password}'")

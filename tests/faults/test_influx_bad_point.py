"""One bad point among 5,000: whatever the server says to it, that point alone is set aside."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from storage.influx.drainer import Drainer
from storage.influx.server import Address, Server
from storage.influx.setup import create
from storage.influx.spool import Spool
from storage.series.levels import RAW
from storage.series.retention import Retention
from tests.faults.guarantees import record, seed, size
from tests.influx.influxd import Influxd
from tests.influx.servers import STORED, FakeInflux, PassOn, Reply, shim

pytestmark = [pytest.mark.guarantee, pytest.mark.influx]
LINES = 5000
MOST_EXTRA = 26
MOST_STEPS = 500
BODY_BYTES = 400_000  # more than 5,000 lines, less than the line that is too large
KEEP = Retention(2, 4, 8)
NOW_MS = time.time_ns() // 1_000_000
AT = f"{NOW_MS}000000"
PLAIN = f"power,device=dbad mains_v=1.0 {AT}"

# Real InfluxDB 1.6.7: the bad point, and what it says.
OWN = {
    "400 parse error": (f"power,device=dbad mains_v= {AT}", 400),
    "400 field type conflict": (f"power,device=dbad foreign=1.0 {AT}", 400),
    "400 older than it keeps": ("power,device=dbad mains_v=1.0 1000000000", 400),
    "413": (f"power,device=dbad{'x' * BODY_BYTES} mains_v=1.0 {AT}", 413),
}
# Others, which store nothing of a request with the bad point in it. tests/influx/test_answers.py
# names the sources of their words.
TOLD = {
    "400 that names no line": Reply(400, '{"code":"invalid","message":"unable to parse points"}'),
    "422": Reply(422, '{"code":"unprocessable entity","message":"failure writing points"}'),
    "500 again and again": Reply(500, '{"error":"panic: runtime error"}'),
}


class Requests:
    """Counts the requests that hold a line of the batch, beside what else is written."""

    def __init__(self) -> None:
        self.count = 0

    def see(self, lines: list[bytes]) -> None:
        """One request."""
        self.count += any(line.startswith(b"power,device=d") for line in lines)


def places() -> list[int]:
    """Where in the batch the bad point stands: ends, middle, and others by chance."""
    rng = random.Random(seed())
    chosen = [rng.randrange(LINES) for _ in range(size(quick=1, long=8))]
    return [rng.choice((0, LINES - 1)), *chosen] if len(chosen) == 1 else [0, 2499, 4999, *chosen]


@contextmanager
def refusing(bad: str, reply: Reply, requests: Requests) -> Iterator[FakeInflux]:
    """A server that stores nothing of a request with the bad point in it."""

    def decide(lines: list[bytes], _headers: object) -> Reply:
        requests.see(lines)
        return reply if bad.encode() in lines else STORED

    with FakeInflux(decide).running() as fake:
        yield fake


def drain(server: Server, file: Path, bad: str, where: int) -> tuple[list[tuple[str, int]], int]:
    """Take a batch with a bad point through a drainer, while other batches keep coming.

    Returns the (line, status) that were refused, and how many others were stored.
    """
    with closing(Spool(file)) as spool:
        drainer = Drainer(spool, server, chance=random.Random(1))
        batch = [f"power,device=d{n} mains_v=230.0 {AT}" for n in range(LINES)]
        batch[where] = bad
        append(spool, batch)
        steps = others = 0
        while spool.counts().lines:
            steps += 1
            assert steps < MOST_STEPS, drainer.condition
            if drainer.step(NOW_MS / 1000) and not drainer.condition.refused:
                append(spool, [f"power,device=other mains_v=1.0 {NOW_MS + others}000000"])
                others += 1
        assert drainer.condition.stored == LINES - 1 + others
        return [(one.line, one.status) for _, _, one in spool.refused(limit=100)], others


def append(spool: Spool, lines: list[str]) -> None:
    """Put a batch into the spool."""
    with spool.transaction() as connection:
        spool.append(connection, lines)


def report(kind: str, extras: list[int]) -> None:
    """Record what a kind of refusal cost."""
    assert max(extras) <= MOST_EXTRA
    figure = f"1 quarantined, at most {max(extras)} extra requests, {len(extras)} places"
    record("bad-point", figure, met=True, of=kind)


def dashed(kind: str) -> str:
    """A test's name without spaces."""
    return kind.replace(" ", "-")


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A real InfluxDB that takes no more than BODY_BYTES at once."""
    own = Influxd(tmp_path_factory.mktemp("own"), extra_http=f"max-body-size = {BODY_BYTES}")
    own.start()
    yield own
    own.stop()


@pytest.mark.parametrize("kind", OWN, ids=dashed)
def test_a_bad_point_that_influxdb_1_refuses(tmp_path: Path, influxd: Influxd, kind: str) -> None:
    """With the real server's own answers, through the client library and without."""
    bad, status = OWN[kind]
    extras = []
    for n, where in enumerate(places()):
        requests = Requests()

        def count(lines: list[bytes], pass_on: PassOn, requests: Requests = requests) -> Reply:
            requests.see(lines)
            return pass_on()

        version = ("1.6.7", "1.8.10")[n % 2]
        with ExitStack() as stack:
            url = stack.enter_context(shim(influxd.url, interfere=count, version=version))
            address = Address(url, f"bad{n}x{tmp_path.name}")
            server = stack.enter_context(closing(Server(address)))
            create(server, KEEP)
            foreign = f'power,device=foreign foreign="text" {AT}'.encode()
            assert server.write(RAW, [foreign]).status == 204
            refused, others = drain(server, tmp_path / f"{n}.db", bad, where)
            assert refused == [(bad, status)]
            assert others == 0
            ((row),) = server.query(RAW, "SELECT count(mains_v) FROM power")
            assert row["count"] == LINES - 1
            server.ask(f'DROP DATABASE "{address.database}"')
        extras.append(requests.count - 1)
    report(f"InfluxDB 1.6.7, {kind}", extras)


@pytest.mark.parametrize("kind", TOLD, ids=dashed)
def test_a_bad_point_that_other_servers_refuse(tmp_path: Path, kind: str) -> None:
    """With answers that 1.6.7 does not give, and nothing stored of a refused request."""
    reply = TOLD[kind]
    extras = []
    for n, where in enumerate(places()):
        requests = Requests()
        with (
            refusing(PLAIN, reply, requests) as fake,
            closing(Server(Address(fake.url, "govsense", "org"))) as server,
        ):
            refused, others = drain(server, tmp_path / f"{n}.db", PLAIN, where)
            assert refused == [(PLAIN, reply.status)]
            assert len(set(fake.stored)) == len(fake.stored) == LINES - 1 + others
        extras.append(requests.count - 1)
    report(f"server that answers {kind}", extras)

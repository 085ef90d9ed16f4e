"""What the drainer does for every answer to a write: the table, row by row."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import pytest

from storage.influx.answers import LONGEST_WAIT_S, Meaning, meaning_of
from storage.influx.drainer import Drainer
from storage.influx.server import Address, Answer, Server
from storage.influx.spool import Spool
from tests.influx.servers import STORED, Decide, FakeInflux, Reply
from tests.project.broker import free_port

NOW_S = 1_790_000_000.0
MOST_EXTRA = 26  # requests to find one line in 5,000

# Bodies as servers send them, each with where it is from.
BUSY = [  # the same lines later
    Reply(0),  # a connection that is cut
    Reply(408),
    Reply(425),
    # https://docs.influxdata.com/influxdb/cloud/account-management/limits/
    Reply(429, '{"code":"too many requests","message":"organization has exceeded limited_write"}'),
    # 1.6.7 with a full disk
    Reply(500, '{"error":"engine: error writing WAL entry: no space left on device"}'),
    Reply(502, "<html>bad gateway</html>"),
    # https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/
    Reply(503, '{"code":"unavailable","message":"the service is temporarily unavailable"}'),
    Reply(504),
    Reply(507),
]
REFUSALS = [  # these lines never
    # 2.x refuses the whole batch: https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/
    Reply(400, '{"code":"invalid","message":"unable to parse \'bad\': missing fields"}'),
    # 2.7.11 stores the rest: https://github.com/tkurki/signalk-to-influxdb2/issues/84
    Reply(
        422,
        '{"code":"unprocessable entity","message":"failure writing points to database: partial'
        ' write: field type conflict: input field \\"value\\" on measurement \\"m\\" is type'
        ' string, already exists as type float dropped=1"}',
    ),
    # 3 Core: https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/
    Reply(
        400,
        '{"error":"partial write of line protocol occurred","data":[{"original_line":"bad",'
        '"line_number":1,"error_message":"invalid column type"}]}',
    ),
    # 1.x: https://github.com/influxdata/influxdb/pull/7836
    Reply(400, '{"error":"partial write: field type conflict: input field \\"a\\" dropped=1"}'),
]
WRONG = [  # nobody is let in, or there is nowhere to write
    # https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/
    Reply(401, '{"code":"unauthorized","message":"unauthorized access"}'),
    Reply(403, '{"code":"forbidden","message":"insufficient permissions for write"}'),
    Reply(404, '{"code":"not found","message":"bucket \\"govsense\\" not found"}'),
    Reply(405, "method not allowed"),
    Reply(301, "moved"),
]


@dataclass
class Bench:
    """A spool, a drainer and the server that it writes to."""

    spool: Spool
    server: Server
    drainer: Drainer
    fake: FakeInflux

    def append(self, lines: list[str]) -> None:
        """Put a batch into the spool."""
        with self.spool.transaction() as connection:
            self.spool.append(connection, lines)

    def drain(self, most_steps: int = 20_000) -> list[float]:
        """Step until the spool is empty; returns how long each step asks to wait."""
        waits: list[float] = []
        now_s = NOW_S
        while self.spool.counts().lines:
            assert len(waits) < most_steps, self.drainer.condition
            waits.append(self.drainer.step(now_s))
            now_s += waits[-1]
        return waits

    def drain_amid_others(self, most_steps: int = 1000) -> int:
        """Step until lines are refused and all is done, another batch coming with each failure.

        Returns how many others came.
        """
        others = steps = 0
        while self.spool.counts().lines or not self.drainer.condition.refused:
            steps += 1
            assert steps < most_steps, self.drainer.condition
            if self.drainer.step(NOW_S) and not self.drainer.condition.refused:
                self.append([f"other {others}"])
                others += 1
        return others

    def refused(self) -> list[str]:
        """Lines in quarantine, in order."""
        return [one.line for _, _, one in self.spool.refused(limit=10**6)][::-1]


@pytest.fixture
def bench_of(tmp_path: Path) -> Iterator[Callable[[Decide], Bench]]:
    """A function that starts a server with given answers."""
    with ExitStack() as stack:

        def start(decide: Decide) -> Bench:
            fake = stack.enter_context(FakeInflux(decide).running())
            token = tmp_path / "token"
            token.write_text("first")
            server = Server(Address(fake.url, "govsense", "org", token))
            spool = Spool(tmp_path / "spool.db")
            stack.callback(server.close)
            stack.callback(spool.close)
            return Bench(spool, server, Drainer(spool, server, chance=random.Random(7)), fake)

        yield start


def lines(count: int) -> list[str]:
    """Lines that differ."""
    return [f"power,device=d{n} mains_v=230.0 {n}" for n in range(count)]


def after(replies: list[Reply]) -> Decide:
    """Give these replies in turn, then store."""
    left = list(replies)
    return lambda _lines, _headers: left.pop(0) if left else STORED


def unless(is_bad: Callable[[bytes], bool], reply: Reply) -> Decide:
    """Give a reply to a request with a bad line; a server that stores nothing of it."""
    return lambda got, _headers: reply if any(map(is_bad, got)) else STORED


def test_what_is_taken_leaves_the_spool(bench_of: Callable[[Decide], Bench]) -> None:
    """2xx: the cursor goes on, in few requests, and everything arrives in order."""
    bench = bench_of(after([]))
    for n in range(10):
        bench.append(lines(1200)[n * 120 : (n + 1) * 120])
    bench.drain()
    assert bench.fake.stored == [line.encode() for line in lines(1200)]
    assert bench.fake.requests == 1
    assert bench.drainer.condition.stored == 1200
    assert bench.spool.counts()[:2] == (0, 0)


@pytest.mark.parametrize("reply", BUSY, ids=lambda reply: str(reply.status))
def test_a_busy_server_is_asked_again(bench_of: Callable[[Decide], Bench], reply: Reply) -> None:
    """Errors that pass: nothing is refused, nothing lost, waits grow and stay below a minute."""
    bench = bench_of(after([reply] * 12))
    bench.append(lines(10))
    waits = bench.drain()
    assert bench.fake.requests >= 13
    assert sorted(bench.fake.stored) == sorted(line.encode() for line in lines(10))
    assert bench.refused() == []
    assert 0 <= min(waits) <= max(waits) <= LONGEST_WAIT_S
    assert len(set(waits)) > 4


def test_a_server_that_is_away_is_waited_for(bench_of: Callable[[Decide], Bench]) -> None:
    """No connection: the state says so, and everything stays."""
    bench = bench_of(after([]))
    nowhere = Server(Address(f"http://127.0.0.1:{free_port()}", "govsense", "org"))
    drainer = Drainer(bench.spool, nowhere, chance=random.Random(3))
    bench.append(lines(3))
    waits = [drainer.step(NOW_S) for _ in range(200)]
    assert max(waits) <= LONGEST_WAIT_S
    assert max(waits) > LONGEST_WAIT_S / 2
    assert drainer.condition.state == "waiting"
    assert "refused" in drainer.condition.problem
    assert bench.spool.counts().lines == 3
    nowhere.close()


@pytest.mark.parametrize(
    ("stated", "wait_s"),
    [
        ("7", 7.0),
        ("3600", LONGEST_WAIT_S),
        (formatdate(NOW_S + 20, usegmt=True), 20.0),
        (formatdate(NOW_S - 20, usegmt=True), 0.0),
    ],
)
def test_retry_after_is_obeyed_up_to_a_minute(
    bench_of: Callable[[Decide], Bench], stated: str, wait_s: float
) -> None:
    """A server may ask for seconds or a date, but cannot stop the way for an hour."""
    bench = bench_of(after([Reply(429, headers={"Retry-After": stated})]))
    bench.append(lines(1))
    assert bench.drain() == [wait_s, 0.0]


@pytest.mark.parametrize("reply", REFUSALS, ids=["2-400", "2-422", "3-400", "1-400"])
@pytest.mark.parametrize("where", [0, 2_499, 2_500, 3_333, 4_999])
def test_one_bad_line_in_5000_is_found(
    bench_of: Callable[[Decide], Bench], reply: Reply, where: int
) -> None:
    """400, 422: the line is quarantined with the server's words, all others are stored."""
    bad = lines(5000)[where]
    bench = bench_of(unless(lambda line: line == bad.encode(), reply))
    bench.append(lines(5000))
    bench.drain()
    assert bench.refused() == [bad]
    ((_, at_ms, kept),) = bench.spool.refused(limit=5)
    assert (at_ms, kept.status) == (round(NOW_S * 1000), reply.status)
    assert kept.text
    assert kept.text in reply.body.replace('\\"', '"')
    assert len(bench.fake.stored) == 4999
    assert bench.fake.requests - 1 <= MOST_EXTRA
    assert bench.spool.counts().refused == 1


def test_each_bad_line_is_refused_once(bench_of: Callable[[Decide], Bench]) -> None:
    """Batch after batch: a line that was kept is not kept again with the next one."""
    bench = bench_of(unless(lambda line: line.startswith(b"bad"), REFUSALS[0]))
    for n in range(3):
        bench.append([*lines(20), f"bad {n}"])
        bench.drain()
    assert bench.refused() == ["bad 0", "bad 1", "bad 2"]
    assert bench.drainer.condition.refused == bench.spool.counts().refused == 3
    assert bench.drainer.condition.stored == 60


def test_a_batch_of_which_nothing_is_taken_needs_one_request(
    bench_of: Callable[[Decide], Bench],
) -> None:
    """1.x says how many lines it dropped: if it is all of them, halving tells nothing more."""
    body = '{"error":"partial write: points beyond retention policy dropped=5000"}'
    bench = bench_of(after([Reply(400, body)]))
    bench.append(lines(5000))
    bench.drain()
    assert bench.fake.requests == 1
    assert len(bench.refused()) == 5000


def test_too_large_is_halved(bench_of: Callable[[Decide], Bench]) -> None:
    """413: smaller requests; a line that alone is too large is quarantined."""

    def decide(got: list[bytes], _headers: object) -> Reply:
        return STORED if len(got) <= 700 and b"x" * 1000 not in got else Reply(413)

    bench = bench_of(decide)
    bench.append([*lines(5000), "x" * 1000])
    bench.drain()
    assert len(bench.fake.stored) == 5000
    assert bench.refused() == ["x" * 1000]


@pytest.mark.parametrize("reply", WRONG, ids=lambda reply: str(reply.status))
def test_a_wrong_address_stops_everything_and_says_so(
    bench_of: Callable[[Decide], Bench], reply: Reply
) -> None:
    """401, 403, 404 and what no InfluxDB says: nothing is lost; tried again once a minute."""
    bench = bench_of(after([reply] * 3))
    bench.append(lines(5))
    assert bench.drainer.step(NOW_S) == LONGEST_WAIT_S
    assert bench.drainer.step(NOW_S + 60) == LONGEST_WAIT_S
    condition = bench.drainer.condition
    assert (condition.state, condition.since_s) == ("misconfigured", NOW_S)
    assert condition.problem.startswith(f"{reply.status}: ")
    assert bench.spool.counts().lines == 5
    bench.drain()
    assert len(bench.fake.stored) == 5
    assert bench.refused() == []
    assert bench.drainer.condition.problem == ""


def test_a_new_token_is_read_without_a_restart(
    bench_of: Callable[[Decide], Bench], tmp_path: Path
) -> None:
    """After a rotated token the file with the new one is enough."""
    bench = bench_of(
        lambda _lines, headers: STORED if headers["Authorization"] == "Token second" else WRONG[0]
    )
    bench.append(lines(5))
    bench.drainer.step(NOW_S)
    assert bench.drainer.condition.state == "misconfigured"
    (tmp_path / "token").write_text("second\n")
    bench.drain()
    assert len(bench.fake.stored) == 5


def test_a_line_that_breaks_the_server_is_found(bench_of: Callable[[Decide], Bench]) -> None:
    """500 again and again for one batch while others pass: halved as for 400."""
    bad = lines(300)[123]
    bench = bench_of(unless(lambda line: line == bad.encode(), Reply(500, '{"error":"panic"}')))
    bench.append(lines(300))
    others = bench.drain_amid_others()
    assert bench.refused() == [bad]
    assert len(bench.fake.stored) == 299 + others


def test_a_single_line_that_breaks_the_server_waits_for_others(
    bench_of: Callable[[Decide], Bench],
) -> None:
    """Alone it proves nothing; once the next batches pass again and again, it is the line."""
    bench = bench_of(unless(lambda line: line == b"bad", Reply(500, '{"error":"panic"}')))
    bench.append(["bad"])
    for _ in range(30):
        bench.drainer.step(NOW_S)
    assert bench.refused() == []
    others = bench.drain_amid_others()
    assert others >= 5
    assert bench.refused() == ["bad"]
    assert len(bench.fake.stored) == others


@pytest.mark.parametrize("count", [1, 300])
def test_an_ill_server_costs_no_line(bench_of: Callable[[Decide], Bench], count: int) -> None:
    """500 to everything, as 1.6.7 with a full disk: nothing is refused however long it lasts."""
    ill = False
    bench = bench_of(lambda _lines, _headers: BUSY[4] if ill else STORED)
    bench.append(["before"])
    bench.drain()
    ill = True
    bench.append(lines(count))
    bench.append(["behind"])
    for _ in range(500):
        bench.drainer.step(NOW_S)
    ill = False
    bench.drain()
    assert bench.refused() == []
    assert sorted(bench.fake.stored) == sorted(
        line.encode() for line in [*lines(count), "before", "behind"]
    )


@pytest.mark.parametrize(
    "said",
    [  # each with the source that storage/influx/answers.py names
        "engine: error writing WAL entry: write /wal/1/_00001.wal: no space left on device",
        "timeout",
        "engine is closed",
        "shard is disabled",
    ],
)
def test_an_ill_shard_costs_no_line(bench_of: Callable[[Decide], Bench], said: str) -> None:
    """500 that tells of the server is never the lines' fault, whatever passes meanwhile."""
    ill = True
    bench = bench_of(
        lambda sent, _headers: (
            Reply(500, f'{{"error":"{said}"}}') if ill and b"old" in sent else STORED
        )
    )
    bench.append(["old"])
    for _ in range(10):
        bench.drainer.step(NOW_S)
    for line in lines(20):
        bench.append([line])
        for _ in range(20):
            bench.drainer.step(NOW_S)
    assert bench.refused() == []
    assert bench.drainer.condition.state == "waiting"
    ill = False
    bench.drain()
    assert bench.refused() == []
    assert len(bench.fake.stored) == 21


def test_a_drainer_that_dies_within_a_search_begins_it_anew(
    bench_of: Callable[[Decide], Bench],
) -> None:
    """The cursor moves when a whole batch is done, so that nothing is refused twice or lost."""
    bad = {line.encode() for line in lines(1000)[::250]}
    bench = bench_of(unless(lambda line: line in bad, REFUSALS[0]))
    bench.append(lines(1000))
    for steps in (1, 5, 20):
        dying = Drainer(bench.spool, bench.server, chance=random.Random(1))
        for _ in range(steps):
            dying.step(NOW_S)
    bench.drain()
    assert sorted(bench.refused()) == sorted(line.decode() for line in bad)
    assert set(bench.fake.stored) == {line.encode() for line in lines(1000)} - bad


def test_catching_up_leaves_half_of_the_time(bench_of: Callable[[Decide], Bench]) -> None:
    """After each request the drainer rests as long as that took, so that what is live gets on."""
    now_s = NOW_S
    slept_s: list[float] = []

    def take_a_while(_lines: list[bytes], _headers: object) -> Reply:
        nonlocal now_s
        now_s += 0.04
        return STORED

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        slept_s.append(seconds)

    bench = bench_of(take_a_while)
    for _ in range(3):
        bench.append(lines(5000))
    bench.drainer.run(
        lambda: not bench.spool.counts().lines,
        now_s=lambda: now_s,
        sleep=sleep,
        chore=lambda: None,
    )
    assert bench.fake.requests == 3
    assert slept_s == pytest.approx([0.04, 0.04])


def test_every_status_has_a_meaning() -> None:
    """There is no answer for which the drainer has no rule."""
    meanings = {status: meaning_of(Answer(status, "")) for status in (0, *range(200, 600))}
    assert {status for status, one in meanings.items() if one is Meaning.REFUSED} == {400, 422}
    assert all(meanings[status] is Meaning.STORED for status in range(200, 300))
    again = (Meaning.AGAIN, Meaning.FAILED)
    assert all(meanings[status] in again for status in range(500, 600))

"""The live stream: what is committed arrives, once, in order, and is resumed where it broke."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from api.feed import BACKLOG, PAGE, Feed, Frame
from storage.ledger.actions import Deed
from storage.ledger.events import Event, add_events, last_id, trim
from storage.ledger.facts import Facts, commit
from storage.ledger.handling import acknowledge
from tests.api.world import NOW_MS, World, change, problem_of
from tests.project.broker import wait_for


class Said(NamedTuple):
    """One event as a client sees it."""

    id: int
    type: str
    data: dict[str, Any]


@contextmanager
def listening(world: World, **headers: str) -> Iterator[Iterator[Said]]:
    """An open stream, as an iterator that ends with the stream."""
    path = headers.pop("path", "/api/v1/events")
    with world.client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _parse(answer.iter_lines())


def _parse(lines: Iterator[str]) -> Iterator[Said]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Said(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


def fire(world: World, *numbers: int) -> None:
    """Commit the firing of alerts."""
    facts = Facts(position=249, alert_changes=[change(number) for number in numbers])
    commit(world.ledger, facts, now_ms=NOW_MS)


def test_an_alert_arrives_while_one_listens(own_world: World) -> None:
    """Firing, acknowledging and resolving are events, with the names of the alerts' own route."""
    with listening(own_world) as stream:
        fire(own_world, 10)
        acknowledge(own_world.ledger, "a010", Deed("s", "S", NOW_MS), by="S", comment="seen")
        done = Facts(position=249, alert_changes=[change(10, state="resolved")])
        commit(own_world.ledger, done, now_ms=NOW_MS)
        said = [next(stream) for _ in range(3)]
    assert [one.data["state"] for one in said] == ["firing", "acknowledged", "resolved"]
    assert {one.type for one in said} == {"alert"}
    alert = own_world.get("/alerts/a010")
    for name in ("alert", "device", "metric", "severity", "expected", "text_lo", "event_time"):
        assert said[0].data[name] == alert[name]
    assert said[0].data["at"] == alert["at"]
    assert not {"at_ms", "event_ms"} & set(said[0].data)


def test_a_stream_says_at_once_that_it_works(own_world: World) -> None:
    """Where nothing happens, whoever tries it would see nothing for 15 seconds."""
    with own_world.client.stream("GET", "/api/v1/events") as answer:
        assert next(answer.iter_lines()) == ": listening"


@pytest.mark.parametrize("how", ["header", "parameter", "header wins"])
def test_a_stream_is_resumed_behind_the_last_event(own_world: World, how: str) -> None:
    """What was committed in between comes first, then what follows."""
    fire(own_world, 20)
    seen = last_id(own_world.ledger)
    fire(own_world, 21, 22)
    asked = {
        "header": {"last-event-id": str(seen)},
        "parameter": {"path": f"/api/v1/events?after={seen}"},
        "header wins": {"last-event-id": str(seen), "path": "/api/v1/events?after=0"},
    }[how]
    with listening(own_world, **asked) as stream:
        first = [next(stream).data["alert"] for _ in range(2)]
        fire(own_world, 23)
        assert [*first, next(stream).data["alert"]] == ["a021", "a022", "a023"]


def test_a_long_absence_is_caught_up_in_pages(own_world: World) -> None:
    """More events than one read of the ledger holds all arrive, in order, once."""
    count = 2 * PAGE + 10
    with own_world.ledger.begin() as connection:
        add_events(connection, [Event(NOW_MS, "device", {"n": n}) for n in range(count)])
    with listening(own_world, path="/api/v1/events?after=0") as stream:
        said = [next(stream) for _ in range(last_id(own_world.ledger))]
    assert [one.data["n"] for one in said if "n" in one.data] == list(range(count))
    assert [one.id for one in said] == sorted({one.id for one in said})


def test_an_id_from_another_ledger_starts_anew(own_world: World) -> None:
    """After the ledger was replaced a client is told to read everything again."""
    with listening(own_world, path="/api/v1/events?after=1000000") as stream:
        reset = next(stream)
        assert reset.type == "reset"
        assert reset.id == last_id(own_world.ledger)
        fire(own_world, 30)
        assert next(stream).data["alert"] == "a030"


def test_an_id_whose_followers_are_deleted_starts_anew(own_world: World) -> None:
    """Who was away for so long that events are gone is told so, and not given half of them."""
    fire(own_world, 30, 31, 32)
    newest = last_id(own_world.ledger)
    trim(own_world.ledger, keep=2)
    with listening(own_world, path=f"/api/v1/events?after={newest - 3}") as stream:
        assert next(stream).type == "reset"
    with listening(own_world, path=f"/api/v1/events?after={newest - 2}") as stream:
        assert [next(stream).data["alert"] for _ in range(2)] == ["a031", "a032"]


def test_every_client_gets_every_event(own_world: World) -> None:
    """Many clients see the same events in the same order."""
    heard: list[list[int]] = []
    ready = threading.Barrier(21)
    key = own_world.key("viewer")

    def listen() -> None:
        with own_world.calling(key) as client:
            mine = World(own_world.ledger, own_world.series, client=client)
            with listening(mine) as stream:
                ready.wait(10)
                heard.append([next(stream).id for _ in range(3)])

    threads = [threading.Thread(target=listen) for _ in range(20)]
    for thread in threads:
        thread.start()
    ready.wait(10)
    fire(own_world, 40, 41, 42)
    for thread in threads:
        thread.join(10)
    assert len(heard) == 20
    assert all(ids == heard[0] for ids in heard)


@pytest.mark.parametrize("asked", ["-1", "x", "9" * 30])
def test_an_id_that_is_none_is_refused(world: World, asked: str) -> None:
    """In the header as in the parameter."""
    problem_of(world.client.get("/api/v1/events", params={"after": asked}), 422)
    problem_of(world.client.get("/api/v1/events", headers={"last-event-id": asked}), 422)


def test_who_takes_nothing_is_dropped(
    own_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that does not read is given up on while it still holds its connection."""
    monkeypatch.setattr("api.routes.events.SEND_WITHIN_S", 0.5)
    caplog.set_level("INFO", "api.routes.events")
    with own_world.ledger.begin() as connection:
        add_events(connection, [Event(NOW_MS, "device", {"x": "x" * 4000})] * 3000)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", own_world.client.base_url.port))
        deaf.sendall(
            b"GET /api/v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\n"
            b"X-API-Key: " + own_world.key().encode() + b"\r\n\r\n"
        )
        wait_for(lambda: "was dropped" in caplog.text, "the client is dropped")
        wait_for(lambda: not own_world.feed, "nothing is kept for it")


def test_who_leaves_is_forgotten(own_world: World) -> None:
    """A stream that its client closes leaves no listener behind."""
    with listening(own_world):
        assert own_world.feed is not None
        assert len(own_world.feed) == 1
    wait_for(lambda: not own_world.feed, "the listener has gone")


class Source:
    """A ledger in memory that counts how often it is read."""

    def __init__(self) -> None:
        self.last = 0
        self.reads = 0

    def read(self, after: int, limit: int) -> list[Frame]:
        self.reads += 1
        return [Frame(n, b"") for n in range(after + 1, min(after + limit, self.last) + 1)]

    def last_id(self) -> int:
        return self.last


def test_what_is_read_and_handed_out_arrives_once() -> None:
    """An event that is both in what a listener missed and in its queue is sent once."""

    async def scenario() -> None:
        source = Source()
        source.last = 5
        feed = Feed(source.read, source.last_id)
        listener = await feed.join()
        source.last = 7
        await feed._poll()
        stream = feed.frames(listener, 0)
        assert [(await anext(stream)).id for _ in range(7)] == [1, 2, 3, 4, 5, 6, 7]
        source.last = 8
        await feed._poll()
        assert (await anext(stream)).id == 8

    asyncio.run(scenario())


def test_all_listeners_are_served_by_one_read() -> None:
    """The ledger is read once for any number of listeners, and not at all for none."""

    async def scenario() -> None:
        source = Source()
        feed = Feed(source.read, source.last_id)
        poller = asyncio.create_task(feed.run())
        listeners = [await feed.join() for _ in range(100)]
        source.last = 1
        streams = [feed.frames(listener, 0) for listener in listeners]
        assert [(await anext(stream)).id for stream in streams] == [1] * 100
        assert source.reads == 1
        poller.cancel()

    asyncio.run(scenario())


def test_who_falls_behind_is_cut_off_and_loses_nothing() -> None:
    """A client that takes nothing is ended after a bounded backlog; others go on."""

    async def scenario() -> None:
        source = Source()
        feed = Feed(source.read, source.last_id)
        listeners = [await feed.join() for _ in range(2)]
        slow, quick = (feed.frames(listener, 0) for listener in listeners)
        seen = 0
        while source.last < 3 * BACKLOG:
            source.last += PAGE // 2
            await feed._poll()
            while seen < source.last:
                seen = (await anext(quick)).id
        rest = [frame.id async for frame in slow]
        assert rest == list(range(1, BACKLOG + 1))
        again = await feed.join()
        assert (await anext(feed.frames(again, rest[-1]))).id == rest[-1] + 1
        for listener in (*listeners, again):
            feed.leave(listener)
        assert len(feed) == 0

    asyncio.run(scenario())


def test_a_burst_lets_others_have_their_turn() -> None:
    """Between any two events of a burst the loop runs: it may hear that the client has gone."""
    frames = [Frame(n, b"") for n in range(1, 201)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def burst() -> list[int]:
        feed = Feed(lambda after, limit: frames[after : after + limit][:100], lambda: 100)
        listener = await feed.join()
        for frame in frames[100:]:
            listener.offer(frame)
        listener.end()
        other = asyncio.create_task(count_turns())
        seen = [turns async for _ in feed.frames(listener, 0)]
        other.cancel()
        return seen

    seen = asyncio.run(burst())
    assert len(seen) == 200
    assert all(later > earlier for earlier, later in pairwise(seen))

"""The client: typed answers, every page, problems that say what to do, tries that are safe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from api.client import Client
from api.client_errors import ApiError, AwayError, MissingError, RequestError, StateError, error_of
from tests.api.world import World

NOW = datetime(2026, 10, 5, 2, tzinfo=UTC)


def client_of(world: World) -> Client:
    """A client of the API over a world."""
    return Client(str(world.client.base_url), key=world.key(), trust_env=False)


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with client_of(world) as client:
        yield client


def test_lists_are_read_to_their_end(client: Client, world: World) -> None:
    """However small the pages are, every item comes once and in order."""
    whole = [one["device"] for one in world.items("/devices")]
    assert [one.device for one in client.devices(limit=2)] == whole
    assert [one.device for one in client.devices(kind="cold-chain")] == ["c0"]
    assert [one.site for one in client.sites(class_="hospital")] == ["clinic"]
    question = {"from_": NOW - timedelta(hours=1), "to": NOW, "metric": ["dns_ms"]}
    points = list(client.telemetry("p0", limit=7, **question))
    assert len(points) == 60
    assert (points[0].at, points[0].value) == (NOW - timedelta(hours=1), 100.0)


def test_answers_are_typed(client: Client) -> None:
    """Times are times, numbers are numbers, and what is unknown is None."""
    device = client.device("p0")
    assert device.last_seen == NOW - timedelta(minutes=1)
    assert client.device("n0").last_seen is None
    assert client.site("office").devices[0].device == "n0"
    assert {one.metric for one in client.latest("p0").readings} == {"dns_ms", "nat_rtt_p50_ms"}
    (first, *_) = client.telemetry("p0", metric="dns_ms", bucket="1h", agg=["mean", "count"])
    assert (first.mean, first.value) == (100.0, None)
    assert client.stats().devices == 5
    assert len(list(client.provinces())) == 18
    assert {one.province for one in client.districts(province="LA-LP")} == {"LA-LP"}
    assert "cold-chain" in {one.kind for one in client.kinds()}
    assert client.availability("office").down == 2
    assert client.accounting().devices == 5
    assert {one.received for one in client.hours("p0")} >= {60, 70}
    assert {one.incident for one in client.incidents(state="open")} == {"i1"}
    assert len(client.incident("i1").changes) == 2
    assert client.alert("a001").expected == (0.0, 200.0)
    assert {one.reason for one in client.quarantine()} == {"bad-utf8", "bad-version"}
    assert client.quarantined(1).payload == '{"v":9}'
    assert list(client.enrolment()) == []
    status = client.public_status()
    assert {one.state for one in status.provinces} == {"too-few"}
    assert status.provinces[0].classes[0].sites is None


def test_a_problem_says_what_to_do(client: Client) -> None:
    """What is wrong, what was got, what is allowed, and the next step."""
    with pytest.raises(RequestError, match=r"did you mean severity\?.*change the request"):
        list(client.alerts(sevrity="info"))
    with pytest.raises(RequestError, match="got 0, allowed: at least 1"):
        list(client.devices(limit=0))
    with pytest.raises(MissingError, match=r"nobody.*check the name"):
        client.device("nobody")
    with pytest.raises(MissingError):
        client.device("../kinds?x=1#")
    with pytest.raises(MissingError):
        client.accept("p0", site="office", kind="solar", interval_s=60)
    with pytest.raises(MissingError):
        client.refuse("p0", reason="a trial")
    with pytest.raises(ValueError, match="has no zone"):
        list(client.alerts(from_=datetime(2026, 10, 5)))
    for status, name in ((401, "RightsError"), (403, "RightsError"), (500, "ApiError")):
        assert type(error_of(status, {})).__name__ == name


def test_an_alert_is_acknowledged_and_told(own_world: World) -> None:
    """The write goes once, a second one is refused, and the stream tells of the first."""
    with client_of(own_world) as client:
        alert = client.acknowledge("a001", by="Noy", comment="on the way")
        assert (alert.state, alert.acknowledged_by) == ("acknowledged", "Noy (admin)")
        with pytest.raises(StateError, match="read it again"):
            client.acknowledge("a005", by="Noy", comment="too late")
        for event in client.events(after=0):
            if event.data.get("state") == "acknowledged":
                break
        assert (event.type, event.data["alert"]) == ("alert", "a001")


class Reply(NamedTuple):
    """One answer of the server below; status 0 closes the connection without one."""

    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


class Server(ThreadingHTTPServer):
    """Answers requests in order with what it was given, and keeps their lines and headers."""

    def __init__(self, *replies: Reply) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.replies = list(replies)
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:  # as http.server names it
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        reply = self.server.replies.pop(0)
        if reply.status:
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
        self.close_connection = True

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def answering(*replies: Reply) -> Iterator[tuple[Server, Client, list[float]]]:
    """A server with these answers, a client of it, and the seconds that the client waited."""
    waited: list[float] = []
    with Server(*replies) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with Client(server.url, trust_env=False, sleep=waited.append, tries=3) as client:
                yield server, client, waited
        finally:
            server.shutdown()
            thread.join()


LATEST = b'{"device":"p0","lifecycle":"active","last_seen":null,"readings":[],"new":1}'


def test_a_read_is_tried_again(world: World) -> None:
    """After a break and when it is asked to, as late as it is asked to; members may be new."""
    later = Reply(503, headers=(("Retry-After", "7"),))
    with answering(Reply(0), later, Reply(200, LATEST)) as (server, client, waited):
        assert client.latest("p0").device == "p0"
        assert len(server.asked) == 3
        assert 0 < waited[0] <= 1
        assert waited[1] == 7


@pytest.mark.parametrize(("reply", "error"), [(Reply(0), AwayError), (Reply(503), AwayError)])
def test_a_write_is_made_once(reply: Reply, error: type[ApiError]) -> None:
    """Nobody knows whether what broke was done."""
    with answering(reply, Reply(200)) as (server, client, waited):
        with pytest.raises(error, match="try again later"):
            client.acknowledge("a1", by="Noy", comment="x")
        assert (len(server.asked), waited) == (1, [])


def test_a_read_is_given_up_at_last_and_never_repeated_when_it_is_wrong() -> None:
    """Three tries of what may pass, one of what will not."""
    with answering(*[Reply(429)] * 3, Reply(422), Reply(500, b"<html>")) as (server, client, _):
        with pytest.raises(AwayError):
            client.stats()
        assert len(server.asked) == 3
        with pytest.raises(RequestError):
            client.stats()
        with pytest.raises(ApiError, match="tell who runs it"):
            client.stats()
        assert len(server.asked) == 5


def test_a_stream_that_breaks_goes_on_behind_its_last_event() -> None:
    """Comments are no events; the third connection in a row that fails ends it."""
    first = b': still here\r\n\r\nid: 7\r\nevent: alert\r\ndata: {"alert":"a"}\r\n\r\n'
    with answering(Reply(200, first), Reply(503), *[Reply(0)] * 2) as (server, client, waited):
        events = client.events()
        event = next(events)
        assert (event.id, event.type, event.data) == (7, "alert", {"alert": "a"})
        with pytest.raises(AwayError):
            next(events)
        assert [of.get("Last-Event-ID") for _, _, of in server.asked] == [None, "7", "7"]
        assert len(waited) == 2


def test_the_key_is_from_the_argument_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In that order; without any none is sent."""
    file = tmp_path / "key"
    file.write_text("of-file\n")
    monkeypatch.delenv("GOVSENSE_KEY", raising=False)
    with answering(*[Reply(200, LATEST)] * 6) as (server, _, _):

        def sent(**options: str | Path) -> str | None:
            with Client(server.url, trust_env=False, **options) as client:  # type: ignore[arg-type]
                client.latest("p0")
            return server.asked[-1][2].get("Authorization")

        assert sent() is None
        monkeypatch.setenv("GOVSENSE_KEY_FILE", str(file))
        assert sent() == "Bearer of-file"
        monkeypatch.setenv("GOVSENSE_KEY", "of-env")
        assert sent() == "Bearer of-env"
        assert sent(key_file=file) == "Bearer of-file"
        assert sent(key_file=file, key="given") == "Bearer given"
        monkeypatch.setenv("GOVSENSE_URL", server.url)
        with Client(trust_env=False) as client:
            assert client.latest("p0").device == "p0"


@pytest.mark.parametrize("url", ["http://192.0.2.1:8080", "http://govsense.example.gov.la"])
def test_a_key_does_not_leave_this_machine_in_the_clear(url: str) -> None:
    """https, or the loopback interface."""
    with pytest.raises(ValueError, match="https only"):
        Client(url, key="secret")
    Client(url).close()
    Client(url.replace("http:", "https:"), key="secret").close()

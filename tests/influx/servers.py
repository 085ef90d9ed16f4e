"""Small HTTP servers: InfluxDBs that answer what 1.6.7 cannot, and a way to it over API 2."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx

Headers = Mapping[str, str]


@dataclass
class Reply:
    """What a server answers. status 0: it closes the connection instead."""

    status: int
    body: str = ""
    headers: Headers = field(default_factory=dict)


STORED = Reply(204)
Decide = Callable[[list[bytes], Headers], Reply]


class FakeInflux:
    """Takes writes as InfluxDB does, and answers each as it is told."""

    def __init__(self, decide: Decide, version: str = "v2.7.11") -> None:
        self.decide = decide
        self.version = version
        self.url = ""
        self.stored: list[bytes] = []
        self.paths: list[str] = []

    def handle(self, method: str, path: str, body: bytes, headers: Headers) -> Reply:
        """The reply to one request, and what it changes."""
        if path == "/ping":
            return Reply(204, headers={"X-Influxdb-Version": self.version})
        lines = body.split(b"\n")
        self.paths.append(urlsplit(path).path)
        reply = self.decide(lines, headers)
        if reply.status == 204:
            self.stored += lines
        return reply

    @property
    def requests(self) -> int:
        """How many writes there were."""
        return len(self.paths)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Listen on a free port of the loopback interface."""
        fake = self

        class Handler(_Handler):
            def reply(self, body: bytes) -> Reply:
                return fake.handle(self.command, self.path, body, dict(self.headers))

        with _serving(Handler) as self.url:
            yield self


PassOn = Callable[[], Reply]
Interfere = Callable[[list[bytes], PassOn], Reply]


@contextmanager
def shim(
    url: str,
    *,
    read_s: float = 30.0,
    interfere: Interfere = lambda _lines, pass_on: pass_on(),
    version: str = "1.8.10",
) -> Iterator[str]:
    """The URL of a server that takes /api/v2/write, and hands everything on to a 1.x server.

    It calls itself 1.8, the first version that takes such writes, unless told otherwise.
    interfere: answers writes, given their lines, and may pass them on for the server's own answer.
    """
    with httpx.Client(base_url=url, timeout=read_s, trust_env=False) as behind:

        class Handler(_Handler):
            def reply(self, body: bytes) -> Reply:
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                asked = {name: values[0] for name, values in query.items()}
                if path == "/api/v2/write":
                    path = "/write"
                    asked = {"db": asked["bucket"], "precision": asked["precision"]}
                kept = {"Authorization", "Content-Type"}
                headers = {name: value for name, value in self.headers.items() if name in kept}
                said = headers.get("Authorization", "")
                if said.startswith("Token ") and ":" in said:  # 1.8 takes that, 1.6 does not
                    basic = b64encode(said.removeprefix("Token ").encode()).decode()
                    headers["Authorization"] = f"Basic {basic}"

                def pass_on() -> Reply:
                    answer = behind.request(
                        self.command, f"{path}?{urlencode(asked)}", content=body, headers=headers
                    )
                    return Reply(answer.status_code, answer.text, {"X-Influxdb-Version": version})

                return interfere(body.split(b"\n"), pass_on) if path == "/write" else pass_on()

        with _serving(Handler) as outside:
            yield outside


@dataclass(frozen=True)
class Request:
    """A request as it came, and how many statements the server answered, 0 where it refused."""

    method: str
    path: str
    asked: dict[str, str]
    statements: int


@contextmanager
def recording(url: str) -> Iterator[tuple[str, list[Request]]]:
    """The URL of a server that hands everything on to another, and what it was asked."""
    seen: list[Request] = []
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as behind:

        class Handler(_Handler):
            def reply(self, body: bytes) -> Reply:
                kept = {"Authorization", "Content-Type"}
                headers = {name: value for name, value in self.headers.items() if name in kept}
                answer = behind.request(self.command, self.path, content=body, headers=headers)
                parts = urlsplit(self.path)
                asked = {**dict(parse_qsl(parts.query)), **dict(parse_qsl(body.decode("latin-1")))}
                is_result = parts.path == "/query" and answer.status_code == 200
                count = len(answer.json()["results"]) if is_result else 0
                seen.append(Request(self.command, parts.path, asked, count))
                version = answer.headers.get("X-Influxdb-Version", "")
                return Reply(answer.status_code, answer.text, {"X-Influxdb-Version": version})

        with _serving(Handler) as outside:
            yield outside, seen


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # an answer goes out in one piece

    def reply(self, body: bytes) -> Reply:
        raise NotImplementedError

    def do_POST(self) -> None:  # the name is http.server's
        self._handle()

    do_GET = do_PATCH = do_DELETE = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        reply = self.reply(body)
        if reply.status == 0:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(reply.status)
        content = reply.body.encode()
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no fault."""


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

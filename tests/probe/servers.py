"""Real servers on the loopback interface for the probe to measure."""

from __future__ import annotations

import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rrset

HANDSHAKE_S = 0.1


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """A server in a thread; yields its port."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def listener(backlog: int = 64) -> Iterator[int]:
    """A TCP port whose kernel answers; yields its number."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(backlog)
        yield sock.getsockname()[1]


@contextmanager
def deaf_listener() -> Iterator[int]:
    """A TCP port whose queue is full, so that the kernel drops every further SYN."""
    with listener(0) as port:
        callers = [socket.socket() for _ in range(3)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        yield port
        for caller in callers:
            caller.close()


def closed_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def resolver(rcode: int, asked: list[str]) -> Iterator[int]:
    """A DNS server that answers every question with this code, and notes the names."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query = dns.message.from_wire(self.request[0])
            name = query.question[0].name
            asked.append(name.to_text())
            response = dns.message.make_response(query)
            response.set_rcode(rcode)  # type: ignore[arg-type]
            if rcode == 0:
                response.answer.append(dns.rrset.from_text(name, 0, "IN", "A", "192.0.2.7"))
            self.request[1].sendto(response.to_wire(), self.client_address)

    with serving(socketserver.ThreadingUDPServer(("127.0.0.1", 0), Answer)) as port:
        yield port


@contextmanager
def page(
    answer: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """An HTTP server that answers every GET by calling `answer`; yields its port.

    With TLS it lets the client wait for the handshake.
    """

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def get_request(self) -> tuple[socket.socket, Any]:
            sock, address = super().get_request()
            if tls is None:
                return sock, address
            sock.recv(1, socket.MSG_PEEK)  # until the client has begun its handshake
            time.sleep(HANDSHAKE_S)  # the server's own slowness: what tls_ms is to show
            return tls.wrap_socket(sock, server_side=True), address

    server = Server(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    with serving(server) as port:
        yield port


def say(status: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer with this status, body and headers."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def certificate(directory: Path, days: int) -> tuple[ssl.SSLContext, Path]:
    """A server context for 127.0.0.1 with a new certificate, and its file for clients to trust."""
    key, cert = directory / "key.pem", directory / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", str(days), "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert

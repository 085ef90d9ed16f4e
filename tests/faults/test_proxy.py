"""The proxy's faults do what they say: every test sees the difference to a sound way."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.proxy import Proxy
from tests.project.broker import wait_for

WITHIN_S = 10.0


class Echo:
    """A server that sends back what it gets, and remembers in what pieces it came."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ends: list[str] = []  # how connections ended: fin, rst
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    @property
    def heard(self) -> bytes:
        return b"".join(self.pieces)

    @contextmanager
    def running(self) -> Iterator[Echo]:
        thread = threading.Thread(target=self._accept)
        thread.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            thread.join(WITHIN_S)
            self._listener.close()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self._answer, args=(connection,)))
            threads[-1].start()
        for thread in threads:
            thread.join(WITHIN_S)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    self.pieces.append(data)
                    connection.sendall(data)
                self.ends.append("fin")
            except ConnectionError:
                self.ends.append("rst")


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo().running() as echo:
        yield echo


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port, seed=1).running() as proxy:
        yield proxy


@contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), WITHIN_S) as client:
        yield client


def receive(client: socket.socket, count: int) -> bytes:
    """`count` bytes, fewer where the other side ends."""
    found = b""
    while len(found) < count and (data := client.recv(65536)):
        found += data
    return found


def ask(client: socket.socket, data: bytes = b"hello") -> float:
    """Seconds until all of this has come back."""
    began = time.monotonic()
    client.sendall(data)
    assert receive(client, len(data)) == data
    return time.monotonic() - began


def test_a_sound_way_changes_nothing(echo: Echo, proxy: Proxy) -> None:
    """Megabytes come through and back as they were, and an end is passed on as an end."""
    data = bytes(range(256)) * 8192
    with connected(proxy) as client:
        sending = threading.Thread(target=client.sendall, args=(data,))
        sending.start()
        assert receive(client, len(data)) == data
        sending.join(WITHIN_S)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    wait_for(lambda: echo.ends == ["fin"], "the server sees the end")
    wait_for(lambda: proxy.connections == 0, "the proxy forgets the connection")


def test_latency_is_added_each_way_and_taken_away(proxy: Proxy) -> None:
    """An answer takes twice the latency, on a connection that was open before too."""
    with connected(proxy) as client:
        assert ask(client) < 0.2
        proxy.suffer(latency_s=0.15)
        assert 0.3 <= ask(client) < 1.0
        proxy.mend()
        assert ask(client) < 0.2


def test_latency_does_not_limit_how_much_is_on_its_way(proxy: Proxy) -> None:
    """Ten pieces sent one after the other come back together, not ten times as late."""
    with connected(proxy) as client:
        proxy.suffer(latency_s=0.2)
        began = time.monotonic()
        for _ in range(10):
            client.sendall(b"x" * 100)
            wait_for(lambda: proxy.connections == 1, "the proxy has read")
        assert len(receive(client, 1000)) == 1000
        assert time.monotonic() - began < 1.0


def test_slicing_makes_many_small_pieces(echo: Echo, proxy: Proxy) -> None:
    """What was written at once arrives in pieces, whole in the end."""
    data = bytes(range(250)) * 80
    with connected(proxy) as client:
        ask(client, data)
        whole = len(echo.pieces)
        proxy.suffer(slice_bytes=7)
        ask(client, data)
        assert len(echo.pieces) - whole >= 5 * whole + 10
        assert echo.heard == data * 2


def test_bandwidth_is_limited(proxy: Proxy) -> None:
    """4,000 bytes at 8,000 bytes a second take half a second."""
    with connected(proxy) as client:
        assert ask(client, b"x" * 4000) < 0.3
        proxy.suffer(bytes_per_s=8000.0)
        assert 0.45 <= ask(client, b"x" * 4000) < 2.0


def test_a_reset_is_seen_as_a_reset_on_both_sides(echo: Echo, proxy: Proxy) -> None:
    """Both ends get RST, not an orderly end; the next connection is sound."""
    with connected(proxy) as client:
        ask(client)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    wait_for(lambda: echo.ends == ["rst"], "the server sees RST")
    with connected(proxy) as client:
        ask(client)


def test_random_resets_come_within_the_bytes(echo: Echo, proxy: Proxy) -> None:
    """With chance 1 the first piece is cut: a true beginning of it arrives, and then RST."""
    proxy.suffer(reset_chance=1.0)
    with connected(proxy) as client:
        client.sendall(b"abcdefgh" * 100)
        with pytest.raises(ConnectionResetError):
            receive(client, 800)
    assert (b"abcdefgh" * 100).startswith(echo.heard)
    assert len(echo.heard) < 800


def test_a_blackhole_accepts_and_swallows(echo: Echo, proxy: Proxy) -> None:
    """Connections open, bytes go nowhere; when it closes what lost bytes is reset, others live."""
    with connected(proxy) as quiet, connected(proxy) as talking:
        ask(quiet)
        ask(talking)
        heard = echo.heard
        proxy.suffer(blackhole=True)
        with connected(proxy) as newcomer:
            for client in (talking, newcomer):
                client.sendall(b"into the hole")
                client.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    client.recv(1)
                client.settimeout(WITHIN_S)
            assert echo.heard == heard
            proxy.mend()
            for client in (talking, newcomer):
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
        ask(quiet)


def test_half_open_is_noticed_by_the_one_who_sends(echo: Echo, proxy: Proxy) -> None:
    """The server has RST, the client hears nothing; what it sends is answered with RST."""
    with connected(proxy) as client:
        ask(client)
        proxy.half_open()
        wait_for(lambda: echo.ends == ["rst"], "the server has lost the connection")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(WITHIN_S)
        client.sendall(b"anybody there?")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with connected(proxy) as client:
        ask(client)


def test_refused_connections_do_not_touch_open_ones(proxy: Proxy) -> None:
    """Nobody listens; an open connection goes on; after the mending the same port answers."""
    with connected(proxy) as client:
        ask(client)
        proxy.suffer(refuse=True)
        with pytest.raises(ConnectionRefusedError), connected(proxy):
            pass
        ask(client)
        proxy.mend()
        with connected(proxy) as second:
            ask(second)


def test_a_cut_ends_everything_until_it_is_mended(proxy: Proxy) -> None:
    """Open connections are reset and new ones refused."""
    with connected(proxy) as client:
        ask(client)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError), connected(proxy):
        pass
    proxy.mend()
    with connected(proxy) as client:
        ask(client)


def test_a_target_that_is_away_is_a_reset(echo: Echo, proxy: Proxy) -> None:
    """Where nobody listens behind the proxy, its connections are reset at once."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        proxy.target = held.getsockname()[1]
        with pytest.raises(ConnectionError), connected(proxy) as client:
            client.recv(1)

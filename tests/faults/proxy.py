"""A TCP proxy on the loopback interface whose faults can be changed while connections use it."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

CHUNK_BYTES = 65536
HELD_CHUNKS = 256  # on their way in one direction; then the sender has to wait
SHARES_A_SECOND = 50  # a limited bandwidth is given out in shares
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close() sends RST


@dataclass(frozen=True)
class Faults:
    """What the way does to every connection, old and new. The default is a sound way.

    latency_s: of each direction. slice_bytes: most that are written at once, 0 for no limit.
    bytes_per_s: of each direction and connection, 0 for no limit. reset_chance: that a chunk of
    bytes is cut somewhere and followed by a reset. blackhole: connections are accepted, what is
    sent disappears; one that has lost bytes so is reset when the hole is closed. refuse: nobody
    listens; what is open stays so.
    """

    latency_s: float = 0.0
    slice_bytes: int = 0
    bytes_per_s: float = 0.0
    reset_chance: float = 0.0
    blackhole: bool = False
    refuse: bool = False


class Proxy:
    """Passes connections on `port` to `target`. Its methods return once they have taken effect."""

    def __init__(self, target: int, *, seed: int = 0) -> None:
        self.target = target
        self.faults = Faults()
        self.accepted = 0  # connections so far
        self._chance = random.Random(seed)
        # Bound, but not listening: keeps the port while nobody listens on it.
        self._holder = _bound(0)
        self.port = int(self._holder.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._connections: dict[_Connection, asyncio.Task[None]] = {}

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    def suffer(self, **faults: Any) -> None:
        """Have these faults, see `Faults`, and no others from now on."""
        self._await(self._use(Faults(**faults)))

    def mend(self) -> None:
        """Be a sound way from now on."""
        self.suffer()

    def reset(self) -> None:
        """End every connection with RST on both sides."""
        self._await(self._reset())

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self.suffer(refuse=True)
        self.reset()

    def half_open(self) -> None:
        """The far end forgets every connection and the near end does not know.

        The target sees RST, the client nothing, until it sends something: then RST, as from a
        machine that was started again.
        """
        self._await(self._half_open())

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """The proxy, sound at first, gone at the end."""
        thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {self.port}")
        thread.start()
        try:
            self.mend()
            yield self
        finally:
            self.cut()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(5)
            self._loop.close()
            self._holder.close()

    def _await(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(5)

    async def _use(self, faults: Faults) -> None:
        self.faults = faults
        if not faults.blackhole:
            await self._end([one for one in self._connections if one.lost_bytes])
        if faults.refuse and self._server is not None:
            self._server.close()
            self._server = None
        if not faults.refuse and self._server is None:
            self._server = await asyncio.start_server(self._pass_on, sock=_bound(self.port))

    async def _reset(self) -> None:
        await self._end(list(self._connections))

    async def _half_open(self) -> None:
        for connection in self._connections:
            connection.forget()

    async def _end(self, connections: list[_Connection]) -> None:
        tasks = [self._connections[one] for one in connections]
        for connection in connections:
            connection.abort()
        await asyncio.gather(*tasks)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _abort(writer)
            return
        connection = _Connection(self, writer, back)
        task = asyncio.ensure_future(connection.run(reader, there, self._chance))
        self._connections[connection] = task
        await task
        del self._connections[connection]


class _Connection:
    """One connection: two directions that share their end."""

    def __init__(
        self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self.lost_bytes = False
        self._proxy = proxy
        self._client = client
        self._server = server
        self._forgotten = False
        self._ended = asyncio.Event()

    def abort(self) -> None:
        """RST on both sides."""
        _abort(self._client)
        _abort(self._server)
        self._ended.set()

    def forget(self) -> None:
        """RST to the server alone."""
        self._forgotten = True
        _abort(self._server)

    async def run(
        self, reader: asyncio.StreamReader, there: asyncio.StreamReader, chance: random.Random
    ) -> None:
        """Pass on until both directions have ended, or the connection was aborted."""
        both = asyncio.gather(
            self._direction(reader, self._server, chance, from_client=True),
            self._direction(there, self._client, chance, from_client=False),
        )
        ended = asyncio.ensure_future(self._ended.wait())
        both.add_done_callback(lambda _: self._ended.set())
        await ended
        both.cancel()
        await asyncio.gather(both, return_exceptions=True)
        self._client.close()
        self._server.close()

    async def _direction(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        chance: random.Random,
        *,
        from_client: bool,
    ) -> None:
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(HELD_CHUNKS)
        sending = asyncio.ensure_future(self._send(held, sink, chance))
        try:
            while data := await source.read(CHUNK_BYTES):
                if self._forgotten and from_client:
                    self.abort()
                    return
                if self._proxy.faults.blackhole:
                    self.lost_bytes = True
                    continue
                await held.put((asyncio.get_running_loop().time(), data))
            if not self._forgotten:
                await held.put((asyncio.get_running_loop().time(), b""))
                await sending
                return
        except ConnectionError:
            if not self._forgotten:
                self.abort()
        finally:
            sending.cancel()
        if self._forgotten and not from_client:
            await self._ended.wait()  # the client is to notice nothing

    async def _send(
        self,
        held: asyncio.Queue[tuple[float, bytes]],
        sink: asyncio.StreamWriter,
        chance: random.Random,
    ) -> None:
        while True:
            came_s, data = await held.get()
            wait_s = came_s + self._proxy.faults.latency_s - asyncio.get_running_loop().time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            with suppress(ConnectionError, RuntimeError):  # the reader tells of a lost connection
                if not data:
                    sink.write_eof()
                    return
                is_cut = chance.random() < self._proxy.faults.reset_chance
                await self._write(sink, data[: chance.randrange(len(data))] if is_cut else data)
                if is_cut:
                    self.abort()
                    return

    async def _write(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        start = 0
        while start < len(data):
            faults = self._proxy.faults
            end = start + (faults.slice_bytes or len(data))
            if faults.bytes_per_s:
                end = min(end, start + max(1, int(faults.bytes_per_s / SHARES_A_SECOND)))
            part = data[start:end]
            sink.write(part)
            await sink.drain()
            await asyncio.sleep(len(part) / faults.bytes_per_s if faults.bytes_per_s else 0.0)
            start = end


def _bound(port: int) -> socket.socket:
    """A socket that holds a port of the loopback interface beside one that does not listen."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _abort(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()

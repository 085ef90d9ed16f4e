"""A TCP proxy that can be cut and mended: the broker stays, the way to it goes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


class Cable:
    """Passes connections on `port` to `target`, both on the loopback interface."""

    def __init__(self, port: int, target: int) -> None:
        self._port = port
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Future[Any]] = set()

    def mend(self) -> None:
        """Take connections (again)."""
        self._await(self._mend())

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._await(self._cut())

    @contextmanager
    def laid(self) -> Iterator[Cable]:
        """The cable, whole at first, gone at the end."""
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        self.mend()
        try:
            yield self
        finally:
            self.cut()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(5)
            self._loop.close()

    def _await(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(5)

    async def _mend(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self._port)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._connections)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        connection = asyncio.ensure_future(
            asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        )
        self._writers |= {writer, back}
        self._connections.add(connection)
        await connection
        self._writers -= {writer, back}
        self._connections.discard(connection)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        sink.close()

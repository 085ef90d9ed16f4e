"""The live feed: one reader of the ledger's events for all who listen.

A listener first reads from the ledger what it has missed, then takes what the one poller hands
to everybody. Its queue is bounded: who does not keep up is dropped and comes back with the id of
the last event it saw, so that nothing is lost and nothing is buffered without end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

log = logging.getLogger(__name__)

POLL_S = 0.2  # a read of nothing takes about a millisecond
PAGE = 500  # events a read; at most 2,500 a second reach the listeners
BACKLOG = 2 * PAGE  # events that a listener may lie behind


class Frame(NamedTuple):
    """An event as it goes over the wire, made once for all listeners.

    about: what it is made from, for listeners who may not see all of it.
    """

    id: int
    text: bytes
    about: Any = None


class Listener:
    """One client of the feed: a bounded queue that ends with None.

    since: id of the last event that was there before it.
    """

    def __init__(self) -> None:
        self.since = 0
        self._queue: asyncio.Queue[Frame | None] = asyncio.Queue(BACKLOG + 1)
        self._ended = False

    def offer(self, frame: Frame) -> None:
        """Queue a frame, or, when the client is too far behind, the end of its stream."""
        if self._ended:
            return
        if self._queue.qsize() < BACKLOG:
            self._queue.put_nowait(frame)
        else:
            self.end()

    def end(self) -> None:
        """Let the stream end after what is queued already."""
        if not self._ended:
            self._ended = True
            self._queue.put_nowait(None)

    async def take(self) -> Frame | None:
        """The next frame; None at the end."""
        return await self._queue.get()


class Feed:
    """Hands the ledger's events to its listeners. Lives in one event loop."""

    def __init__(
        self, read: Callable[[int, int], Sequence[Frame]], last_id: Callable[[], int]
    ) -> None:
        """`read(after, limit)` and `last_id()` ask the ledger; both may block."""
        self._read = read
        self._last_id = last_id
        self._listeners: set[Listener] = set()
        self._position = 0  # every frame up to here was handed out; moves only while one listens
        self._joining = asyncio.Lock()
        self._failing = False
        self._moved_at = time.monotonic()

    def __len__(self) -> int:
        return len(self._listeners)

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            self._moved_at = time.monotonic()
            await asyncio.sleep(POLL_S)
            if self._listeners:
                await self._poll()

    def silent_s(self) -> float:
        """Seconds since the poller last went round, every POLL_S."""
        return time.monotonic() - self._moved_at

    async def join(self) -> Listener:
        """A new listener: everything that is committed from now on is for it too."""
        listener = Listener()
        async with self._joining:
            if not self._listeners:
                self._position = await run_in_threadpool(self._last_id)
            self._listeners.add(listener)
        # Asked only now: what is committed after this answer finds the listener already there.
        listener.since = await run_in_threadpool(self._last_id)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.discard(listener)

    async def frames(self, listener: Listener, after: int) -> AsyncIterator[Frame]:
        """Every event behind the one with id `after`, in order, until too far behind.

        Others get their turn after every event: else a burst goes out in one piece to a client
        that has gone, and asyncio warns of each write, because nobody could tell it so.
        """
        position = after
        while position < listener.since:
            missed = await run_in_threadpool(self._read, position, PAGE)
            for frame in missed:
                yield frame
                await asyncio.sleep(0)
                position = frame.id
            if len(missed) < PAGE:
                break
        while (live := await listener.take()) is not None:
            if live.id > position:
                yield live
                await asyncio.sleep(0)
                position = live.id

    async def _poll(self) -> None:
        try:
            frames = await run_in_threadpool(self._read, self._position, PAGE)
        except OperationalError as exc:
            if not self._failing:
                log.warning("the ledger does not answer, the live feed waits: %s", exc)
            self._failing = True
            return
        self._failing = False
        for frame in frames:
            for listener in self._listeners:
                listener.offer(frame)
            self._position = frame.id

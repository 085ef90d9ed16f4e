"""A load of readings, each with an event time of its own, so that every one can be found again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

from tests.path.platform import reading
from tests.project.broker import Client

DEVICES = 3


class Load:
    """Readings of p0, p1, p2, published at a rate by a thread. base_ms: time of the first."""

    def __init__(self, client: Client, *, rate_hz: float) -> None:
        self.base_ms = time.time_ns() // 1_000_000 - 3_600_000
        self.published = 0
        self._client = client
        self._rate_hz = rate_hz

    def publish(self, count: int) -> None:
        """Publish so many more, without waiting for their acknowledgements."""
        for n in range(self.published, self.published + count):
            topic = f"gov/v1/LA-LP/p{n % DEVICES}/telemetry"
            self._client.publish_soon(topic, reading(self.base_ms + n, seq=n, dns_ms=float(n)))
            self.published = n + 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Publish at the rate until the end of the context, then wait for acknowledgements."""
        ended = Event()
        thread = Thread(target=self._run, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        self._client.wait_published()

    def _run(self, ended: Event) -> None:
        began, before = time.monotonic(), self.published
        while not ended.wait(0.01):
            due = round((time.monotonic() - began) * self._rate_hz)
            self.publish(before + due - self.published)


def stored(series: Path, load: Load) -> list[int]:
    """The numbers of the readings that a file of telemetry holds, in order, each as often."""
    with closing(sqlite3.connect(series)) as connection:
        rows = connection.execute("SELECT at_ms FROM raw ORDER BY at_ms").fetchall()
    return [at_ms - load.base_ms for (at_ms,) in rows]

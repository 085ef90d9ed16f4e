"""How long an alert takes from its commit to each of many listeners of /events."""

from __future__ import annotations

import asyncio
import random
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from bench.registered import ledger_of
from storage.ledger.events import Event, add_events
from storage.ledger.migrations import Ledger

ALERTS = 20
APART_S = (1.0, 2.0)  # at any moment of the reader's beat
OPEN_AT_ONCE = 50
NUMBER = re.compile(rb'"number":(\d+)')
GOOD_S, SETTLED_S = 1.0, 10.0


async def measure(url: str, key: str, directory: Path, count: int) -> None:
    """Commit alerts while `count` listen, and print how long they took to each."""
    listeners = [_Listener() for _ in range(count)]
    turn = asyncio.Semaphore(OPEN_AT_ONCE)
    await asyncio.gather(*(_join(one, url, key, turn) for one in listeners))
    ledger = ledger_of(directory)
    draw = random.Random(7)
    committed = []
    for number in range(ALERTS):
        await asyncio.sleep(draw.uniform(*APART_S))
        committed.append(await asyncio.to_thread(_commit, ledger, number))
    await asyncio.sleep(SETTLED_S)
    ledger.close()
    for one in listeners:
        one.close()
    _show(listeners, committed)


class _Listener(asyncio.Protocol):
    """One client, reduced to the moments at which each alert was there; raw, to cost little."""

    def __init__(self) -> None:
        self.joined = asyncio.Event()
        self.arrived: list[tuple[int, float]] = []
        self._transport: asyncio.Transport | None = None

    def ask(self, transport: asyncio.Transport, path: str, host: str, key: str) -> None:
        """Ask for the stream."""
        self._transport = transport
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"
        transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        """Note what came, and when. An alert is small: it comes in one piece."""
        self.joined.set()
        now_s = time.monotonic()
        self.arrived += [(int(number), now_s) for number in NUMBER.findall(data)]

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()


async def _join(one: _Listener, url: str, key: str, turn: asyncio.Semaphore) -> None:
    parts = urlsplit(url)
    host, _, port = parts.netloc.rpartition(":")
    async with turn:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: one, host, int(port))
        one.ask(transport, f"{parts.path}/events", parts.netloc, key)
        await one.joined.wait()


def _commit(ledger: Ledger, number: int) -> float:
    """Commit an alert; returns when that was done."""
    alert = {"number": number, "alert": f"a{number}", "state": "firing", "text_en": "x" * 300}
    with ledger.begin() as connection:
        add_events(connection, [Event(0, "alert", alert)])
    return time.monotonic()


def _show(listeners: list[_Listener], committed: list[float]) -> None:
    each = range(len(committed))
    whole = sum([number for number, _ in one.arrived] == list(each) for one in listeners)
    delays = np.array(
        [at_s - committed[number] for one in listeners for number, at_s in one.arrived]
    )
    lasts = [max(at_s - committed[n] for one in listeners for number, at_s in one.arrived
                 if number == n) for n in each]  # fmt: skip
    p50, p99, most = (float(np.quantile(delays, share)) for share in (0.5, 0.99, 1.0))
    print(f"{whole} of {len(listeners)} listeners have each of {len(committed)} alerts once")
    print(
        f"commit to arrival: p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms,"
        f" max {most * 1000:.0f} ms; {np.mean(delays < GOOD_S) * 100:.2f} % within {GOOD_S:g} s"
    )
    print(f"the last listener of an alert, median {np.median(lasts) * 1000:.0f} ms")

"""Load with known content: numbered rounds, of which it is known who has acknowledged which."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.journal import JournalReader
from tests.faults.deployments import DEVICES, Deployment
from tests.project.broker import wait_for

METRICS = ("dns_ms", "tcp_ms")
MOST_UNDERWAY = 5000  # not acknowledged by the broker; then the load waits
LOOK_S = 0.02
BACKLOG_WITHIN_S = 90.0


def value_of(number: int, metric: str) -> float:
    """The value of a metric in a round."""
    return (number * (7 if metric == "dns_ms" else 11)) % 9973 / 10


class Load:
    """Publishes round 0, 1, 2, ... with QoS 1 at a rate, until it is finished.

    Round n is of device p(n mod 10) at base_ms + n, so that a stored reading tells its round.
    """

    def __init__(self, port: int, *, rate: float, chance: random.Random) -> None:
        self.base_ms = time.time_ns() // 1_000_000
        self.sent = 0
        self._boot = f"b{chance.randrange(2**32):x}"
        self._port = port
        self._rate = rate
        self._underway: set[int] = set()  # packet identifiers
        self._pubacks: deque[int] = deque()  # that came, in the order of their coming
        self._ending, self._all_taken, self._over = (threading.Event() for _ in range(3))
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"load-{self._boot}", protocol=mqtt.MQTTv311
        )
        self._client.max_inflight_messages_set(MOST_UNDERWAY)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._on_publish

    @property
    def acknowledged(self) -> int:
        """How many rounds have the broker's acknowledgement."""
        return self.sent - len(self._underway)

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Publish from a thread, until `finish` or the end."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        thread = threading.Thread(target=self._publish, name="load")
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
            self._client.disconnect()
            self._client.loop_stop()

    def wait_sent(self, count: int) -> None:
        """Wait until this many more rounds were published: a time that the load measures."""
        wanted = self.sent + count
        wait_for(lambda: self.sent >= wanted, f"{count} rounds are published", 120)

    def finish(self) -> None:
        """Publish no more, and wait until the broker has acknowledged all."""
        self._ending.set()
        wait_for(self._all_taken.is_set, "the broker has taken all", 60)

    def _publish(self) -> None:
        began = time.monotonic()
        while not self._over.wait(0.005):
            while self._pubacks:
                self._underway.discard(self._pubacks.popleft())
            if self._ending.is_set():
                if not self._underway:
                    self._all_taken.set()
                continue
            due = int((time.monotonic() - began) * self._rate) - self.sent
            for _ in range(min(due, MOST_UNDERWAY - len(self._underway), 200)):
                self._publish_next()

    def _publish_next(self) -> None:
        n = self.sent
        said = {
            "v": 1,
            "boot": self._boot,
            "seq": n // DEVICES + 1,
            "ts": self.base_ms + n,
            "m": {metric: value_of(n, metric) for metric in METRICS},
        }
        topic = f"gov/v1/LA-LP/p{n % DEVICES}/telemetry"
        self._underway.add(self._client.publish(topic, msgspec.json.encode(said), 1).mid)
        self.sent = n + 1

    def _on_publish(self, client, userdata, mid, reason, properties) -> None:  # type: ignore[no-untyped-def]
        self._pubacks.append(mid)


class Followed:
    """Follows a journal: how often each round of a load came onto the platform's disk.

    Every message below the journal's head is on disk and acknowledged, or about to be.
    """

    def __init__(self, journal: Path, load: Load, *, from_start: bool = False) -> None:
        self.times: dict[int, int] = {}  # by round
        self._load = load
        self._reader = JournalReader(journal, 0)
        if not from_start:
            self._reader.seek(self._reader.head.position)
        self._over = threading.Event()

    @property
    def damaged(self) -> int:
        """Records that could not be followed."""
        return self._reader.damaged

    @property
    def messages(self) -> int:
        """How many of the load were taken over, repeated ones too."""
        return sum(list(self.times.values()))

    @contextmanager
    def running(self) -> Iterator[Followed]:
        """Follow from a thread."""
        thread = threading.Thread(target=self._follow, name="follower")
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
            self._reader.close()

    def wait_for_more(self) -> None:
        """Wait until something new is on the platform's disk: the receiver is at work."""
        before = self.messages
        wait_for(lambda: self.messages > before, "the receiver takes over", BACKLOG_WITHIN_S)

    def wait_for_all(self, count: int) -> None:
        """Wait until rounds 0 to count - 1 are on the platform's disk."""
        wait_for(
            lambda: len(self.times) >= count,
            f"all {count} rounds are on disk",
            BACKLOG_WITHIN_S,
        )

    def wait_for_round(self, number: int) -> None:
        """Wait until a round is on the platform's disk."""
        wait_for(lambda: number in self.times, f"round {number} is on disk", BACKLOG_WITHIN_S)

    def _follow(self) -> None:
        while not self._over.wait(LOOK_S):
            while records := self._reader.read(max_records=1000):
                for record in records:
                    number = self._number(record.payload)
                    if number >= 0:
                        self.times[number] = self.times.get(number, 0) + 1

    def _number(self, payload: bytes) -> int:
        said = msgspec.json.decode(payload)
        return int(said["ts"]) - self._load.base_ms


@contextmanager
def loaded(
    deployment: Deployment, *, rate: float, chance: random.Random
) -> Iterator[tuple[Load, Followed]]:
    """A load on a deployment, and what of it came into its journal."""
    load = Load(deployment.port, rate=rate, chance=chance)
    with Followed(deployment.journal, load).running() as followed, load.running():
        yield load, followed

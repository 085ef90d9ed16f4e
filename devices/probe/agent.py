"""The agent's loop: measure a round, keep it, publish it until the platform has it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from devices.probe.client import Broker, Login
from devices.probe.config import ProbeConfig
from devices.probe.courier import Courier
from devices.probe.measure import KIND, Measured
from devices.probe.measure_self import measure_self
from devices.probe.outbox import Outbox
from devices.probe.outbox_file import OutboxError
from devices.probe.session import Session
from devices.topics import topic
from devices.wire import (
    Message,
    PayloadError,
    Round,
    Status,
    encode,
    encode_status,
)

log = logging.getLogger(__name__)

LIVE_INTERVALS = 3  # an older round is backfill
LONGEST_WAIT_S = 0.5


class Agent:
    """One probe. measure: makes a round of a configuration. now_ms, speed: platform time.

    username, password: of the device at the broker, "" where it asks for none.
    """

    def __init__(
        self,
        config: ProbeConfig,
        broker: Broker,
        *,
        outbox: Outbox,
        measure: Callable[[ProbeConfig], Measured],
        now_ms: Callable[[], int],
        speed: float = 1.0,
        username: str = "",
        password: str = "",
    ) -> None:
        self._config = config
        self._measure = measure
        self._now_ms = now_ms
        self._speed = speed
        self._outbox = outbox
        self._trouble = ""
        self._interval_ms = max(1, round(config.interval_s * 1000))
        farewell = encode_status(Status("offline", boot=outbox.boot))
        self._farewell = (self._topic("status"), farewell)
        login = Login(config.device, username, password, self._farewell)
        self._session = Session(broker, login)
        self._courier = Courier(outbox, self._session, topic=self._topic, uptime_s=self._uptime_s)

    def run(self, stop: Callable[[], bool]) -> None:
        """Measure at every interval until told to stop; then say offline and disconnect."""
        self._session.start()
        due_ms = self._now_ms()
        while not stop():
            now_ms = self._now_ms()
            if now_ms >= due_ms:
                due_ms += -(-(now_ms - due_ms + 1) // self._interval_ms) * self._interval_ms
                self._keep_round(now_ms)
            self._listen()
            self._send()
            wait_s = (due_ms - self._now_ms()) / 1000 / self._speed
            self._session.wait(min(wait_s, LONGEST_WAIT_S))
        self._listen()
        self._session.leave(*self._farewell)

    def _keep_round(self, now_ms: int) -> None:
        measured = self._measure(self._config)
        oldest_ms = self._outbox.oldest_unsent_ms()
        values = measured.values | {
            "backlog_msgs": self._outbox.unsent,
            "backlog_oldest_s": 0 if oldest_ms is None else max(0, now_ms - oldest_ms) // 1000,
            "dropped_msgs": self._outbox.dropped,
        }
        said = Round(None, now_ms, values, measured.attributes or None)
        with self._disk():
            self._outbox.add(said)
            return
        self._send_unkept(said)

    def _send_unkept(self, said: Round) -> None:
        """A round that the disk does not take goes without a number, or is dropped."""
        if self._session.is_connected:
            message = Message(None, [said], [], self._uptime_s())
            self._session.publish(self._topic("telemetry"), encode(message))
        else:
            self._outbox.dropped += 1

    def _listen(self) -> None:
        """Take what the session has heard."""
        while self._session.heard:
            heard = self._session.heard.popleft()
            if heard.what == "acknowledged":
                with self._disk():
                    self._courier.acknowledge(heard.message)
            elif heard.what == "arrived":
                self._read(heard.topic, heard.payload)
            elif heard.what == "connected":
                self._greet(heard.is_new)
            elif heard.what == "subscribed":
                self._courier.subscribed(heard.message)
            else:
                self._mourn(heard.reason)

    def _greet(self, is_new: bool) -> None:
        self._trouble = ""
        log.info("connected to the broker")
        self._courier.greet(is_new=is_new)
        self._session.publish(self._topic("status"), self._birth(), retain=True)

    def _read(self, source: str, payload: bytes) -> None:
        """Do what the platform says."""
        try:
            with self._disk():
                self._courier.read(source, payload)
        except PayloadError as exc:
            self._mourn(f"{source}: {exc}")

    def _mourn(self, trouble: str) -> None:
        """Say what is wrong, once until something else is."""
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("%s", trouble)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """What the disk refuses is said; it comes again by itself."""
        try:
            yield
        except OutboxError as exc:
            self._mourn(str(exc))

    def _send(self) -> None:
        """Send what waits, and again what has waited for its receipt too long."""
        self._outbox.overdue(round(time.monotonic() * 1000 * self._speed))
        self._courier.send(self._now_ms() - LIVE_INTERVALS * self._interval_ms)

    def _birth(self) -> bytes:
        return encode_status(
            Status(
                "online",
                boot=self._outbox.boot,
                kind=KIND,
                fw=version("govsense"),
                interval_s=self._config.interval_s,
                at_ms=self._now_ms(),
                uptime_s=self._uptime_s(),
            )
        )

    def _uptime_s(self) -> int:
        return int(measure_self()["agent_uptime_s"] or 0)

    def _topic(self, channel: str) -> str:
        return topic(self._config.province, self._config.device, channel)

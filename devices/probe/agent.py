"""The agent's loop: measure a round, keep it, publish it; say who it is whenever it connects."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from importlib.metadata import version

from devices.probe.buffer import Buffer
from devices.probe.config import ProbeConfig
from devices.probe.measure import KIND, Measured
from devices.probe.measure_self import measure_self
from devices.probe.session import Broker, Session
from devices.topics import topic
from devices.wire import Message, Round, Status, encode, encode_batch, encode_status

log = logging.getLogger(__name__)

IN_FLIGHT = 20
BATCH_ROUNDS = 100
LIVE_INTERVALS = 3  # an older round is backfill
LONGEST_WAIT_S = 0.5


class Agent:
    """One probe. measure: makes a round of a configuration. now_ms, speed: platform time."""

    def __init__(
        self,
        config: ProbeConfig,
        broker: Broker,
        *,
        measure: Callable[[ProbeConfig], Measured],
        now_ms: Callable[[], int],
        speed: float = 1.0,
    ) -> None:
        self._config = config
        self._measure = measure
        self._now_ms = now_ms
        self._speed = speed
        self.boot = secrets.token_hex(4)
        self.buffer = Buffer(config.buffer_rounds)
        self._seq = 0
        self._trouble = ""
        self._interval_ms = max(1, round(config.interval_s * 1000))
        farewell = encode_status(Status("offline", boot=self.boot))
        self._farewell = (self._topic("status"), farewell)
        self._session = Session(broker, config.device, self._farewell)

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
        oldest_ms = self.buffer.oldest_ms()
        values = measured.values | {
            "backlog_msgs": len(self.buffer),
            "backlog_oldest_s": 0 if oldest_ms is None else max(0, now_ms - oldest_ms) // 1000,
            "dropped_msgs": self.buffer.dropped,
        }
        self.buffer.add(Round(self._seq, now_ms, values, measured.attributes or None))
        self._seq += 1

    def _listen(self) -> None:
        """Take what the session has heard."""
        while self._session.heard:
            heard = self._session.heard.popleft()
            if heard.what == "acknowledged":
                self.buffer.acknowledged(heard.message)
            elif heard.what == "connected":
                self._trouble = ""
                log.info("connected to the broker")
                self._session.publish(self._topic("status"), self._birth(), retain=True)
            elif heard.reason != self._trouble:
                self._trouble = heard.reason
                log.warning("no connection to the broker: %s", heard.reason)

    def _send(self) -> None:
        """Send what waits: fresh rounds live, each by itself; older ones in batches."""
        since_ms = self._now_ms() - LIVE_INTERVALS * self._interval_ms
        while self._session.is_connected and self.buffer.messages_in_flight < IN_FLIGHT:
            fresh = self.buffer.take_live(since_ms)
            rounds = self.buffer.take_old(BATCH_ROUNDS) if fresh is None else [fresh]
            if not rounds:
                return
            said = Message(self.boot, rounds, [], self._uptime_s())
            if fresh is not None:
                number = self._session.publish(self._topic("telemetry"), encode(said))
            else:
                number = self._session.publish(self._topic("backfill"), encode_batch(said))
            self.buffer.sent(number, rounds)

    def _birth(self) -> bytes:
        return encode_status(
            Status(
                "online",
                boot=self.boot,
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

"""The agent's loop: measure a round, keep it, publish it until the platform has it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from devices.probe.config import ProbeConfig
from devices.probe.measure import KIND, Measured
from devices.probe.measure_self import measure_self
from devices.probe.outbox import Outbox, Parcel
from devices.probe.outbox_file import OutboxError
from devices.probe.session import Broker, Session
from devices.topics import topic
from devices.wire import (
    Message,
    PayloadError,
    Round,
    Status,
    decode_receipt,
    decode_resend,
    encode,
    encode_batch,
    encode_status,
)

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
        outbox: Outbox,
        measure: Callable[[ProbeConfig], Measured],
        now_ms: Callable[[], int],
        speed: float = 1.0,
    ) -> None:
        self._config = config
        self._measure = measure
        self._now_ms = now_ms
        self._speed = speed
        self._outbox = outbox
        self._in_flight: dict[int, Parcel] = {}
        self._backlog: int | None = None  # the message of it that is in flight
        self._is_subscribed = False
        self._trouble = ""
        self._interval_ms = max(1, round(config.interval_s * 1000))
        farewell = encode_status(Status("offline", boot=outbox.boot))
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
                self._acknowledge(heard.message)
            elif heard.what == "arrived":
                self._read(heard.topic, heard.payload)
            elif heard.what == "connected":
                self._greet(heard.is_new)
            elif heard.what == "subscribed":
                self._is_subscribed = True
            else:
                self._mourn(heard.reason)

    def _greet(self, is_new: bool) -> None:
        self._trouble = ""
        log.info("connected to the broker")
        self._is_subscribed = False
        if is_new:
            self._outbox.session_lost()
        self._session.subscribe(self._topic("receipt"), self._topic("resend"))
        self._session.publish(self._topic("status"), self._birth(), retain=True)

    def _acknowledge(self, message: int) -> None:
        parcel = self._in_flight.pop(message, None)
        if message == self._backlog:
            self._backlog = None
        if parcel is not None:
            with self._disk():
                self._outbox.acknowledged(parcel)

    def _read(self, source: str, payload: bytes) -> None:
        """Do what the platform says."""
        try:
            if source == self._topic("receipt"):
                receipt = decode_receipt(payload)
                with self._disk():
                    self._outbox.receipt(receipt.boot, receipt.seq)
            elif source == self._topic("resend"):
                asked = decode_resend(payload)
                self._outbox.resend(asked.boot, asked.from_seq, asked.to_seq)
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
        """Send what waits: each fresh round by itself and first, older ones a batch at a time."""
        self._outbox.overdue(round(time.monotonic() * 1000 * self._speed))
        since_ms = self._now_ms() - LIVE_INTERVALS * self._interval_ms
        while self._session.is_connected and len(self._in_flight) < IN_FLIGHT:
            parcel = self._outbox.next_live(since_ms)
            if parcel is not None:
                self._publish("telemetry", encode(self._message(parcel)), parcel)
                continue
            if self._backlog is None and self._is_subscribed:  # receipts come before
                parcel = self._outbox.next_backlog(BATCH_ROUNDS)
            if parcel is None:
                return
            payload = encode_batch(self._message(parcel))
            self._backlog = self._publish("backfill", payload, parcel)

    def _message(self, parcel: Parcel) -> Message:
        uptime_s = self._uptime_s() if parcel.boot == self._outbox.boot else None
        return Message(parcel.boot, parcel.rounds, [], uptime_s)

    def _publish(self, channel: str, payload: bytes, parcel: Parcel) -> int:
        message = self._session.publish(self._topic(channel), payload)
        self._in_flight[message] = parcel
        return message

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

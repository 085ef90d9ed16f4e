"""The courier: carries the rounds of one outbox to the platform and does what it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from devices.probe.outbox import Outbox, Parcel
from devices.wire import (
    Message,
    decode_receipt,
    decode_resend,
    encode,
    encode_batch,
)

IN_FLIGHT = 20  # messages of one device that wait for a PUBACK at one time
BATCH_ROUNDS = 100


class Link(Protocol):
    """What a courier needs of a connection, which several may share."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker takes messages now."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish with QoS 1; the number that comes back with the acknowledgement."""

    def subscribe(self, topics: Sequence[str]) -> int:
        """Subscribe with QoS 1; the number that comes back."""


class Courier:
    """One device's deliveries. No clock, thread or loop: it is told what happened and the time.

    topic: gives the device's topic of a channel. uptime_s: gives the uptime of the running boot.
    OutboxError comes through where the disk refuses; it comes again by itself.
    """

    def __init__(
        self,
        outbox: Outbox,
        link: Link,
        *,
        topic: Callable[[str], str],
        uptime_s: Callable[[], int],
    ) -> None:
        self.outbox = outbox
        self.instead: dict[int, bytes] = {}  # by seq: what goes live, once, in place of the round
        self.heard_receipt = False
        self._link = link
        self._topic = topic
        self._uptime_s = uptime_s
        self._in_flight: dict[int, Parcel] = {}
        self._backlog: int | None = None  # the message of it that is in flight
        self._subscription: int | None = None
        self._is_subscribed = False

    def greet(self, *, is_new: bool) -> None:
        """The broker has accepted us. is_new: it had no session of ours, so all goes again."""
        if is_new:
            self.outbox.session_lost()
        self._is_subscribed = False
        self._subscription = self._link.subscribe([self._topic("receipt"), self._topic("resend")])

    def subscribed(self, number: int) -> None:
        """The broker has answered a subscription, perhaps ours."""
        self._is_subscribed |= number == self._subscription

    def acknowledge(self, message: int) -> None:
        """The broker has a message, perhaps one of ours."""
        parcel = self._in_flight.pop(message, None)
        if message == self._backlog:
            self._backlog = None
        if parcel is not None:
            self.outbox.acknowledged(parcel)

    def read(self, source: str, payload: bytes) -> None:
        """Do what the platform says on a topic. Raises PayloadError for what it cannot mean."""
        if source == self._topic("receipt"):
            receipt = decode_receipt(payload)
            self.heard_receipt |= receipt.boot == self.outbox.boot
            self.outbox.receipt(receipt.boot, receipt.seq)
        elif source == self._topic("resend"):
            asked = decode_resend(payload)
            self.outbox.resend(asked.boot, asked.from_seq, asked.to_seq)

    def send(self, live_since_ms: int) -> None:
        """Send what waits: each fresh round by itself and first, older ones a batch at a time.

        live_since_ms: what was measured before is backfill.
        """
        while self._link.is_connected and len(self._in_flight) < IN_FLIGHT:
            parcel = self.outbox.next_live(live_since_ms)
            if parcel is not None:
                self._publish("telemetry", self._live(parcel), parcel)
                continue
            if self._backlog is None and self._is_subscribed:  # receipts come before
                parcel = self.outbox.next_backlog(BATCH_ROUNDS)
            if parcel is None:
                break
            self._backlog = self._publish("backfill", encode_batch(self._message(parcel)), parcel)

    def _live(self, parcel: Parcel) -> bytes:
        spoilt = self.instead.pop(parcel.rounds[0].seq or 0, None) if self.instead else None
        return encode(self._message(parcel)) if spoilt is None else spoilt

    def _message(self, parcel: Parcel) -> Message:
        """The uptime is that of the running boot, unknown of others."""
        uptime_s = self._uptime_s() if parcel.boot == self.outbox.boot else None
        return Message(parcel.boot, parcel.rounds, [], uptime_s)

    def _publish(self, channel: str, payload: bytes, parcel: Parcel) -> int:
        message = self._link.publish(self._topic(channel), payload)
        self._in_flight[message] = parcel
        return message

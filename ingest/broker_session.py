"""A short visit to the broker, to try what it allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.receiver import Broker, read_password

ANSWER_WITHIN_S = 10.0


class RefusedError(Exception):
    """The broker did not let us in; the text is its reason."""


class Session:
    """A connection with what it received. Its messages are acknowledged as they come."""

    def __init__(self, client: mqtt.Client) -> None:
        self.received: list[tuple[str, bytes]] = []
        self._client = client
        self._reason: str | None = None
        self._granted: dict[int, bool] = {}
        self._changed = Condition()
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    def wait_for(self, condition: Callable[[], bool], within_s: float = ANSWER_WITHIN_S) -> bool:
        """Whether a condition over what was received came true in time."""
        with self._changed:
            return self._changed.wait_for(condition, within_s)

    def subscribe(self, topic: str) -> bool:
        """Subscribe with QoS 1; whether the broker granted it. It may grant and send nothing."""
        _, mid = self._client.subscribe(topic, 1)
        return (
            self.wait_for(lambda: mid is not None and mid in self._granted)
            and self._granted[mid or 0]
        )

    def publish(self, topic: str, *payloads: bytes) -> None:
        """Publish with QoS 1, unretained, and wait for the acknowledgements, also of a denial."""
        sent = [self._client.publish(topic, payload, 1) for payload in payloads]
        deadline = time.monotonic() + ANSWER_WITHIN_S
        for one in sent:
            one.wait_for_publish(max(0.0, deadline - time.monotonic()))

    def greeted(self) -> str | None:
        """The broker's answer to CONNECT: "" for yes, a reason for no, None for none."""
        self.wait_for(lambda: self._reason is not None)
        return self._reason

    def _on_connect(self, client, userdata, flags, reason, properties) -> None:  # type: ignore[no-untyped-def]
        with self._changed:
            self._reason = str(reason) if reason.is_failure else ""
            self._changed.notify_all()

    def _on_subscribe(self, client, userdata, mid, reasons, properties) -> None:  # type: ignore[no-untyped-def]
        with self._changed:
            self._granted[mid] = not any(reason.is_failure for reason in reasons)
            self._changed.notify_all()

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.received.append((message.topic, bytes(message.payload)))
            self._changed.notify_all()


@contextmanager
def session(broker: Broker, *, clean: bool = True) -> Iterator[Session]:
    """A session that is logged in. Raises RefusedError, and OSError where nothing listens."""
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=broker.client_id,
        clean_session=clean,
        protocol=mqtt.MQTTv311,
    )
    if broker.username:
        client.username_pw_set(broker.username, read_password(broker.password_file))
    if broker.tls_ca:
        client.tls_set(ca_certs=broker.tls_ca)
    client.max_inflight_messages_set(2000)
    opened = Session(client)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        reason = opened.greeted()
        if reason != "":
            raise RefusedError(reason or f"no answer within {ANSWER_WITHIN_S:.0f} s")
        yield opened
    finally:
        client.disconnect()
        client.loop_stop()

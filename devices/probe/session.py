"""The probe's MQTT session: paho in its thread, and what it tells the agent."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 30
RECONNECT_S = (1, 30)
LEAVE_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to log in; "" where there is no login, no TLS."""

    host: str
    port: int
    username: str = ""
    password: str = ""
    tls_ca: str = ""


class Heard(NamedTuple):
    """One thing that happened.

    connected (is_new: the broker has no session of ours), subscribed, acknowledged (the number of
    the message), arrived (topic and payload), and refused or lost, with a reason.
    """

    what: str
    message: int = 0
    reason: str = ""
    is_new: bool = False
    topic: str = ""
    payload: bytes = b""


class Session:
    """Connects, reconnects with a backoff, and keeps what is published until it is acknowledged.

    The broker keeps the session, and with it what arrives for the device, while it is away.
    paho's callbacks run in its own thread, which an exception in one would end unseen: they only
    append to `heard` and wake the agent.
    """

    def __init__(self, broker: Broker, client_id: str, will: tuple[str, bytes]) -> None:
        self._broker = broker
        self._wake = threading.Event()
        self.heard: deque[Heard] = deque()
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=mqtt.MQTTv311,
        )
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls_ca:
            client.tls_set(broker.tls_ca)
        client.will_set(*will, qos=1, retain=True)
        client.reconnect_delay_set(*RECONNECT_S)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the session and the connection stands."""
        return self._client.is_connected()

    def start(self) -> None:
        """Connect as soon as the broker can be reached."""
        self._client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish with QoS 1; the number that comes back with the acknowledgement."""
        return self._client.publish(topic, payload, 1, retain).mid

    def subscribe(self, *topics: str) -> None:
        """Subscribe with QoS 1; `subscribed` or `refused` is heard."""
        self._client.subscribe([(topic, 1) for topic in topics])

    def wait(self, seconds: float) -> None:
        """Until something is heard, at most so long."""
        self._wake.wait(max(0.0, seconds))
        self._wake.clear()

    def leave(self, topic: str, payload: bytes) -> None:
        """Publish a last retained message, wait for its acknowledgement, disconnect."""
        if self.is_connected:
            last = self._client.publish(topic, payload, 1, True)
            if last.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                last.wait_for_publish(LEAVE_WITHIN_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _tell(self, heard: Heard) -> None:
        self.heard.append(heard)
        self._wake.set()

    def _on_connect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        what = "refused" if reason.is_failure else "connected"
        self._tell(Heard(what, reason=str(reason), is_new=not flags.session_present))

    def _on_connect_fail(self, client: mqtt.Client, userdata: object) -> None:
        self._tell(Heard("refused", reason="the broker cannot be reached"))

    def _on_disconnect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._tell(Heard("lost", reason=str(reason)))

    def _on_publish(
        self,
        client: mqtt.Client,
        userdata: object,
        mid: int,
        reason: ReasonCode,
        properties: Properties,
    ) -> None:
        self._tell(Heard("acknowledged", message=mid))

    def _on_subscribe(
        self,
        client: mqtt.Client,
        userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._tell(Heard("refused", reason="the broker does not let us read our receipts"))
        self._tell(Heard("subscribed"))

    def _on_message(self, client: mqtt.Client, userdata: object, said: mqtt.MQTTMessage) -> None:
        self._tell(Heard("arrived", topic=said.topic, payload=bytes(said.payload)))

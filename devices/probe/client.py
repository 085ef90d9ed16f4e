"""A device's MQTT client: how it logs in, and everything that happens to it as one kind of event.

It has no loop. The probe runs it in paho's thread, a simulated fleet many of them in one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 30


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is. tls_ca: file of its certificate authority, "" for plain TCP."""

    host: str
    port: int
    tls_ca: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """Who a client is to the broker. will: topic and payload, None without one."""

    client_id: str
    username: str = ""
    password: str = ""
    will: tuple[str, bytes] | None = None


class Heard(NamedTuple):
    """One thing that happened.

    connected (is_new: the broker has no session of ours), subscribed and acknowledged (the number
    of the request or message), arrived (topic and payload), and refused or lost, with a reason.
    """

    what: str
    message: int = 0
    reason: str = ""
    is_new: bool = False
    topic: str = ""
    payload: bytes = b""


class DeviceClient:
    """MQTT 3.1.1 with a session that the broker keeps, and with it what arrives meanwhile.

    What is published goes again after a reconnect until it is acknowledged. tell is called from
    whatever drives `paho`, where an exception would end a thread unseen: it must not raise.
    """

    def __init__(self, broker: Broker, login: Login, tell: Callable[[Heard], None]) -> None:
        self._broker = broker
        self._tell = tell
        self.paho = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=login.client_id,
            clean_session=False,
            protocol=mqtt.MQTTv311,
        )
        if login.username:
            client.username_pw_set(login.username, login.password)
        if login.will is not None:
            client.will_set(*login.will, qos=1, retain=True)
        if broker.tls_ca:
            client.tls_set(broker.tls_ca)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the session and the connection stands."""
        return self.paho.is_connected()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish with QoS 1; the number that comes back with the acknowledgement."""
        return self.paho.publish(topic, payload, 1, retain).mid

    def subscribe(self, topics: Sequence[str]) -> int:
        """Subscribe with QoS 1; the number that comes back. 0 where the connection is gone."""
        return self.paho.subscribe([(topic, 1) for topic in topics])[1] or 0

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
        self._tell(Heard("subscribed", message=mid))

    def _on_message(self, client: mqtt.Client, userdata: object, said: mqtt.MQTTMessage) -> None:
        self._tell(Heard("arrived", topic=said.topic, payload=bytes(said.payload)))

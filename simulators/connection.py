"""One MQTT 3.1.1 connection of simulated devices, driven from outside: no thread of its own."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 5.0
IN_FLIGHT = 20  # messages that wait for a PUBACK at one time
OUTBOX = 10_000  # messages that wait while the broker is away; beyond, the oldest is dropped
LEAST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is. tls_ca: file of its certificate authority, "" for plain TCP."""

    host: str
    port: int
    tls_ca: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """Who a connection is to the broker. will: topic and payload, None without one."""

    client_id: str
    username: str = ""
    password: str = ""
    will: tuple[str, bytes] | None = None


class Outgoing(NamedTuple):
    """One message to publish with QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(slots=True)
class Tally:
    """What connections did, all together. The counters only grow; waiting is a level."""

    waiting: int = 0
    acknowledged: int = 0
    dropped: int = 0
    connects: int = 0
    lost: int = 0
    refused: str = ""


class Connection:
    """Publishes what it is given, in order; keeps it until the broker has acknowledged it.

    A lost connection comes back by itself, with a backoff, and sends again what was not
    acknowledged. `born` gives the retained messages to publish after each connect.
    """

    def __init__(
        self,
        broker: Broker,
        login: Login,
        *,
        selector: selectors.BaseSelector,
        tally: Tally,
        born: Callable[[], list[Outgoing]],
    ) -> None:
        self._broker = broker
        self._selector = selector
        self._tally = tally
        self._born = born
        self._outbox: deque[Outgoing] = deque(maxlen=OUTBOX)
        self._in_flight: set[int] = set()
        self._wanted = False
        self._retry_at = 0.0
        self._backoff_s = LEAST_BACKOFF_S
        self.is_ready = False
        self._client = self._make_client(login)

    @property
    def pending(self) -> int:
        """Messages that the broker has not acknowledged."""
        return len(self._outbox) + len(self._in_flight)

    @property
    def is_open(self) -> bool:
        """Whether it has a socket."""
        return self._client.socket() is not None

    def open(self) -> None:
        """Be connected from now on."""
        self._wanted = True
        self._retry_at = 0.0

    def is_due(self, now_s: float) -> bool:
        """Whether a connect should be tried at this monotonic time."""
        return self._wanted and not self.is_open and now_s >= self._retry_at

    def connect(self, now_s: float) -> bool:
        """Try to connect; False when the broker cannot be reached."""
        self._retry_at = now_s + self._backoff_s
        self._backoff_s = min(LONGEST_BACKOFF_S, self._backoff_s * 2)
        try:
            self._client.connect(self._broker.host, self._broker.port, KEEPALIVE_S)
        except OSError:
            return False
        return True

    def publish(self, message: Outgoing) -> None:
        """Send a message, now or as soon as the connection allows."""
        if len(self._outbox) == OUTBOX:
            self._tally.dropped += 1
        else:
            self._tally.waiting += 1
        self._outbox.append(message)
        self._pump()

    def cut(self) -> None:
        """Break the connection without a DISCONNECT, so that the broker publishes the Will."""
        self._wanted = False
        sock: Any = self._client.socket()
        if sock is None:
            return
        sock.shutdown(socket.SHUT_RDWR)
        while self.is_open:  # what had arrived is still read, then comes the end
            self.on_readable()

    def close(self) -> None:
        """Say DISCONNECT."""
        self._wanted = False
        self._client.disconnect()
        self.on_writable()

    def on_readable(self) -> None:
        """Read what has come."""
        self._client.loop_read()
        sock: Any = self._client.socket()
        while isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._client.loop_read()
            sock = self._client.socket()

    def on_writable(self) -> None:
        """Write what waits."""
        self._client.loop_write()

    def tend(self) -> None:
        """Keep alive; to be called about once a second."""
        if self.is_open:
            self._client.loop_misc()

    def _pump(self) -> None:
        while self.is_ready and self._outbox and len(self._in_flight) < IN_FLIGHT:
            self._send(self._outbox.popleft())

    def _send(self, message: Outgoing) -> None:
        sent = self._client.publish(message.topic, message.payload, 1, message.retain)
        self._in_flight.add(sent.mid)

    def _make_client(self, login: Login) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=login.client_id, protocol=mqtt.MQTTv311
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(IN_FLIGHT + 2)
        if login.username:
            client.username_pw_set(login.username, login.password)
        if login.will is not None:
            client.will_set(*login.will, qos=1, retain=True)
        if self._broker.tls_ca:
            client.tls_set(self._broker.tls_ca)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_write_wanted
        client.on_socket_unregister_write = self._on_write_done
        return client

    def _on_connect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._tally.refused = str(reason)
            return
        self.is_ready = True
        self._backoff_s = LEAST_BACKOFF_S
        self._tally.connects += 1
        self._tally.refused = ""
        for birth in self._born():
            self._tally.waiting += 1
            self._send(birth)
        self._pump()

    def _on_disconnect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self.is_ready and self._wanted:
            self._tally.lost += 1
        self.is_ready = False

    def _on_publish(
        self,
        client: mqtt.Client,
        userdata: object,
        mid: int,
        reason: ReasonCode,
        properties: Properties,
    ) -> None:
        self._in_flight.discard(mid)
        self._tally.acknowledged += 1
        self._tally.waiting -= 1
        self._pump()

    def _on_socket_open(self, client: mqtt.Client, userdata: object, sock: Any) -> None:
        self._selector.register(sock, selectors.EVENT_READ, self)

    def _on_socket_close(self, client: mqtt.Client, userdata: object, sock: Any) -> None:
        self._selector.unregister(sock)

    def _on_write_wanted(self, client: mqtt.Client, userdata: object, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def _on_write_done(self, client: mqtt.Client, userdata: object, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ, self)

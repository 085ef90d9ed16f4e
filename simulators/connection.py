"""One MQTT connection of simulated devices, driven from outside: no thread of its own."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt

from devices.probe.client import KEEPALIVE_S, Broker, DeviceClient, Heard, Login
from devices.probe.courier import IN_FLIGHT

CONNECT_TIMEOUT_S = 5.0
MOST_IN_FLIGHT = 2000  # on a connection that many share
LEAST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 30.0


@dataclass(slots=True)
class Tally:
    """What a fleet did, all together. The counters only grow; waiting is a level.

    waiting: rounds that the broker does not have yet. acknowledged: messages.
    """

    waiting: int = 0
    acknowledged: int = 0
    dropped: int = 0
    receipted: int = 0
    connects: int = 0
    lost: int = 0
    refused: str = ""


class Connection:
    """A session of one device, or of several that share it. `tell` hears all that happens, `record`
    the topic and payload of what is published.

    A lost connection comes back by itself, with a backoff; what was not acknowledged goes again.
    """

    def __init__(
        self,
        broker: Broker,
        login: Login,
        *,
        sharers: int,
        selector: selectors.BaseSelector,
        tally: Tally,
        tell: Callable[[Connection, Heard], None],
        record: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._broker = broker
        self._selector = selector
        self._tally = tally
        self._tell = tell
        self._record = record
        self._in_flight: dict[int, str] = {}  # topic by number
        self._wanted = False
        self._retry_at = 0.0
        self._backoff_s = LEAST_BACKOFF_S
        self.is_connected = False
        self._client = DeviceClient(broker, login, self._hear)
        self._paho = self._drive(self._client.paho, sharers)

    @property
    def in_flight(self) -> int:
        """Messages that the broker has not acknowledged."""
        return len(self._in_flight)

    @property
    def is_open(self) -> bool:
        """Whether it has a socket."""
        return self._paho.socket() is not None

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
            self._paho.connect(self._broker.host, self._broker.port, KEEPALIVE_S)
        except OSError:
            return False
        return True

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish with QoS 1, now or after the next connect; the message's number."""
        message = self._client.publish(topic, payload, retain=retain)
        self._in_flight[message] = topic
        if self._record is not None:
            self._record(topic, payload)
        return message

    def subscribe(self, topics: Sequence[str]) -> int:
        """Subscribe with QoS 1; the number that comes back."""
        return self._client.subscribe(topics)

    def cut(self) -> None:
        """Break the connection without a DISCONNECT, so that the broker publishes the Will."""
        self._wanted = False
        sock: Any = self._paho.socket()
        if sock is None:
            return
        sock.shutdown(socket.SHUT_RDWR)
        while self.is_open:  # what had arrived is still read, then comes the end
            self.on_readable()

    def close(self) -> None:
        """Say DISCONNECT."""
        self._wanted = False
        self._paho.disconnect()
        self.on_writable()

    def on_readable(self) -> None:
        """Read what has come."""
        self._paho.loop_read()
        sock: Any = self._paho.socket()
        while isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._paho.loop_read()
            sock = self._paho.socket()

    def on_writable(self) -> None:
        """Write what waits."""
        self._paho.loop_write()

    def tend(self) -> None:
        """Keep alive; to be called about once a second."""
        if self.is_open:
            self._paho.loop_misc()

    def _drive(self, client: mqtt.Client, sharers: int) -> mqtt.Client:
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(min(MOST_IN_FLIGHT, sharers * (IN_FLIGHT + 2)))
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_write_wanted
        client.on_socket_unregister_write = self._on_write_done
        return client

    def _hear(self, heard: Heard) -> None:
        if heard.what == "acknowledged":
            heard = heard._replace(topic=self._in_flight.pop(heard.message, ""))
            self._tally.acknowledged += 1
        elif heard.what == "connected":
            self.is_connected = True
            self._backoff_s = LEAST_BACKOFF_S
            self._tally.connects += 1
            self._tally.refused = ""
        elif heard.what == "lost":
            self._tally.lost += self.is_connected and self._wanted
            self.is_connected = False
        elif heard.what == "refused":
            self._tally.refused = heard.reason
        self._tell(self, heard)

    def _on_socket_open(self, client: mqtt.Client, userdata: object, sock: Any) -> None:
        self._selector.register(sock, selectors.EVENT_READ, self)

    def _on_socket_close(self, client: mqtt.Client, userdata: object, sock: Any) -> None:
        self._selector.unregister(sock)

    def _on_write_wanted(self, client: mqtt.Client, userdata: object, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def _on_write_done(self, client: mqtt.Client, userdata: object, sock: Any) -> None:
        self._selector.modify(sock, selectors.EVENT_READ, self)

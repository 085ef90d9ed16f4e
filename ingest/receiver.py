"""The receiver: takes messages from the broker, puts them on disk, then acknowledges them.

One thread, one loop. A message waits in `pending` until its group is in the journal; only then is
its PUBACK sent, in order of arrival and only on the connection that brought it: what a lost
connection leaves unacknowledged the broker delivers again on the next.
"""

from __future__ import annotations

import logging
import os
import random
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from ingest.journal import RETAINED, Entry, JournalFullError, JournalWriter, Shortage
from ingest.latency import Latency
from ingest.steadiness import Steadiness

log = logging.getLogger(__name__)

CHANNELS = ("telemetry", "backfill", "status")
KEEPALIVE_S = 10  # a broker that is gone without a word is noticed within two of these
QUIET_S = 0.003  # nothing more came for this long: commit what is there
GROUP_BYTES = 2**20  # a group of large messages is full sooner; the journal's bound holds many
LONGEST_BACKOFF_S = 15.0
OPEN_WITHIN_S, CONNECT_WITHIN_S = 5.0, 10.0  # for the connection, for the broker to take us
LEAVE_WITHIN_S = 2.0
RECEIVE_TO_ACK = "receive_to_ack"  # file beside the journal, for the processor's heartbeat


@dataclass(frozen=True)
class Broker:
    """Where the broker is and how to log in. Without a password file there is no login."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password_file: str = ""
    tls_ca: str = ""


def read_password(file: str) -> str | None:
    """The first line of a password file; None where no file is named."""
    if not file:
        return None
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return lines[0] if lines else ""


class Receiver:
    """Moves messages from one broker session into one journal until told to stop."""

    def __init__(
        self,
        broker: Broker,
        journal: JournalWriter,
        *,
        now_ms: Callable[[], int],
        group_messages: int,
        group_s: float,
    ) -> None:
        self._broker = broker
        self._journal = journal
        self.receive_to_ack = Latency.shared(journal.directory / RECEIVE_TO_ACK)
        self._now_ms = now_ms
        self._group_messages = group_messages
        self._group_s = group_s
        self._pending: list[tuple[Entry, int, int]] = []  # entry, packet identifier, QoS
        self._pending_since: list[float] = []  # of each
        self._pending_bytes = 0
        self._first_pending = 0.0
        self._subscribed = False
        self._refusal = ""
        self._connections = 0
        self._shortage = Shortage.NONE
        self._connected_s = 0.0
        self._steadiness = Steadiness()

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Receive until `should_stop`; then commit, acknowledge, disconnect."""
        failures = 0
        while not should_stop():
            client = self._client()
            try:
                if self._connect(client) and self._receive(client, should_stop):
                    failures = 0
            except JournalFullError as exc:
                leave(client)
                self._wait_for_room(exc, should_stop)
                failures = 0  # of the broker, which had taken us
            self._forget_pending()  # unacknowledged: the broker sends them again
            leave(client)
            failures += 1
            self._back_off(failures, should_stop)

    def _receive(self, client: mqtt.Client, should_stop: Callable[[], bool]) -> bool:
        """Receive while the connection holds; whether the broker had taken us.

        A backlog may come before the answer to our subscription: it is committed in groups too.
        """
        misc_at = 0.0
        deadline = time.monotonic() + CONNECT_WITHIN_S
        while not should_stop():
            connection = client.socket()
            if connection is None and self._subscribed:
                self._say_lost(time.monotonic())
                return True
            if connection is None or self._refusal or self._waited_beyond(deadline):
                log.warning("the broker did not take us: %s", self._refusal or "no answer")
                return False
            writers = [connection] if client.want_write() else []
            select.select([connection], writers, [], QUIET_S if self._pending else 0.25)
            if writers:
                client.loop_write()
            quiet = self._drain(client)
            now = time.monotonic()
            if self._group_is_due(now, quiet=quiet):
                self._commit(client)
            if now >= misc_at:
                client.loop_misc()
                self._beat(self._connections if self._subscribed else 0)
                misc_at = now + 0.5
        if client.is_connected():
            self._commit(client)
        return self._subscribed

    def _say_lost(self, now_s: float) -> None:
        log.warning("connection to the broker lost")
        client_id, made_s = self._broker.client_id, self._connected_s
        if row := self._steadiness.ended(made_s=made_s, now_s=now_s, client_id=client_id):
            log.error("%s", row)

    def _waited_beyond(self, deadline: float) -> bool:
        return not self._subscribed and not self._pending and time.monotonic() > deadline

    def _drain(self, client: mqtt.Client) -> bool:
        """Read what is there, at most one group; True when nothing came."""
        before = len(self._pending)
        while not self._group_is_full():
            count = len(self._pending)
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or len(self._pending) == count:
                break
        if self._pending and not before:
            self._first_pending = time.monotonic()
        return len(self._pending) == before

    def _group_is_due(self, now: float, *, quiet: bool) -> bool:
        if not self._pending:
            return False
        waited_s = now - self._first_pending
        return quiet or self._group_is_full() or waited_s >= self._group_s

    def _group_is_full(self) -> bool:
        return len(self._pending) >= self._group_messages or self._pending_bytes >= GROUP_BYTES

    def _commit(self, client: mqtt.Client) -> None:
        if not self._pending:
            return
        self._journal.append([entry for entry, _, _ in self._pending])
        for _, mid, qos in self._pending:
            client.ack(mid, qos)
        self.receive_to_ack.observe((time.monotonic() - np.array(self._pending_since)) * 1000)
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._pending_since.clear()
        self._pending_bytes = 0

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._broker.client_id,
            clean_session=False,
            protocol=mqtt.MQTTv311,
            manual_ack=True,
        )
        client.connect_timeout = OPEN_WITHIN_S
        if self._broker.username:
            password = read_password(self._broker.password_file)
            client.username_pw_set(self._broker.username, password)
        if self._broker.tls_ca:
            client.tls_set(ca_certs=self._broker.tls_ca)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _connect(self, client: mqtt.Client) -> bool:
        """Open the connection; False, with the reason in the log, where nothing listens."""
        self._subscribed, self._refusal = False, ""
        self._beat(0, ahead_s=OPEN_WITHIN_S + KEEPALIVE_S)  # paho waits for both, at most
        try:
            client.connect(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        except OSError as exc:
            log.warning("no broker at %s:%d: %s", self._broker.host, self._broker.port, exc)
            return False
        finally:
            self._beat(0)
        return True

    def _on_connect(self, client, userdata, flags, reason, properties) -> None:  # type: ignore[no-untyped-def]
        if reason.is_failure:
            self._refusal = str(reason)
            return
        client.subscribe([(f"gov/v1/+/+/{channel}", 1) for channel in CHANNELS])

    def _on_subscribe(self, client, userdata, mid, reasons, properties) -> None:  # type: ignore[no-untyped-def]
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._refusal = f"subscription refused: {', '.join(refused)}"
            return
        self._subscribed = True
        self._connections += 1
        self._connected_s = time.monotonic()
        broker = self._broker
        log.info(
            "connected to the broker at %s:%d as %s", broker.host, broker.port, broker.client_id
        )

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "\0"
        if "\0" in topic:  # MQTT forbids both; the message is kept, without its topic
            topic = ""
        entry = Entry(
            self._now_ms(), topic, bytes(message.payload), RETAINED if message.retain else 0
        )
        self._pending.append((entry, message.mid, message.qos))
        self._pending_since.append(time.monotonic())
        self._pending_bytes += len(entry.payload)

    def _beat(self, connection: int, *, ahead_s: float = 0.0) -> None:
        """Leave a sign of life; ahead_s: how much longer than usual the next one may take."""
        until_ns = time.monotonic_ns() + round(ahead_s * 1e9)
        self._journal.head.beat(
            connection=connection, monotonic_ns=until_ns, shortage=self._shortage
        )

    def _back_off(self, failures: int, should_stop: Callable[[], bool]) -> None:
        longest = min(LONGEST_BACKOFF_S, 0.25 * 2**failures)
        until = time.monotonic() + random.uniform(0.1, longest)
        self._wait(lambda: time.monotonic() >= until, should_stop)

    def _wait_for_room(self, why: JournalFullError, should_stop: Callable[[], bool]) -> None:
        log.error("intake stopped, the broker holds what comes: %s", why)
        self._shortage = why.shortage
        self._wait(self._has_room, should_stop)
        self._shortage = Shortage.NONE
        if not should_stop():
            log.info("there is room again, intake goes on")

    def _has_room(self) -> bool:
        found = self._journal.shortage()
        self._shortage = found or self._shortage
        return found is Shortage.NONE

    def _wait(self, condition: Callable[[], bool], should_stop: Callable[[], bool]) -> None:
        """Wait for a condition without a connection, with a pulse."""
        while not condition() and not should_stop():
            self._beat(0)
            time.sleep(0.1)


def leave(client: mqtt.Client) -> None:
    """Disconnect so that the broker gets every acknowledgement, or give up after 2 s.

    Who closes a connection while messages wait unread in it resets it, and the broker may lose
    what it has not read yet. So we read, and forget, what comes until the broker closes.
    """
    ours = client.socket()
    if ours is None:
        client.disconnect()
        return
    deadline = time.monotonic() + LEAVE_WITHIN_S
    with socket.socket(fileno=os.dup(ours.fileno())) as connection:  # paho closes only its own
        client.disconnect()
        while client.want_write() and client.socket() and time.monotonic() < deadline:
            select.select([], [connection], [], 0.1)
            client.loop_write()
        try:
            while (left_s := deadline - time.monotonic()) > 0:
                connection.settimeout(left_s)
                if not connection.recv(2**16):
                    return
        except OSError:
            return  # it is closed already, or nothing came for too long


def _send_at_once(client: mqtt.Client, userdata: object, connection: Any) -> None:
    """Without it, Nagle's algorithm holds small acknowledgements back for up to 40 ms."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

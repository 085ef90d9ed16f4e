"""`govsense capture`: record what arrives at a broker, for `govsense replay`."""

from __future__ import annotations

import argparse
import math
import os
import queue
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from devices.topics import PREFIX
from ingest.captures import capture_line
from ingest.receiver import Broker, read_password
from runtime.clock import clock_from
from runtime.settings import Settings
from runtime.stopping import stop_requested

SYNC_EVERY_S = 1.0
CONNECT_WITHIN_S = 10.0
WAIT_S = 0.1

EPILOG = """examples:
  govsense capture --out C.jsonl                 until Ctrl-C
  govsense capture --out C.jsonl --seconds 3600

It listens beside ingest and takes nothing away from it. Lines are appended to a file that exists.
Where the connection is lost it is made again; what came in between is not in the file, which is
said when it happens. Broker and login are those of the settings in [mqtt].
"""


class Arrivals:
    """A connection to the broker, which it makes again when it is lost, and what came by it."""

    def __init__(self, broker: Broker, now_ms: Callable[[], int]) -> None:
        self._broker = broker
        self._now_ms = now_ms
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.refusal = ""
        self.connections = 0
        self.losses = 0
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=True,
            protocol=mqtt.MQTTv311,
        )
        if broker.username:
            client.username_pw_set(broker.username, read_password(broker.password_file))
        if broker.tls_ca:
            client.tls_set(ca_certs=broker.tls_ca)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message

    def open(self) -> None:
        """Connect, and go on in a thread. Raises OSError where nothing listens."""
        self._client.connect(self._broker.host, self._broker.port)
        self._client.loop_start()

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def waiting(self) -> bool:
        """Whether a line has come that was not taken."""
        return not self._lines.empty()

    def take(self, within_s: float) -> bytes | None:
        """The next line of the capture, None where none comes in time."""
        try:
            return self._lines.get(timeout=within_s)
        except queue.Empty:
            return None

    def _on_connect(self, client, userdata, flags, reason, properties) -> None:  # type: ignore[no-untyped-def]
        if reason.is_failure:
            self.refusal = str(reason)
            return
        client.subscribe(f"{PREFIX}/#", 1)

    def _on_subscribe(self, client, userdata, mid, reasons, properties) -> None:  # type: ignore[no-untyped-def]
        if any(reason.is_failure for reason in reasons):
            self.refusal = f"the broker does not let us read {PREFIX}/#"
            return
        self.connections += 1

    def _on_disconnect(self, client, userdata, flags, reason, properties) -> None:  # type: ignore[no-untyped-def]
        self.losses += reason.is_failure

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # MQTT forbids it; the payload is kept
        retained = bool(message.retain)
        payload = bytes(message.payload)
        self._lines.put(capture_line(self._now_ms(), topic, payload, retained=retained))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and how much."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="append to this")
    parser.add_argument("--seconds", type=float, metavar="S", help="stop after so long")
    parser.add_argument("--messages", type=int, metavar="N", help="stop after so many")
    parser.epilog = EPILOG


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when it was ended as asked; 1 where broker or file refuse, with the reason."""
    should_stop = stop_requested()
    deadline = time.monotonic() + (args.seconds if args.seconds is not None else math.inf)
    arrivals = Arrivals(_broker(settings), clock_from(settings.clock).now_ms)
    recorder = Recorder(arrivals, lambda: should_stop() or time.monotonic() >= deadline)
    try:
        with args.out.open("ab") as out:
            arrivals.open()
            recorder.run(out, most=args.messages)
    except OSError as exc:
        _say(str(exc))
        return 1
    finally:
        arrivals.close()
    if arrivals.refusal:
        _say(arrivals.refusal)
        return 1
    print(f"{recorder.count} messages in {args.out}")
    return 0


class Recorder:
    """Moves lines from the broker into a file until told to stop."""

    def __init__(self, arrivals: Arrivals, should_stop: Callable[[], bool]) -> None:
        self._arrivals = arrivals
        self._should_stop = should_stop
        self._connections = self._losses = 0
        self.count = 0

    def run(self, out: BinaryIO, *, most: int | None) -> None:
        """Write whole lines; what was written is on the disk SYNC_EVERY_S later, or at the end."""
        until = time.monotonic() + CONNECT_WITHIN_S
        synced = time.monotonic()
        try:
            while not self._is_done(most, until):
                self._write(out, self._arrivals.take(WAIT_S))
                if time.monotonic() - synced >= SYNC_EVERY_S:
                    _sync(out)
                    synced = time.monotonic()
            self._arrivals.close()
            while (most is None or self.count < most) and self._arrivals.waiting:
                self._write(out, self._arrivals.take(0))
        finally:
            _sync(out)

    def _write(self, out: BinaryIO, line: bytes | None) -> None:
        if line is not None:
            out.write(line)
            self.count += 1

    def _is_done(self, most: int | None, connect_until: float) -> bool:
        arrivals = self._arrivals
        if arrivals.losses > self._losses:
            self._losses = arrivals.losses
            _say("the connection was lost: what comes until it is back is not recorded")
        if arrivals.connections > self._connections:
            self._connections = arrivals.connections
            _say("connected, recording what comes; Ctrl-C ends it")
        if not arrivals.connections and not arrivals.refusal and time.monotonic() > connect_until:
            arrivals.refusal = f"the broker did not answer within {CONNECT_WITHIN_S:.0f} s"
        is_full = most is not None and self.count >= most
        return is_full or bool(arrivals.refusal) or self._should_stop()


def _say(text: str) -> None:
    print(f"govsense capture: {text}", file=sys.stderr, flush=True)


def _sync(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def _broker(settings: Settings) -> Broker:
    mqtt = settings.mqtt
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        client_id=f"{mqtt.client_id}-capture-{os.getpid()}",
        username=mqtt.username,
        password_file=mqtt.password_file,
        tls_ca=mqtt.tls_ca,
    )

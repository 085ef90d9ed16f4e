"""A simulated device while it runs: its outbox, its courier and its connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from devices.probe.client import Heard
from devices.probe.courier import Courier
from devices.probe.outbox import Outbox
from devices.probe.outbox_file import IN_MEMORY
from devices.wire import PayloadError, Round
from simulators.connection import Connection, Tally
from simulators.identity import Identity

LATE_REAL_MS = 30_000
LATE_INTERVALS = 3


class OnlineDevice:
    """A device with an outbox in memory, which therefore ends with the run.

    keep: rounds that the outbox holds. now_ms, speed: platform time.
    """

    def __init__(
        self,
        identity: Identity,
        connection: Connection,
        *,
        keep: int,
        tally: Tally,
        now_ms: Callable[[], int],
        speed: float,
    ) -> None:
        self.identity = identity
        self.connection = connection
        self.is_on_line = False
        self._tally = tally
        self._now_ms = now_ms
        interval_ms = LATE_INTERVALS * identity.device.interval_s * 1000
        self._late_ms = round(max(interval_ms, LATE_REAL_MS * speed))
        self.outbox = Outbox(IN_MEMORY, keep, boot=identity.boot)
        self._courier = Courier(
            self.outbox,
            connection,
            topic=identity.topic,
            uptime_s=lambda: identity.uptime_s(now_ms()),
        )

    @property
    def hears_receipts(self) -> bool:
        """Whether a platform has given it a receipt in this run."""
        return self._courier.heard_receipt

    def say_live(self, said: Round, payload: bytes) -> None:
        """Keep a round and send what may be sent. payload: how it goes live, perhaps broken."""
        seq = self._keep(said, late=False)
        if self.connection.is_connected:
            self._courier.instead[seq] = payload
        else:
            self._courier.instead.clear()
        self.send()

    def say_late(self, rounds: Sequence[Round]) -> None:
        """Keep rounds that were held back, and send what may be sent."""
        for said in rounds:
            self._keep(said, late=True)
        self.send()

    def send(self) -> None:
        """Send what may be sent now."""
        self._courier.send(self._now_ms() - self._late_ms)

    def hear(self, heard: Heard) -> None:
        """Take what has happened on the connection and concerns this device."""
        if heard.what == "connected":
            self._courier.greet(is_new=heard.is_new)
            if self.is_on_line:
                self.say_status(online=True)
        elif heard.what == "subscribed":
            self._courier.subscribed(heard.message)
        elif heard.what == "acknowledged":
            before = self.outbox.unsent
            self._courier.acknowledge(heard.message)
            self._tally.waiting += self.outbox.unsent - before
        elif heard.what == "arrived":
            self._read(heard)
        self.send()

    def tend(self, now_ms: int) -> None:
        """Send again what has waited for its receipt too long, by a clock that never jumps."""
        if self.outbox.overdue(now_ms):
            self.send()

    def say_status(self, *, online: bool) -> None:
        """Publish the retained birth, or that it is off line."""
        identity = self.identity
        payload = identity.birth(self._now_ms()) if online else identity.will()
        self.connection.publish(identity.topic("status"), payload, retain=True)

    def _keep(self, said: Round, *, late: bool) -> int:
        before = self.outbox.unsent
        seq = self.outbox.add(said, late=late)
        self._tally.waiting += self.outbox.unsent - before
        self._tally.dropped += before + 1 - self.outbox.unsent
        return seq

    def _read(self, heard: Heard) -> None:
        before = len(self.outbox)
        try:
            self._courier.read(heard.topic, heard.payload)
        except PayloadError as exc:
            self._tally.refused = f"{heard.topic}: {exc}"
        self._tally.receipted += before - len(self.outbox)

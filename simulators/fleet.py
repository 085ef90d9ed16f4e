"""Plays the steps of a run over MQTT in time: hundreds of connections, one loop, no threads."""

from __future__ import annotations

import itertools
import random
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from devices.probe.client import Broker, Heard, Login
from simulators.capture import CaptureWriter
from simulators.connection import Connection, Tally
from simulators.device import OnlineDevice
from simulators.feed import Step
from simulators.identity import Identity

TEND_S = 1.0
LONGEST_WAIT_S = 0.25
STEPS_A_TURN = 500
CONNECTS_A_TURN = 50  # so that a fleet that comes back does not stop the loop
CONNECT_EVERY_S = 0.05
PENDING = 5_000  # rounds unsent on living connections: a slow broker holds the run back
DRAIN_S = 10.0
GATE_S = 1.0  # after a TCP connect has failed, no other device tries for about so long
RECEIPTS_S = 30.0  # a run that has ended waits so long for the receipts of a platform
KEEP = 10_000  # rounds in an outbox
PATIENT_SPEED = 30.0  # on a faster clock receipts still take a second or two of the machine's time


@dataclass(frozen=True, slots=True)
class Timebase:
    """Platform time: now_ms gives it, speed is its seconds per second of the machine."""

    now_ms: Callable[[], int]
    speed: float


@dataclass(frozen=True, slots=True)
class Access:
    """How devices log in. passwords: by device id, which is then the user name as well.

    username, password: of devices without one of their own, and of shared connections.
    shared: how many connections to share among all devices, without Wills; None: one each.
    """

    passwords: Mapping[str, str] = field(default_factory=dict)
    username: str = ""
    password: str = ""
    shared: int | None = None

    def logins(self, identities: Mapping[str, Identity]) -> Iterator[tuple[list[str], Login]]:
        """Each connection to make: the devices that speak over it, and its login."""
        names = list(identities)
        if self.shared is not None:
            for number in range(min(self.shared, len(names))):
                client_id = f"govsense-simulator-{number}"
                yield names[number :: self.shared], Login(client_id, self.username, self.password)
            return
        for name, identity in identities.items():
            will = (identity.topic("status"), identity.will())
            if name in self.passwords:
                yield [name], Login(name, name, self.passwords[name], will)
            else:
                yield [name], Login(name, self.username, self.password, will)


class Fleet:
    """The devices of a run on one broker, each on its own connection unless they share.

    keep: rounds that a device holds until the platform has receipted them.
    """

    def __init__(
        self,
        broker: Broker,
        identities: Mapping[str, Identity],
        access: Access,
        *,
        timebase: Timebase,
        keep: int = KEEP,
        capture: CaptureWriter | None = None,
        each_second: Callable[[Fleet], None] | None = None,
    ) -> None:
        self._identities = identities
        self._timebase = timebase
        self._capture = capture
        self._each_second = each_second
        self._selector = selectors.DefaultSelector()
        self.tally = Tally()
        self._shared = access.shared is not None
        self._devices: dict[str, OnlineDevice] = {}
        self._connections: dict[Connection, list[OnlineDevice]] = {}
        self._connect_at = self._tend_at = 0.0
        for names, login in access.logins(identities):
            self._add(broker, names, login, keep)

    @property
    def connected(self) -> int:
        """Connections that the broker has accepted and that still stand."""
        return sum(connection.is_connected for connection in self._connections)

    @property
    def connections(self) -> int:
        """Connections in all."""
        return len(self._connections)

    @property
    def pending(self) -> int:
        """Rounds that the broker does not have, or messages where these are more."""
        return sum(self._pending(connection) for connection in self._connections)

    @property
    def unreceipted(self) -> int:
        """Rounds for which the platform has given no receipt."""
        return sum(len(device.outbox) for device in self._devices.values())

    def play(self, steps: Iterator[Step], stop: Callable[[], bool]) -> None:
        """Do every step when its time has come; then, or when told to stop, leave in good order.

        A broker that is slow holds the run back; while it is away, outboxes fill. Event times
        are those of the steps whatever happens.
        """
        upcoming = next(steps, None)
        while upcoming is not None and not stop():
            now_ms = self._timebase.now_ms()
            allowed = self._allowed()
            for _ in range(allowed):
                if upcoming is None or upcoming.at_ms > now_ms:
                    break
                self._do(upcoming)
                upcoming = next(steps, None)
            self._turn(self._wait_s(upcoming, now_ms) if allowed else 0.01)
        self._leave(stop)

    def _add(self, broker: Broker, names: list[str], login: Login, keep: int) -> None:
        connection = Connection(
            broker,
            login,
            sharers=len(names),
            selector=self._selector,
            tally=self.tally,
            tell=self._hear,
            record=None if self._capture is None else self._record,
        )
        self._connections[connection] = []
        for name in names:
            self._devices[name] = OnlineDevice(
                self._identities[name],
                connection,
                keep=keep,
                tally=self.tally,
                now_ms=self._timebase.now_ms,
                speed=self._timebase.speed,
            )
            self._connections[connection].append(self._devices[name])

    def _hear(self, connection: Connection, heard: Heard) -> None:
        """Tell the devices of a connection what has happened on it, or the one that it concerns."""
        devices = self._connections[connection]
        if heard.topic and len(devices) > 1:
            devices = [self._devices[heard.topic.split("/")[3]]]
        for device in devices:
            device.hear(heard)

    def _pending(self, connection: Connection) -> int:
        unsent = sum(device.outbox.unsent for device in self._connections[connection])
        return max(unsent, connection.in_flight)

    def _allowed(self) -> int:
        """How many steps may be done now without running ahead of the broker."""
        if self.tally.waiting < PENDING:
            return STEPS_A_TURN
        waiting = sum(self._pending(c) for c in self._connections if c.is_connected)
        return STEPS_A_TURN if waiting < PENDING else 0

    def _wait_s(self, upcoming: Step | None, now_ms: int) -> float:
        if upcoming is None:
            return 0.0
        due_s = (upcoming.at_ms - now_ms) / 1000 / self._timebase.speed
        return min(max(0.0, due_s), LONGEST_WAIT_S)

    def _do(self, step: Step) -> None:
        device = self._devices[step.device]
        if step.what == "connect":
            device.is_on_line = True
            if device.connection.is_connected:  # one that others share
                device.say_status(online=True)
            device.connection.open()
        elif step.what == "cut":
            device.is_on_line = False
            if not self._shared:
                device.connection.cut()
        elif step.what == "leave":
            self._say_farewell(device)
        elif step.what == "backfill":
            device.say_late(step.rounds)
        elif step.rounds:
            device.say_live(step.rounds[0], step.payload)
        elif device.connection.is_connected:  # said twice: not worth keeping
            device.connection.publish(device.identity.topic(step.what), step.payload)

    def _say_farewell(self, device: OnlineDevice) -> None:
        device.is_on_line = False
        device.say_status(online=False)

    def _record(self, topic: str, payload: bytes) -> None:
        if self._capture is not None:
            self._capture.write(self._timebase.now_ms(), topic, payload)

    def _turn(self, wait_s: float) -> None:
        """One turn of the loop: connect, read and write, keep alive."""
        now_s = time.monotonic()
        if now_s >= self._connect_at:
            self._connect_at = now_s + CONNECT_EVERY_S
            self._connect(now_s)
        for key, events in self._selector.select(wait_s):
            connection: Connection = key.data
            if events & selectors.EVENT_WRITE:
                connection.on_writable()
            if events & selectors.EVENT_READ and connection.is_open:
                connection.on_readable()
        if now_s >= self._tend_at:
            self._tend_at = now_s + TEND_S
            self._tend(round(now_s * 1000 * min(self._timebase.speed, PATIENT_SPEED)))

    def _tend(self, steady_ms: int) -> None:
        for connection, devices in self._connections.items():
            connection.tend()
            for device in devices:
                device.tend(steady_ms)
        if self._each_second is not None:
            self._each_second(self)

    def _connect(self, now_s: float) -> None:
        due = (c for c in self._connections if c.is_due(now_s))
        for connection in itertools.islice(due, CONNECTS_A_TURN):
            if not connection.connect(now_s):
                self._connect_at = now_s + GATE_S * random.uniform(0.5, 1.5)
                return

    def _leave(self, stop: Callable[[], bool]) -> None:
        """Say offline, wait for the broker and the platform to have everything, disconnect.

        Who is told to leave waits for neither a broker that is away nor for receipts.
        """
        for device in self._devices.values():
            if device.is_on_line:
                self._say_farewell(device)
        self._turn_while(lambda: any(self._is_waiting(c, stop) for c in self._connections), DRAIN_S)
        if any(device.hears_receipts for device in self._devices.values()):
            self._turn_while(lambda: bool(self.unreceipted) and not stop(), RECEIPTS_S)
        for connection in self._connections:
            connection.close()
        self._turn_while(lambda: any(c.is_open for c in self._connections), 1.0)
        self._selector.close()

    def _is_waiting(self, connection: Connection, stop: Callable[[], bool]) -> bool:
        if stop() and not connection.is_connected:
            return False
        return self._pending(connection) > 0

    def _turn_while(self, condition: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while condition() and time.monotonic() < deadline:
            self._turn(0.05)

"""Plays the steps of a run over MQTT in time: hundreds of connections, one loop, no threads."""

from __future__ import annotations

import itertools
import random
import selectors
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from simulators.capture import CaptureWriter
from simulators.connection import Broker, Connection, Login, Outgoing, Tally
from simulators.feed import Step
from simulators.identity import Identity

TEND_S = 1.0
LONGEST_WAIT_S = 0.25
STEPS_A_TURN = 500
CONNECTS_A_TURN = 50  # so that a fleet that comes back does not stop the loop
CONNECT_EVERY_S = 0.05
PENDING = 5_000  # unacknowledged on living connections: a slow broker holds the run back
DRAIN_S = 10.0
GATE_S = 1.0  # after a TCP connect has failed, no other device tries for about so long
LATE_REAL_MS = 30_000
LATE_INTERVALS = 3


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
    """The devices of a run on one broker, each on its own connection unless they share."""

    def __init__(
        self,
        broker: Broker,
        identities: Mapping[str, Identity],
        access: Access,
        *,
        timebase: Timebase,
        capture: CaptureWriter | None = None,
        each_second: Callable[[Fleet], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self._identities = identities
        self._timebase = timebase
        self._capture = capture
        self._each_second = each_second
        self._selector = selectors.DefaultSelector()
        self._shared = access.shared is not None
        self._on_line: set[str] = set()
        self._connection_of: dict[str, Connection] = {}
        self._connections: list[Connection] = []
        self._connect_at = self._tend_at = 0.0
        for names, login in access.logins(identities):
            self._add(broker, names, login)

    @property
    def connected(self) -> int:
        """Connections that the broker has accepted and that still stand."""
        return sum(connection.is_ready for connection in self._connections)

    @property
    def connections(self) -> int:
        """Connections in all."""
        return len(self._connections)

    @property
    def pending(self) -> int:
        """Messages that the broker has not acknowledged."""
        return sum(connection.pending for connection in self._connections)

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
                self._do(upcoming, now_ms)
                upcoming = next(steps, None)
            self._turn(self._wait_s(upcoming, now_ms) if allowed else 0.01)
        self._leave(told_to=stop())

    def _add(self, broker: Broker, names: list[str], login: Login) -> None:
        connection = Connection(
            broker,
            login,
            selector=self._selector,
            tally=self.tally,
            born=lambda: self._births(names),
        )
        self._connections.append(connection)
        self._connection_of |= dict.fromkeys(names, connection)

    def _allowed(self) -> int:
        """How many steps may be done now without running ahead of the broker."""
        if self.tally.waiting < PENDING:
            return STEPS_A_TURN
        waiting = sum(c.pending for c in self._connections if c.is_ready)
        return STEPS_A_TURN if waiting < PENDING else 0

    def _wait_s(self, upcoming: Step | None, now_ms: int) -> float:
        if upcoming is None:
            return 0.0
        due_s = (upcoming.at_ms - now_ms) / 1000 / self._timebase.speed
        return min(max(0.0, due_s), LONGEST_WAIT_S)

    def _do(self, step: Step, now_ms: int) -> None:
        connection = self._connection_of[step.device]
        if step.what == "connect":
            self._on_line.add(step.device)
            if connection.is_ready:  # one that others share
                for birth in self._births([step.device]):
                    connection.publish(birth)
            connection.open()
        elif step.what == "cut":
            self._on_line.discard(step.device)
            if not self._shared:
                connection.cut()
        elif step.what == "leave":
            self._say_farewell(step.device)
        else:
            identity = self._identities[step.device]
            late = now_ms - step.at_ms > self._lateness_ms(identity)
            channel = "backfill" if late else step.what
            self._record(identity.topic(channel), step.payload)
            connection.publish(Outgoing(identity.topic(channel), step.payload))

    def _lateness_ms(self, identity: Identity) -> float:
        """How old a round may be to be sent as live."""
        return max(
            LATE_INTERVALS * identity.device.interval_s * 1000,
            LATE_REAL_MS * self._timebase.speed,
        )

    def _is_waiting(self, *, for_all: bool) -> bool:
        """Whether messages wait for the broker, on any connection or on living ones."""
        return any(c.pending for c in self._connections if for_all or c.is_ready)

    def _say_farewell(self, name: str) -> None:
        self._on_line.discard(name)
        identity = self._identities[name]
        self._record(identity.topic("status"), identity.will())
        self._connection_of[name].publish(
            Outgoing(identity.topic("status"), identity.will(), retain=True)
        )

    def _births(self, names: Iterable[str]) -> list[Outgoing]:
        """The retained messages that say that these devices are on line, if they are."""
        births: list[Outgoing] = []
        for name in names:
            if name in self._on_line:
                identity = self._identities[name]
                payload = identity.birth(self._timebase.now_ms())
                self._record(identity.topic("status"), payload)
                births.append(Outgoing(identity.topic("status"), payload, retain=True))
        return births

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
            for connection in self._connections:
                connection.tend()
            if self._each_second is not None:
                self._each_second(self)

    def _connect(self, now_s: float) -> None:
        due = (c for c in self._connections if c.is_due(now_s))
        for connection in itertools.islice(due, CONNECTS_A_TURN):
            if not connection.connect(now_s):
                self._connect_at = now_s + GATE_S * random.uniform(0.5, 1.5)
                return

    def _leave(self, *, told_to: bool) -> None:
        """Say offline, wait for the broker's acknowledgements, disconnect.

        Who was told to leave does not wait for a broker that is away.
        """
        for name in sorted(self._on_line):
            self._say_farewell(name)
        deadline = time.monotonic() + DRAIN_S
        while self._is_waiting(for_all=not told_to) and time.monotonic() < deadline:
            self._turn(0.05)
        for connection in self._connections:
            connection.close()
        while any(c.is_open for c in self._connections) and time.monotonic() < deadline:
            self._turn(0.05)
        self._selector.close()

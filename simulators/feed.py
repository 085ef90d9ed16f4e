"""What one simulated device does, step by step in event time: connect, publish, fall silent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from devices.registry import Device, Site
from devices.wire import Message, Round, encode, encode_batch
from simulators.faults import Fault
from simulators.identity import Identity
from simulators.life import Circumstances, Life, Measured
from simulators.malformed import MALFORMED, malformed
from simulators.mishaps import Mishap
from simulators.placement import Timing
from simulators.sessions import sessions
from simulators.world.chance import stream
from simulators.world.effects import Effect

BATCH_ROUNDS = 100  # a probe's round has about 1.5 KB; a message may have 256 KiB
AHEAD_ROUNDS = 32

What = Literal["connect", "telemetry", "backfill", "cut", "leave"]


class Step(NamedTuple):
    """One thing that a device does. payload: of telemetry and backfill, else empty.

    connect: it comes on line; cut: its connection breaks, so that the Will is sent; leave: it
    goes off line in good order. rounds: what the device keeps until the platform has it, whatever
    its payload looks like; none where a message is said again.
    """

    at_ms: int
    device: str
    what: What
    payload: bytes
    rounds: Sequence[Round] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """One device in a run: the same steps for the same seed, faults and times.

    start_ms, end_ms: of the run; None for one without end. faults, mishaps: those of this device.
    """

    device: Device
    site: Site
    seed: int
    start_ms: int
    end_ms: int | None
    timing: Timing
    faults: Sequence[Fault] = ()
    mishaps: Sequence[Mishap] = ()
    effects: Sequence[Effect] = ()

    @property
    def identity(self) -> Identity:
        """Who the device is on the wire."""
        return Identity.of(self.device, self.site, seed=self.seed, start_ms=self.start_ms)

    def steps(self) -> Iterator[Step]:
        """Everything that the device does, in order of time; without end if the run has none."""
        return _Player(self).steps()


class _Player:
    """Plays a feed once, from its start."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._device = feed.device
        self._identity = feed.identity
        self._timing = feed.timing
        befalls = Circumstances(feed.mishaps, feed.effects, feed.faults)
        self._life = Life(
            feed.device,
            feed.site,
            feed.timing,
            seed=feed.seed,
            start_ms=feed.start_ms,
            befalls=befalls,
        )
        boots_ms = [boot.at_ms for boot in self._life.boots]
        self._gaps = deque(
            gap
            for gap in sessions(
                feed.mishaps, boots_ms, stream(feed.seed, feed.device.device, "sessions")
            ).gaps
            if not gap.delay
        )
        self._chance = stream(feed.seed, feed.device.device, "faults")
        self._seq = 1
        self._held: list[Round] = []
        self._is_cut = False

    def steps(self) -> Iterator[Step]:
        feed = self._feed
        yield self._step(feed.start_ms, "connect")
        dark = False
        for measured in self._rounds():
            at_ms = measured.at_ms
            yield from self._sessions(at_ms)
            silence = self._on("silence", at_ms)
            cut = silence is not None and silence.how == "disconnect"
            if cut != dark:
                yield self._step(at_ms, "cut" if cut else "connect")
                dark = cut
            if silence is None:
                yield from self._speak(measured)
        if feed.end_ms is not None:
            yield from self._sessions(feed.end_ms)
            if not dark and not self._is_cut:
                yield from self._release(feed.end_ms)
                yield self._step(feed.end_ms, "leave")

    def _rounds(self) -> Iterator[Measured]:
        """Its rounds until the end of the run, worked out some at a time."""
        end_ms = self._feed.end_ms
        until_ms = self._timing.first_ms
        while end_ms is None or until_ms < end_ms:
            until_ms += AHEAD_ROUNDS * self._timing.interval_ms
            for measured in self._life.rounds(until_ms):
                if end_ms is not None and measured.at_ms >= end_ms:
                    return
                yield measured

    def _sessions(self, until_ms: int) -> Iterator[Step]:
        """Breaks and returns of the connection up to a time."""
        while self._gaps:
            gap = self._gaps[0]
            if not self._is_cut and gap.start_ms <= until_ms:
                self._is_cut = True
                yield self._step(gap.start_ms, "cut")
            if not self._is_cut or gap.back_ms > until_ms:
                return
            self._is_cut = False
            self._gaps.popleft()
            yield self._step(gap.back_ms, "connect")
            yield from self._release(gap.back_ms)

    def _step(
        self, at_ms: int, what: What, payload: bytes = b"", rounds: Sequence[Round] = ()
    ) -> Step:
        return Step(at_ms, self._device.device, what, payload, rounds)

    def _on(self, kind_of_fault: str, at_ms: int) -> Fault | None:
        for fault in self._feed.faults:
            if fault.type == kind_of_fault and fault.covers(at_ms):
                return fault
        return None

    def _speak(self, measured: Measured) -> Iterator[Step]:
        """What is published for one round."""
        at_ms = measured.at_ms
        said = measured.said._replace(seq=self._seq)
        self._seq += 1
        if self._is_cut or self._on("late-batch", at_ms) is not None:
            self._held.append(said)
            return
        yield from self._release(at_ms)
        payload = encode(self._message(at_ms, [said]))
        bad, again = self._on("malformed", at_ms), self._on("duplicate", at_ms)
        if bad is not None:
            name = self._chance.choice(list(MALFORMED)) if bad.payload == "any" else bad.payload
            payload = malformed(payload, name)
        yield self._step(at_ms, "telemetry", payload, [said])
        for _ in range(again.copies if again else 0):
            yield self._step(at_ms, "telemetry", payload)

    def _release(self, at_ms: int) -> Iterator[Step]:
        """The rounds that were held back, as batches."""
        for first in range(0, len(self._held), BATCH_ROUNDS):
            rounds = self._held[first : first + BATCH_ROUNDS]
            payload = encode_batch(self._message(at_ms, rounds))
            yield self._step(at_ms, "backfill", payload, rounds)
        self._held.clear()

    def _message(self, at_ms: int, rounds: list[Round]) -> Message:
        return Message(self._identity.boot, rounds, [], self._identity.uptime_s(at_ms))


def timing_for(seed: int, device: Device, start_ms: int) -> Timing:
    """When a device reports in a run: its first rounds are spread over its interval by the seed."""
    interval_ms = max(1, round(device.interval_s * 1000))
    phase_ms = stream(seed, device.device, "phase").randrange(interval_ms)
    return Timing(start_ms + phase_ms, interval_ms)

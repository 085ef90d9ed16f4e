"""Delivery: the messages of one device in order of arrival, through cuts and outboxes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from devices.topics import topic
from devices.wire import Message, Status, encode, encode_batch, encode_status
from simulators.identity import FIRMWARE
from simulators.life import Boot, Life, Measured
from simulators.sessions import Gap, sessions
from simulators.world.chance import stream

BATCH_ROUNDS = 60
MOST_LATE_MS = 9_000
SLOW_LINKS = ("3g", "vsat-geo", "vsat-leo")
PROBE = "connectivity-probe"


class Arrival(NamedTuple):
    """One message as the platform gets it. retained: kept by the broker from before."""

    at_ms: int
    topic: str
    payload: bytes
    retained: bool = False


class Delivery:
    """What the platform gets of one life, block by block."""

    def __init__(self, life: Life, province: str, *, seed: int, start_ms: int) -> None:
        device = life.device.device
        self._life = life
        self._chance = stream(seed, device, "delivery")
        self._topics = {c: topic(province, device, c) for c in ("telemetry", "backfill", "status")}
        boots_ms = [boot.at_ms for boot in life.boots]
        self._gaps = sessions(life.mishaps, boots_ms, self._chance)
        slow = life.site.uplinks[life.device.uplink - 1].link_type in SLOW_LINKS
        self._usual_ms = 620.0 if slow else self._chance.uniform(60.0, 260.0)
        self._keeps = life.device.kind == PROBE or self._chance.random() < 0.85
        self._repeats = deque(mishap for mishap in life.mishaps if mishap.what == "repeat")
        self._again: list[Measured] = []
        self._start_ms = start_ms
        self._greeted = False
        self._gap: Gap | None = None
        self._held: list[Measured] = []
        self._said_ms = start_ms  # a connection keeps the order
        self._next_gap = 0
        self._has_twin = any(mishap.what == "twin" for mishap in life.mishaps)
        self._session_boot: Boot | None = None

    def arrivals(self, until_ms: int) -> Iterator[Arrival]:
        """What arrives of everything that happens in the next block; some of it later."""
        if not self._greeted:
            self._greeted = True
            boot = self._life.boot_at(self._start_ms)
            birth = self._birth(boot, max(boot.at_ms + 20_000, self._start_ms - 86_400_000))
            yield Arrival(self._start_ms, self._topics["status"], birth, True)
        for measured in self._life.rounds(until_ms):
            yield from self._sessions_until(measured.at_ms)
            yield from self._say(measured)
            yield from self._repeat(measured)
        yield from self._sessions_until(until_ms - 1)

    def _sessions_until(self, at_ms: int) -> Iterator[Arrival]:
        """Births, Wills and backfill of every gap that has begun or ended by a time."""
        while True:
            if self._gap is None:
                if self._next_gap == len(self._gaps.gaps):
                    return
                gap = self._gaps.gaps[self._next_gap]
                if gap.start_ms > at_ms:
                    return
                self._gap = gap
                self._next_gap += 1
                if gap.will_ms is not None:
                    will = self._will(self._life.boot_at(gap.start_ms))
                    yield Arrival(gap.will_ms, self._topics["status"], will)
            if self._gap.back_ms > at_ms:
                return
            gap, self._gap = self._gap, None
            yield from self._return(gap)

    def _return(self, gap: Gap) -> Iterator[Arrival]:
        held, self._held = self._held, []
        self._said_ms = max(self._said_ms, gap.back_ms)
        if gap.delay:
            for measured in held:
                yield self._live(measured)
            return
        boot = self._life.boot_at(gap.back_ms)
        yield Arrival(gap.back_ms, self._topics["status"], self._birth(boot, gap.back_ms))
        yield from self._backfill(held, gap.back_ms + 300, boot)

    def _backfill(self, held: list[Measured], from_ms: int, boot: Boot) -> Iterator[Arrival]:
        """Rounds as batches, one after the other. boot: the one that sends them."""
        at_ms = float(from_ms)
        while held:
            of = held[0].boot
            batch = [m for m in held[:BATCH_ROUNDS] if m.boot == of]
            held = held[len(batch) :]
            at_ms += self._chance.uniform(350, 2_600)
            rounds = [measured.said for measured in batch]
            up_s = (round(at_ms) - boot.at_ms) // 1000 if of == boot else None
            payload = encode_batch(Message(of.boot, rounds, [], up_s))
            yield Arrival(round(at_ms), self._topics["backfill"], payload)
            if self._chance.random() < 0.02:  # the broker's word got lost: said twice
                yield Arrival(round(at_ms) + 40, self._topics["backfill"], payload)

    def _repeat(self, measured: Measured) -> Iterator[Arrival]:
        """What a device with a mended outbox says again after a while."""
        if not self._repeats or measured.at_ms < self._repeats[0].start_ms:
            return
        self._again.append(measured)
        if measured.at_ms >= self._repeats[0].end_ms and self._gap is None:
            self._repeats.popleft()
            again, self._again = self._again, []
            yield from self._backfill(again, measured.at_ms + 2_000, measured.boot)

    def _say(self, measured: Measured) -> Iterator[Arrival]:
        if self._gap is not None:
            if self._keeps and not measured.twin:
                self._held.append(measured)
            return
        if self._has_twin:
            yield from self._take_over(measured)
        yield self._live(measured)

    def _live(self, measured: Measured) -> Arrival:
        late_ms = self._usual_ms * self._chance.lognormvariate(0.0, 0.5)
        if self._chance.random() < 0.004:
            late_ms += self._chance.paretovariate(1.1) * 700
        at_ms = measured.at_ms + round(min(late_ms, MOST_LATE_MS))
        self._said_ms = max(self._said_ms + 1, at_ms)
        boot, said = measured.boot, measured.said
        payload = encode(Message(boot.boot, [said], [], (measured.at_ms - boot.at_ms) // 1000))
        return Arrival(self._said_ms, self._topics["telemetry"], payload)

    def _take_over(self, measured: Measured) -> Iterator[Arrival]:
        """Two devices with one name: the one that connects throws the other out."""
        thrown_out = self._session_boot or measured.boot
        self._session_boot = measured.boot
        if thrown_out == measured.boot:
            return
        at_ms = self._said_ms = max(self._said_ms + 1, measured.at_ms)
        status = self._topics["status"]
        yield Arrival(at_ms, status, self._will(thrown_out))
        yield Arrival(at_ms, status, self._birth(measured.boot, at_ms))

    def _birth(self, boot: Boot, at_ms: int) -> bytes:
        device = self._life.device
        up_s = max(0, (at_ms - boot.at_ms) // 1000)
        return encode_status(
            Status("online", boot.boot, device.kind, FIRMWARE, device.interval_s, at_ms, up_s)
        )

    def _will(self, boot: Boot) -> bytes:
        return encode_status(Status("offline", boot.boot))

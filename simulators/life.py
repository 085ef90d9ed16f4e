"""A device's life in event time: when it runs and as whom, and the rounds that it measures."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.registry import Device, Site
from devices.wire import Round
from simulators.facility_sensors import SensorFaults
from simulators.faults import Distortion, Fault
from simulators.identity import UPTIME_MS
from simulators.mishaps import Conditions, Mishap
from simulators.placement import Timing
from simulators.world import Model, model_for
from simulators.world.chance import stream
from simulators.world.effects import Effect, Effects
from simulators.world.model import Value, rounded
from simulators.world.probe import Probe

VALUE_FAULTS = ("spike", "stuck", "drift", "level-shift")
SILENT = ("off", "hang", "lost")
ATTRIBUTES_EVERY = 10  # rounds
BOOT_S = (12.0, 45.0)
TWIN_PHASE = 0.37  # of an interval


class Boot(NamedTuple):
    """One run of a device. at_ms: when it booted."""

    at_ms: int
    boot: str


class Measured(NamedTuple):
    """One round. at_ms: true time, which the device's clock may not show. twin: not its own."""

    at_ms: int
    said: Round
    boot: Boot
    twin: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What befalls one device in a run: mishaps, effects that its model and its sensors feel,
    and faults of its values.
    """

    mishaps: Sequence[Mishap] = ()
    effects: Sequence[Effect] = ()
    faults: Sequence[Fault] = ()


class Life:
    """One device from the start of a run on; its rounds come in blocks that follow each other."""

    def __init__(
        self,
        device: Device,
        site: Site,
        timing: Timing,
        *,
        seed: int,
        start_ms: int,
        befalls: Circumstances,
    ) -> None:
        self.device = device
        self.site = site
        self.timing = timing
        self.mishaps = befalls.mishaps
        self._chance = stream(seed, device.device, "life")
        self.boots = _boots(device.device, self.mishaps, seed, start_ms)
        self._boot_times = [boot.at_ms for boot in self.boots]
        self._silent = [(e.start_ms, self._alive_ms(e)) for e in self.mishaps if e.what in SILENT]
        self._restarts = [e.start_ms for e in self.mishaps if e.what == "restart"]
        self._twins = [e for e in self.mishaps if e.what == "twin"]
        self._model: Model = model_for(seed, device, site, _felt(befalls))
        self._sensors = SensorFaults(device, befalls.effects, self._chance)
        self._distortions = [(f, Distortion(f)) for f in befalls.faults if f.type in VALUE_FAULTS]
        self._public_ips = [_public_ip(self._chance) for _ in site.uplinks]
        self._boot, self._seq = "", 0
        self._twin_seq = self._chance.randrange(1, 5_000)
        self._next_ms = timing.first_ms

    def boot_at(self, at_ms: int) -> Boot:
        """The run in which it is at a time."""
        return self.boots[bisect_right(self._boot_times, at_ms) - 1]

    def rounds(self, until_ms: int) -> Iterator[Measured]:
        """The rounds from the end of the block before up to a time, in order of true time."""
        step_ms = self.timing.interval_ms
        at_ms = np.arange(self._next_ms, until_ms, step_ms, dtype=np.int64)
        if not len(at_ms):
            return
        self._next_ms = int(at_ms[-1]) + step_ms
        nearby = [e for e in self.mishaps if e.start_ms < until_ms and e.end_ms > at_ms[0]]
        on = Conditions(len(at_ms))
        on.apply(nearby, at_ms)
        clocks = (at_ms + np.rint(on.clock_ms).astype(np.int64)).tolist()
        values = self._measure(at_ms, on)
        for row, time_ms in enumerate(at_ms.tolist()):
            if any(start <= time_ms < end for start, end in self._silent):
                continue
            backup = bool(on.backup[row])
            yield self._said(time_ms, clocks[row], values[row], backup)
            if self._twins:
                yield from self._twin(time_ms, values[row])

    def _alive_ms(self, mishap: Mishap) -> int:
        """When a device measures again after an mishap that silences it."""
        if mishap.what != "off":
            return mishap.end_ms
        return next((at_ms for at_ms in self._boot_times if at_ms >= mishap.end_ms), mishap.end_ms)

    def _measure(self, at_ms: NDArray[np.int64], on: Conditions) -> Sequence[dict[str, Value]]:
        step_s = self.timing.interval_ms / 1000
        if isinstance(self._model, Probe):
            self._clockwork(at_ms, on)
            rounds = self._model.rounds(at_ms, step_s, on)
        else:
            rounds = [
                rounded(self.device.kind, self._model.measure(time_ms, step_s))
                for time_ms in at_ms.tolist()
            ]
            for time_ms, values in zip(at_ms.tolist(), rounds, strict=True):
                self._sensors.apply(time_ms, values)
        if self._distortions:
            for time_ms, values in zip(at_ms.tolist(), rounds, strict=True):
                for fault, distortion in self._distortions:
                    if fault.covers(time_ms):
                        distortion.apply(time_ms, values)
        return rounds

    def _clockwork(self, at_ms: NDArray[np.int64], on: Conditions) -> None:
        """When system and agent were started last, for each round."""
        for number, boot in enumerate(self.boots):
            on.booted_ms[at_ms >= boot.at_ms] = boot.at_ms
            on.boots[at_ms >= boot.at_ms] = number
            on.agent_ms[at_ms >= boot.at_ms] = boot.at_ms + 20_000
        for restart_ms in self._restarts:
            since = (at_ms >= restart_ms) & (on.booted_ms <= restart_ms)
            on.agent_ms[since] = np.fmax(on.agent_ms[since], restart_ms)

    def _said(self, at_ms: int, clock_ms: int, values: dict[str, Value], backup: bool) -> Measured:
        boot = self.boot_at(at_ms)
        if boot.boot != self._boot:
            first = not self._boot
            self._boot = boot.boot
            self._seq = (at_ms - boot.at_ms) // self.timing.interval_ms if first else 0
        self._seq += 1
        measured = {name: value for name, value in values.items() if value is not None}
        attributes = self._attributes(backup)
        return Measured(at_ms, Round(self._seq, clock_ms, measured, attributes), boot)

    def _attributes(self, backup: bool) -> dict[str, str] | None:
        if not isinstance(self._model, Probe):
            return None
        uplinks = self.site.uplinks
        if len(uplinks) == 1 and self._seq % ATTRIBUTES_EVERY != 1:
            return None
        place = (self.device.uplink - 1) ^ backup
        return {
            "link_active": uplinks[place].link_type,
            "provider": uplinks[place].provider,
            "public_ip": self._public_ips[place],
        }

    def _twin(self, at_ms: int, values: dict[str, Value]) -> Iterator[Measured]:
        """A round of another device that uses the same name."""
        step_ms = self.timing.interval_ms
        at_ms += round(TWIN_PHASE * step_ms)
        for mishap in self._twins:
            if mishap.start_ms <= at_ms < mishap.end_ms:
                self._twin_seq += 1
                shifted = {
                    name: round(value * 1.37, 2) if name.endswith("_ms") else value
                    for name, value in values.items()
                    if value is not None
                }
                boot = Boot(mishap.start_ms - 3_600_000, f"{mishap.start_ms % 0xFFFF:04x}7717")
                yield Measured(at_ms, Round(self._twin_seq, at_ms, shifted, None), boot, True)


def _boots(device: str, mishaps: Sequence[Mishap], seed: int, start_ms: int) -> list[Boot]:
    """Every run of a device: the one at the start, and one after each time without power."""
    draw = stream(seed, device, "boot")
    times = [start_ms - draw.randrange(*UPTIME_MS)]
    times += [
        mishap.end_ms + round(draw.uniform(*BOOT_S) * 1000)
        for mishap in mishaps
        if mishap.what == "off"
    ]
    names = [
        blake2b(f"{seed}/{device}/{start_ms}{suffix}".encode(), digest_size=4).hexdigest()
        for suffix in ["", *(f"/{number}" for number in range(1, len(times)))]
    ]
    return [Boot(at_ms, name) for at_ms, name in zip(sorted(times), names, strict=True)]


def _felt(befalls: Circumstances) -> Effects:
    """What the model of a facility feels; of mishaps, that the mains are off."""
    cuts = [m for m in befalls.mishaps if m.what == "mains-off"]
    return Effects([*befalls.effects, *(Effect(m.what, m.start_ms, m.end_ms) for m in cuts)])


def _public_ip(draw: Random) -> str:
    return f"202.{draw.randrange(62, 137)}.{draw.randrange(256)}.{draw.randrange(1, 255)}"

"""`--world everything`: a made-up country with every kind of fault, written as labelled files."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from devices.registry import Registry
from devices.registry_files import write_registry
from simulators.delivery import Arrival, Delivery
from simulators.facility import Event, effects_by_device
from simulators.facility_decoys import facility_decoys
from simulators.facility_faults import facility_faults
from simulators.faults import Fault
from simulators.feed import timing_for
from simulators.life import VALUE_FAULTS, Circumstances, Life
from simulators.premises import premises
from simulators.run import prepare
from simulators.scenario import Scenario, ScenarioError
from simulators.schedule import Scheduler
from simulators.troubles import Trouble, mishaps_by_device, write_truth

TABLES = ("sites.csv", "devices.csv")  # of a registry
TRUTH, DECOYS, CAPTURE = "truth.jsonl", "decoys.jsonl", "capture.jsonl"
FILES = (*TABLES, TRUTH, DECOYS, CAPTURE)
BLOCK_MS = 6 * 3_600_000
DAY_MS = 86_400_000
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC) - timedelta(hours=7)  # midnight in the country
SEASON_DAYS = 37  # between the starts of two seeds
YEAR_DAYS = 357

_ENCODER = msgspec.json.Encoder()


def season_start_ms(seed: int) -> int:
    """When the world of a seed begins: local midnight somewhere in 2026, all seasons in turn."""
    day = FIRST_DAY + timedelta(days=seed * SEASON_DAYS % YEAR_DAYS)
    return round(day.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class World:
    """A country for a time. The same seed, sizes and times give the same files, byte for byte."""

    registry: Registry
    seed: int
    start_ms: int
    end_ms: int
    troubles: Sequence[Trouble]
    decoys: Sequence[Trouble]
    events: Sequence[Event]  # faults of facilities
    harmless: Sequence[Event]  # their decoys
    faults: Sequence[Fault] = ()  # of single values, from a scenario

    @staticmethod
    def of(registry: Registry, *, seed: int, start_ms: int, end_ms: int) -> World:
        """What a seed makes happen in a country."""
        scheduler = Scheduler(premises(registry, seed), seed, start_ms, end_ms)
        troubles = scheduler.troubles()
        decoys = scheduler.decoys()
        busy = [
            (device, trouble.start_ms, trouble.end_ms)
            for trouble in (*troubles, *decoys)
            for device in trouble.devices
        ]
        events = facility_faults(registry, seed, start_ms, end_ms, busy=busy)
        busy += [(device, e.start_ms, e.end_ms) for e in events for device in e.devices]
        harmless = facility_decoys(registry, seed, start_ms, end_ms, busy=busy)
        return World(registry, seed, start_ms, end_ms, troubles, decoys, events, harmless)

    @staticmethod
    def of_scenario(
        registry: Registry, scenario: Scenario, *, seed: int, start_ms: int, end_ms: int
    ) -> World:
        """A country in which only a scenario happens. Raises ScenarioError."""
        run = prepare(registry, scenario, seed=seed, start_ms=start_ms, end_ms=end_ms)
        for fault in run.faults:
            if fault.type not in VALUE_FAULTS:
                raise ScenarioError(
                    f"{scenario.source}: {fault.fault} is a {fault.type}, which is played to a "
                    f"broker only; in a written world use a failure of a link, site or probe"
                )
        events = [event for event in run.events if event.truth.nature != "decoy"]
        harmless = [event for event in run.events if event.truth.nature == "decoy"]
        return World(
            registry, seed, start_ms, end_ms, run.troubles, (), events, harmless, run.faults
        )

    def write(self, directory: Path, told: Callable[[int, int], None]) -> int:
        """Write FILES.

        told: called with the time reached and the messages so far. Returns the messages.
        """
        write_registry(self.registry, directory)
        write_truth(directory / TRUTH, [*self.troubles, *self.events, *self.faults], self.end_ms)
        write_truth(directory / DECOYS, [*self.decoys, *self.harmless], self.end_ms)
        count = 0
        with (directory / CAPTURE).open("wb") as file:
            for until_ms, block in self.blocks():
                file.writelines(map(capture_line, block))
                count += len(block)
                told(until_ms, count)
        return count

    def blocks(self) -> Iterator[tuple[int, list[Arrival]]]:
        """Everything that arrives, in order, in blocks of some hours; each with its end."""
        deliveries = self._deliveries()
        waiting: list[Arrival] = []
        until_ms = self.start_ms
        while until_ms < self.end_ms:
            until_ms = min(until_ms + BLOCK_MS, self.end_ms)
            for delivery in deliveries:
                waiting.extend(delivery.arrivals(until_ms))
            waiting.sort(key=_when)
            split = next((n for n, a in enumerate(waiting) if a.at_ms >= until_ms), len(waiting))
            yield until_ms, waiting[:split]
            waiting = waiting[split:]

    def _deliveries(self) -> list[Delivery]:
        mishaps = mishaps_by_device([*self.troubles, *self.decoys])
        effects = effects_by_device([*self.events, *self.harmless])
        deliveries = []
        for name in sorted(self.registry.devices):
            device = self.registry.devices[name]
            site = self.registry.sites[device.site]
            life = Life(
                device,
                site,
                timing_for(self.seed, device, self.start_ms),
                seed=self.seed,
                start_ms=self.start_ms,
                befalls=Circumstances(
                    mishaps.get(name, ()),
                    effects.get(name, ()),
                    [fault for fault in self.faults if fault.device == name],
                ),
            )
            deliveries.append(Delivery(life, site.province, seed=self.seed, start_ms=self.start_ms))
        return deliveries


def capture_line(arrival: Arrival) -> bytes:
    """Its line in a capture file."""
    line: dict[str, object] = {"at": arrival.at_ms, "topic": arrival.topic}
    try:
        line["payload"] = arrival.payload.decode("utf-8")
    except UnicodeDecodeError:
        line["payload_b64"] = base64.b64encode(arrival.payload).decode("ascii")
    if arrival.retained:
        line["retained"] = True
    return _ENCODER.encode(line) + b"\n"


def _when(arrival: Arrival) -> int:
    return arrival.at_ms

"""One run of a simulated fleet: its devices, faults and steps in order of event time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devices.registry import Registry
from simulators.facility import Event, effects_by_device
from simulators.facility_placement import place_events
from simulators.faults import Fault
from simulators.feed import Feed, Step, timing_for
from simulators.identity import Identity
from simulators.placement import place
from simulators.scenario import Scenario
from simulators.troubles import Trouble, mishaps_by_device, write_truth
from simulators.troubles_placement import place_troubles

FOR_EVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Run:
    """The same seed, registry, scenario, start and end give the same steps and faults, always."""

    feeds: dict[str, Feed]
    faults: list[Fault]
    troubles: list[Trouble]
    events: list[Event]
    end_ms: int | None

    @property
    def identities(self) -> dict[str, Identity]:
        """Who the devices are, by id."""
        return {name: feed.identity for name, feed in self.feeds.items()}

    @property
    def fault_count(self) -> int:
        """Lines of the truth file."""
        return len(self.faults) + len(self.troubles) + len(self.events)

    def steps(self) -> Iterator[Step]:
        """Every step of every device in order of time, devices in order of id at one time."""
        return heapq.merge(*(feed.steps() for feed in self.feeds.values()), key=_order)

    def write_truth(self, file: Path) -> None:
        """Write the truth file: JSON lines, a fault each, in order of start and name."""
        end_ms = FOR_EVER_MS if self.end_ms is None else self.end_ms
        write_truth(file, [*self.faults, *self.troubles, *self.events], end_ms)


def _order(step: Step) -> int:
    return step.at_ms


def prepare(
    registry: Registry,
    scenario: Scenario,
    *,
    seed: int,
    start_ms: int,
    end_ms: int | None,
) -> Run:
    """A run of a whole registry. Raises ScenarioError where the scenario does not fit it.

    end_ms: faults that would begin later are left out, one that would last longer ends there.
    """
    timings = {
        name: timing_for(seed, device, start_ms) for name, device in registry.devices.items()
    }
    faults = place(scenario, registry, seed=seed, start_ms=start_ms, timings=timings)
    troubles = place_troubles(scenario, registry, seed=seed, start_ms=start_ms)
    events = place_events(scenario, registry, seed=seed, start_ms=start_ms)
    if end_ms is not None:
        events = [event for event in events if event.start_ms < end_ms]
        troubles = [trouble for trouble in troubles if trouble.start_ms < end_ms]
        faults = [fault for fault in faults if fault.start_ms < end_ms]
    faults.sort(key=lambda fault: (fault.start_ms, fault.fault))
    mishaps = mishaps_by_device(troubles)
    effects = effects_by_device(events)
    feeds = {
        name: Feed(
            device,
            registry.sites[device.site],
            seed,
            start_ms,
            end_ms,
            timings[name],
            [fault for fault in faults if fault.device == name],
            mishaps.get(name, ()),
            effects.get(name, ()),
        )
        for name, device in sorted(registry.devices.items())
    }
    if end_ms is not None:
        faults = [fault.cut_at(end_ms) for fault in faults]
    return Run(feeds, faults, troubles, events, end_ms)

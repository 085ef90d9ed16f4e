"""Gives the faults of a scenario their devices and times in one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devices.kinds import KINDS, Metric
from devices.registry import Device, Registry
from simulators.failure_modes import MODES
from simulators.faults import Cause, Fault, How, default_cause
from simulators.group_modes import GROUP_MODES
from simulators.scenario import FACILITY_TYPES, Entry, Scenario, ScenarioError
from simulators.world.chance import stream


@dataclass(frozen=True, slots=True)
class Timing:
    """When a device reports: first_ms, first_ms + interval_ms, and so on."""

    first_ms: int
    interval_ms: int

    def at_or_after(self, at_ms: int) -> int:
        """Time of the first round at or after a time."""
        behind = max(0, at_ms - self.first_ms)
        return self.first_ms + -(-behind // self.interval_ms) * self.interval_ms


def place(
    scenario: Scenario,
    registry: Registry,
    *,
    seed: int,
    start_ms: int,
    timings: Mapping[str, Timing],
) -> list[Fault]:
    """The scenario's faults on this registry's devices, a pure function of its arguments.

    start_ms: event time of the run's start. A fault begins at the first round that it touches
    and ends at the first that it leaves alone. Raises ScenarioError where a device or metric
    does not exist, or a fault is shorter than its device's interval.
    """
    faults: list[Fault] = []
    taken: set[str] = set()
    for number, entry in enumerate(scenario.entries, 1):
        if entry.type in (*MODES, *GROUP_MODES, *FACILITY_TYPES):
            continue  # simulators.troubles_placement, simulators.facility_placement
        where = f"{scenario.source}: fault {number} ({entry.fault})"
        chosen = _choose(entry, registry, taken, seed, where)
        taken.update(device.device for device in chosen)
        for nth, device in enumerate(chosen, 1):
            name = entry.fault if len(chosen) == 1 else f"{entry.fault}.{nth}"
            faults.append(_place_one(entry, name, device, start_ms, timings[device.device], where))
    return faults


def _choose(
    entry: Entry, registry: Registry, taken: set[str], seed: int, where: str
) -> list[Device]:
    if entry.device:
        if entry.device not in registry.devices:
            raise ScenarioError(f"{where}: device {entry.device!r} is not in the registry")
        return [registry.devices[entry.device]]
    candidates = [
        device
        for name, device in sorted(registry.devices.items())
        if name not in taken and _fits(entry, device, registry)
    ]
    if len(candidates) < entry.count:
        asked = ", ".join(f"{key} {value}" for key, value in entry.select.items()) or "any"
        raise ScenarioError(
            f"{where}: select asks for {entry.count} of {asked}; the registry has "
            f"{len(candidates)} that no earlier fault has taken"
        )
    return stream(seed, "scenario", entry.fault).sample(candidates, entry.count)


def _fits(entry: Entry, device: Device, registry: Registry) -> bool:
    facts = {
        "kind": device.kind,
        "site": device.site,
        "province": registry.province_of(device.device),
    }
    if any(facts[key] != value for key, value in entry.select.items()):
        return False
    return entry.metric is None or entry.metric in KINDS[device.kind].metrics


def _place_one(
    entry: Entry, name: str, device: Device, start_ms: int, timing: Timing, where: str
) -> Fault:
    metric = _metric(entry, device, where)
    first_ms, end_ms = _window(entry, device, start_ms, timing, where)
    options = entry.options
    usual = default_cause(device.kind, metric, entry.type)
    how: How = "mute" if options.get("how") == "mute" else "disconnect"
    return Fault(
        fault=name,
        type=entry.type,
        device=device.device,
        site=device.site,
        kind=device.kind,
        metric=entry.metric,
        start_ms=first_ms,
        end_ms=end_ms,
        truth=Cause(options.get("nature", usual.nature), options.get("cause", usual.cause)),
        size=entry.size,
        value=options.get("value"),
        how=how,
        payload=options.get("payload", "any"),
        copies=int(options.get("copies", 1)),
    )


def _metric(entry: Entry, device: Device, where: str) -> Metric | None:
    if entry.metric is None:
        return None
    metric = KINDS[device.kind].metrics.get(entry.metric)
    if metric is None:
        raise ScenarioError(f"{where}: metric {entry.metric!r} is none of kind {device.kind}")
    if metric.is_bool and entry.type != "stuck":
        raise ScenarioError(f"{where}: metric {entry.metric!r} is yes or no; it can only be stuck")
    return metric


def _window(
    entry: Entry, device: Device, start_ms: int, timing: Timing, where: str
) -> tuple[int, int]:
    """The first round that the fault touches, and the first after it that it leaves alone."""
    origin_ms = timing.first_ms if entry.start.in_rounds else start_ms
    begins_ms = origin_ms + entry.start.ms(timing.interval_ms)
    first_ms = timing.at_or_after(begins_ms)
    until_ms = first_ms if entry.duration.in_rounds else begins_ms
    end_ms = timing.at_or_after(until_ms + entry.duration.ms(timing.interval_ms))
    if end_ms <= first_ms:
        raise ScenarioError(
            f"{where}: duration ends before a round of {device.device}, "
            f"which reports every {timing.interval_ms / 1000:g} s"
        )
    return first_ms, end_ms

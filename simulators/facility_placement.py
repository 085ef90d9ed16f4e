"""Gives the facility events of a scenario their devices: faults of the world and of sensors."""

from __future__ import annotations

from collections.abc import Sequence

from devices.registry import Device, Registry
from simulators.facility import Event
from simulators.facility_decoys import DECOYS
from simulators.facility_faults import CONDITIONS, OWN, SENSORS
from simulators.facility_schedule import effects_of
from simulators.facility_sorts import Sort
from simulators.faults import Cause
from simulators.scenario import FACILITY_TYPES, Entry, Scenario, ScenarioError
from simulators.world.chance import stream


def place_events(
    scenario: Scenario, registry: Registry, *, seed: int, start_ms: int
) -> list[Event]:
    """The scenario's events at facilities of this registry, a function of its arguments.

    start_ms: event time of the run's start. Raises ScenarioError where a device does not exist, or
    none is left to which the type can happen.
    """
    events: list[Event] = []
    taken: set[str] = set()
    for number, entry in enumerate(scenario.entries, 1):
        if entry.type not in FACILITY_TYPES:
            continue
        where = f"{scenario.source}: fault {number} ({entry.fault})"
        chosen = _choose(entry, registry, taken, seed, where)
        taken.update(device.device for device in chosen)
        for nth, device in enumerate(chosen, 1):
            name = entry.fault if len(chosen) == 1 else f"{entry.fault}.{nth}"
            events.append(_event(entry, name, device, seed, start_ms))
    return events


def _sort_of(entry: Entry, device: Device) -> Sort | None:
    """How the entry's type happens to a device; None where it cannot."""
    for sort in (*CONDITIONS, *OWN, *DECOYS, *SENSORS):
        named = entry.metric is None or entry.metric == sort.metric
        if sort.type == entry.type and device.kind in sort.kinds and sort.fits(device) and named:
            return sort
    return None


def _choose(
    entry: Entry, registry: Registry, taken: set[str], seed: int, where: str
) -> Sequence[Device]:
    of = entry.type if entry.metric is None else f"{entry.type} of {entry.metric}"
    if entry.device:
        device = registry.devices.get(entry.device)
        if device is None:
            raise ScenarioError(f"{where}: device {entry.device!r} is not in the registry")
        if _sort_of(entry, device) is None:
            raise ScenarioError(f"{where}: {of} cannot happen to {device.device} ({device.kind})")
        return [device]
    fitting = [
        device
        for name, device in sorted(registry.devices.items())
        if name not in taken and _sort_of(entry, device) and _selected(entry, device, registry)
    ]
    if len(fitting) < entry.count:
        raise ScenarioError(
            f"{where}: select asks for {entry.count}; {len(fitting)} devices of the registry that "
            f"no earlier fault has taken can have {of}"
        )
    return stream(seed, "scenario", entry.fault).sample(fitting, entry.count)


def _selected(entry: Entry, device: Device, registry: Registry) -> bool:
    province = registry.province_of(device.device)
    facts = {"kind": device.kind, "site": device.site, "province": province}
    return all(facts[key] == value for key, value in entry.select.items())


def _event(entry: Entry, name: str, device: Device, seed: int, start_ms: int) -> Event:
    sort = _sort_of(entry, device)
    assert sort is not None
    interval_ms = round(device.interval_s * 1000)
    begins_ms = start_ms + entry.start.ms(interval_ms)
    ends_ms = begins_ms + max(1, entry.duration.ms(interval_ms))
    parts = sort.parts(stream(seed, "scenario", name))
    nature = entry.options.get("nature", sort.truth.nature)
    return Event(
        fault=name,
        type=sort.type,
        truth=Cause(nature, entry.options.get("cause", sort.truth.cause)),
        scope=("device", device.device),
        devices=(device.device,),
        sites=(device.site,),
        metric=sort.shown(parts),
        start_ms=begins_ms,
        end_ms=ends_ms + round(sort.settles_s * 1000),
        effects={device.device: effects_of(parts, begins_ms, ends_ms)},
        sigmas=next((part.sigmas for part in parts if part.sigmas is not None), None),
    )

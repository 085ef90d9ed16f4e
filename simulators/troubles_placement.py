"""Gives the troubles of a scenario their sites: failures of links, sites, probes and groups."""

from __future__ import annotations

from collections.abc import Mapping

from devices.registry import Registry
from simulators.failure_modes import MODES
from simulators.group_modes import GROUP_MODES
from simulators.hits import trouble_of
from simulators.premises import PROBE, Premises, premises
from simulators.scenario import Entry, Scenario, ScenarioError
from simulators.troubles import Trouble
from simulators.world.chance import stream


def place_troubles(
    scenario: Scenario, registry: Registry, *, seed: int, start_ms: int
) -> list[Trouble]:
    """The scenario's troubles in this registry, a function of its arguments.

    start_ms: event time of the run's start. Raises ScenarioError where a device or group does
    not exist or cannot have the trouble.
    """
    everyone = premises(registry, seed)
    troubles: list[Trouble] = []
    taken: set[str] = set()
    for number, entry in enumerate(scenario.entries, 1):
        where = f"{scenario.source}: fault {number} ({entry.fault})"
        if entry.type in GROUP_MODES:
            troubles += _group(entry, everyone, seed, start_ms, where)
        elif entry.type in MODES:
            chosen = _choose(entry, everyone, registry, taken, seed, where)
            taken.update(at.name for at in chosen)
            for nth, at in enumerate(chosen, 1):
                name = entry.fault if len(chosen) == 1 else f"{entry.fault}.{nth}"
                troubles.append(_single(entry, name, at, seed, start_ms))
    return troubles


def _window(entry: Entry, interval_s: float, start_ms: int) -> tuple[int, int]:
    interval_ms = round(interval_s * 1000)
    begins_ms = start_ms + entry.start.ms(interval_ms)
    return begins_ms, begins_ms + entry.duration.ms(interval_ms)


def _single(entry: Entry, name: str, at: Premises, seed: int, start_ms: int) -> Trouble:
    mode = MODES[entry.type]
    window = _window(entry, at.probes[0].interval_s, start_ms)
    hit = mode.build(at, *window, stream(seed, "scenario", name))
    return trouble_of(mode, name, mode.scope_of(at, hit), hit, [at], *window)


def _group(
    entry: Entry, everyone: Mapping[str, Premises], seed: int, start_ms: int, where: str
) -> list[Trouble]:
    mode = GROUP_MODES[entry.type]
    groups = mode.members(everyone)
    members = groups.get(entry.group)
    if not members:
        known = ", ".join(sorted(groups)) or "none in this registry"
        raise ScenarioError(f"{where}: group is {entry.group!r}; it must be one of {known}")
    window = _window(entry, members[0].devices[0].interval_s, start_ms)
    draw = stream(seed, "scenario", entry.fault)
    return mode.troubles(entry.fault, entry.group, members, window, draw)


def _choose(
    entry: Entry,
    everyone: Mapping[str, Premises],
    registry: Registry,
    taken: set[str],
    seed: int,
    where: str,
) -> list[Premises]:
    mode = MODES[entry.type]
    if entry.device:
        if entry.device not in registry.devices:
            raise ScenarioError(f"{where}: device {entry.device!r} is not in the registry")
        at = everyone[registry.devices[entry.device].site]
        if not mode.fits(at):
            raise ScenarioError(f"{where}: {entry.type} cannot happen at site {at.name}: {NEEDS}")
        return [at]
    fitting = [
        at
        for at in everyone.values()
        if at.name not in taken and mode.fits(at) and _selected(entry, at)
    ]
    if len(fitting) < entry.count:
        raise ScenarioError(
            f"{where}: select asks for {entry.count}; {len(fitting)} sites of the registry that no "
            f"earlier fault has taken fit: {NEEDS}"
        )
    return stream(seed, "scenario", entry.fault).sample(fitting, entry.count)


NEEDS = "it needs a probe, and the link or second uplink that the fault is about"


def _selected(entry: Entry, at: Premises) -> bool:
    facts = {"kind": PROBE, "site": at.name, "province": at.site.province}
    return all(facts[key] == value for key, value in entry.select.items())

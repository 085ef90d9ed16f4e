"""What the options of `govsense simulate` name: a time, a registry, a world."""

from __future__ import annotations

import argparse
from datetime import datetime

from devices.registry import Registry
from devices.registry_files import read_registry
from devices.sample import national_sample
from simulators.everything import World, season_start_ms
from simulators.made_country import made_country
from simulators.scenario import parse_duration_ms, read_scenario
from simulators.selection import at_interval, limited

WORLD_DAYS = 14.0
WORLD_SITES = 100
DEVICES_A_SITE = 4


class CallError(Exception):
    """The options do not fit together; the text says how to call instead."""


def time_of(text: str) -> int:
    """Event time of --start, milliseconds since 1970 UTC. CallError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise CallError(f"--start is {text!r}; it must be like 2026-03-02T00:00:00Z") from exc
    if moment.tzinfo is None:
        raise CallError(f"--start is {text!r}; it needs Z or an offset such as +07:00")
    return round(moment.timestamp() * 1000)


def registry_of(args: argparse.Namespace) -> Registry:
    """The devices of --sites, as few and as quick as asked for. CallError where there is none."""
    registry = read_registry(args.sites) if args.sites else national_sample()
    if args.limit is not None:
        registry = limited(registry, args.limit, seed=args.seed)
    if args.interval_s is not None:
        registry = at_interval(registry, args.interval_s)
    if not registry.devices:
        raise CallError("the registry holds no device")
    return registry


def world_of(args: argparse.Namespace) -> World:
    """The world that is asked for; of the registry in --sites where that is no number."""
    start_ms = season_start_ms(args.seed) if args.start is None else time_of(args.start)
    length_ms = round((args.days or WORLD_DAYS) * 86_400_000)
    if args.duration:
        length_ms = parse_duration_ms(args.duration, "--duration")
    registry, end_ms = _world_registry(args), start_ms + length_ms
    if args.world == "everything":
        return World.of(registry, seed=args.seed, start_ms=start_ms, end_ms=end_ms)
    scenario = read_scenario(args.scenario)
    return World.of_scenario(registry, scenario, seed=args.seed, start_ms=start_ms, end_ms=end_ms)


def _world_registry(args: argparse.Namespace) -> Registry:
    counted = [str(path) for path in args.sites or [str(WORLD_SITES)]]
    if not all(text.isdecimal() for text in counted):
        return registry_of(args)
    try:
        return made_country(
            args.seed, int(counted[-1]), args.devices or DEVICES_A_SITE * int(counted[-1])
        )
    except ValueError as exc:
        raise CallError(f"--sites and --devices: {exc}") from exc

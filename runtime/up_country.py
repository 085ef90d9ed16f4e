"""The country that `govsense up --simulate` plays, and whether its scenario can be played."""

from __future__ import annotations

from pathlib import Path

from devices.registry import Registry
from devices.registry_files import read_registry
from devices.sample import national_sample
from simulators.run import prepare
from simulators.scenario import ScenarioError, read_scenario
from simulators.selection import at_interval


def country(sites: Path | None, interval_s: float) -> Registry:
    """The registry in a file or directory, or the national sample, with rounds so often."""
    return at_interval(read_registry([sites]) if sites else national_sample(), interval_s)


def try_scenario(
    name: str, *, sites: Path | None, interval_s: float, seed: int, start_ms: int
) -> None:
    """Raises ScenarioError, before anything runs, where the simulation could not be started."""
    scenario = read_scenario(name)
    try:
        prepare(country(sites, interval_s), scenario, seed=seed, start_ms=start_ms, end_ms=None)
    except ScenarioError as exc:
        hint = f"with rounds every {interval_s:g} s; perhaps a shorter --interval-s fits"
        raise ScenarioError(f"{exc} ({hint})") from exc

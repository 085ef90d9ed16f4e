"""Small hand-made worlds, with what is true in them and what is said of them."""

from __future__ import annotations

from typing import Any

from simulators.scorecard.files import BIN_MS, AlertLine, BinRow, Fault, IncidentLine, Place, Scope
from simulators.scorecard.files import World as World

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_790_000_100_000 // DAY * DAY
SITES = ("s1", "s2", "s3", "s4")


def world(*, days: float = 2) -> World:
    """Four sites with a probe (p1..) and a sensor (e1..) each; s1 to s3 in province LA-LP."""
    devices = {}
    for number, site in enumerate(SITES, 1):
        devices[f"p{number}"] = Place(site, "connectivity-probe", MINUTE)
        devices[f"e{number}"] = Place(site, "environment", 5 * MINUTE)
    groups = {("province", "LA-LP"): frozenset(SITES[:3]), ("feeder", "F1"): frozenset(SITES[:3])}
    made = World(devices, groups, start_ms=START, end_ms=START + int(days * DAY))
    made.bins = bins(made)
    return made


def bins(made: World, down: dict[str, list[tuple[int, int]]] | None = None) -> list[BinRow]:
    """Every bin of a world: DOWN where it lies in a time that is given, else UP."""
    rows = []
    for site in SITES:
        for start in range(made.start_ms, made.end_ms, BIN_MS):
            spans = (down or {}).get(site, [])
            is_down = any(s <= start and start + BIN_MS <= e for s, e in spans)
            rows.append(BinRow(site, start, "DOWN" if is_down else "UP", False))
    return rows


def fault(name: str, start: int, end: int, **facts: Any) -> Fault:
    """A fault at START + start; on the sensor e1 unless `facts` say else."""
    usual: dict[str, Any] = {
        "type": "spike",
        "nature": "data_quality",
        "scope": Scope("device", "e1"),
        "cause": "sensor",
        "devices": ("e1",),
        "sites": ("s1",),
        "metric": "temperature_c",
    }
    return Fault(fault=name, start=START + start, end=START + end, **(usual | facts))


def cut(name: str, start: int, end: int, *sites: str, **facts: Any) -> Fault:
    """An outage of whole sites."""
    numbers = [site[1:] for site in sites]
    usual: dict[str, Any] = {
        "type": "last-mile-cut",
        "nature": "connectivity",
        "scope": Scope("site", sites[0]) if len(sites) == 1 else Scope("province", "LA-LP"),
        "cause": "last-mile" if len(sites) == 1 else "backbone",
        "devices": tuple(f"{kind}{n}" for n in numbers for kind in "pe"),
        "sites": sites,
        "metric": None,
        "down": True,
    }
    return fault(name, start, end, **(usual | facts))


def alert(name: str, at: int, ended: int | None, **facts: Any) -> list[AlertLine]:
    """The lines of an alert that fires at START + at and is resolved; on e1 unless told else."""
    usual: dict[str, Any] = {
        "device": "e1",
        "site": "s1",
        "metric": "temperature_c",
        "rule": "jump",
        "nature": "data_quality",
        "severity": "warning",
        "event_time": START + at,
    }
    fields = usual | facts
    lines = [AlertLine(at=START + at, alert=name, state="firing", **fields)]
    if ended is not None:
        end = fields | {"event_time": START + ended}
        lines.append(AlertLine(at=START + ended, alert=name, state="resolved", **end))
    return lines


def incident(
    name: str, began: int, ended: int | None, *sites: str, cause: str, **facts: Any
) -> list[IncidentLine]:
    """The lines of an incident that is opened three minutes after it began, and resolved."""
    fields: dict[str, Any] = {
        "incident": name,
        "scope": Scope("site", sites[0]) if len(sites) == 1 else Scope("province", "LA-LP"),
        "cause": cause,
        "phase": "final",
        "started_at": START + began,
        "sites": sites,
        "devices": tuple(f"p{site[1:]}" for site in sites),
    }
    fields |= facts
    lines = [IncidentLine(at=START + began + 3 * MINUTE, state="open", ended_at=None, **fields)]
    if ended is not None:
        end = START + ended
        lines.append(IncidentLine(at=end, state="resolved", ended_at=end, **fields))
    return lines

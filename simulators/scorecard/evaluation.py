"""One world's score: reads its files and adds up every table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devices.registry import Registry
from devices.registry_files import read_registry
from simulators.scorecard.alarms import alarms_of
from simulators.scorecard.arrivals import Late, arrivals
from simulators.scorecard.detection import Judged, score_detection
from simulators.scorecard.files import (
    DAY_MS,
    AlertLine,
    Fault,
    IncidentLine,
    Place,
    World,
    read_bins,
    read_lines,
)
from simulators.scorecard.gates import read_gates
from simulators.scorecard.incidents import score_incidents
from simulators.scorecard.lifecycle import score_lifecycle
from simulators.scorecard.outages import score_outages
from simulators.scorecard.references import chance, records
from simulators.scorecard.tallies import Score

REFERENCE_SEED = 1


@dataclass(frozen=True)
class Files:
    """Where the files of one world are; None for what there is not."""

    registry: Sequence[Path]
    truth: Path
    alerts: Path
    incidents: Path | None = None
    bins: Path | None = None
    decoys: Path | None = None
    capture: Path | None = None
    bins_without_backfill: Path | None = None


def read_world(files: Files) -> World:
    """The world that the files hold. Raises EvaluationError, RegistryError or OSError."""
    registry = read_registry(files.registry)
    late = files.bins_without_backfill
    world = World(
        devices=_places(registry),
        site_groups=site_groups(registry),
        faults=read_lines(files.truth, Fault),
        decoys=read_lines(files.decoys, Fault) if files.decoys else [],
        alerts=read_lines(files.alerts, AlertLine),
        incidents=read_lines(files.incidents, IncidentLine) if files.incidents else [],
        bins=read_bins(files.bins) if files.bins else [],
        bins_without_backfill=read_bins(late) if late else None,
    )
    world.bound()
    return world


def evaluate(files: Files) -> Score:
    """The score of one world. Raises EvaluationError, RegistryError or OSError."""
    world = read_world(files)
    score = score_of(world)
    if files.capture:
        late = Late(world.devices)
        arrived = late.watching(arrivals(files.capture, world.devices))
        seen, moments = records(arrived, world.devices)
        pages = late.pages(alarms_of(world), world)
        score.row("lifecycle", "alerts").add(backfill_judged=1, pages_by_backfill=pages)
        count = sum(line.state == "firing" for line in world.alerts)
        gates = read_gates()
        for name, alarms in (
            ("seen", seen),
            ("random", chance(moments, count, world.devices, REFERENCE_SEED)),
        ):
            score_detection(score, Judged(world, alarms), gates, detector=name)
    return score


def score_of(world: World) -> Score:
    """The score of a world, without reference detectors."""
    score = Score()
    score.worlds = 1
    score.days = (world.end_ms - world.start_ms) / DAY_MS
    score.device_days = world.device_days
    score.site_days = len(world.devices_at_sites) * score.days
    judged = Judged(world, alarms_of(world))
    score_detection(score, judged, read_gates())
    score_lifecycle(score, world, judged)
    score_incidents(score, world, judged)
    score_outages(score, world, judged)
    return score


def _places(registry: Registry) -> dict[str, Place]:
    return {
        name: Place(device.site, device.kind, round(device.interval_s * 1000))
        for name, device in registry.devices.items()
    }


def site_groups(registry: Registry) -> dict[tuple[str, str], frozenset[str]]:
    """The sites of every province, district, provider, feeder, link type and uplink.

    An uplink is a provider in a province. A site with two uplinks is of the first one's provider.
    """
    members: dict[tuple[str, str], set[str]] = {}
    for name, site in registry.sites.items():
        first = site.uplinks[0]
        keys = [
            ("province", site.province),
            ("district", f"{site.province}/{site.district}"),
            ("provider", first.provider),
            ("link-type", first.link_type),
            ("uplink", f"{site.province}/{first.provider}"),
        ]
        for key in keys + [("feeder", site.feeder)] * bool(site.feeder):
            members.setdefault(key, set()).add(name)
        members.setdefault(("platform", "platform"), set()).add(name)
    return {key: frozenset(sites) for key, sites in members.items()}

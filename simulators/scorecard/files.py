"""What an evaluation reads: truth, alerts, incidents and bins, as the files hold them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

BIN_MS = 300_000
DAY_MS = 86_400_000

GROUPS = ("district", "province", "provider", "feeder", "link-type", "uplink", "platform")


class EvaluationError(Exception):
    """A file cannot be evaluated; the text names file, line, what it holds and what it must."""


class Scope(msgspec.Struct, frozen=True):
    """How far a fault or an incident reaches."""

    type: str
    id: str


class Dark(msgspec.Struct, frozen=True):
    """A time in which one site could not be reached at all."""

    site: str
    start: int
    end: int


class Fault(msgspec.Struct, frozen=True):
    """One labelled fault, or a decoy. start, end: ms since 1970 UTC. metric: None for all.

    down: its sites cannot be reached at all, at the times in `dark` or, where that is empty, while
    it lasts; None where the file does not say.
    sigmas: its size in standard deviations of the metric, where the file says.
    """

    fault: str
    type: str
    nature: str
    scope: Scope
    cause: str
    devices: tuple[str, ...]
    sites: tuple[str, ...]
    metric: str | None
    start: int
    end: int
    down: bool | None = None
    dark: tuple[Dark, ...] = ()
    sigmas: float | None = None


class AlertLine(msgspec.Struct, frozen=True):
    """One change of an alert. at: when the platform knew; event_time: when it happened.

    device, site, metric: "" or None where it is about none.
    """

    at: int
    alert: str
    state: str
    device: str | None
    site: str | None
    metric: str | None
    rule: str
    nature: str
    severity: str
    event_time: int
    incident: str | None = None
    backfilled: bool = False


class IncidentLine(msgspec.Struct, frozen=True):
    """One change of an incident."""

    at: int
    incident: str
    state: str
    scope: Scope
    cause: str
    phase: str
    started_at: int
    ended_at: int | None
    sites: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    evidence: tuple[Any, ...] = ()


class BinRow(msgspec.Struct, frozen=True):
    """Five minutes of a site, as they were last published."""

    site: str
    start: int
    state: str
    on_backup: bool


@dataclass(frozen=True)
class Place:
    """What the registry says of a device: its site, kind, and interval in milliseconds."""

    site: str
    kind: str
    interval_ms: int


@dataclass
class World:
    """One evaluated world: what was true, and what was said of it. Times in ms since 1970 UTC.

    site_groups: the sites of every group that has a name, by scope type and id.
    bins_without_backfill: bins of the same capture as if nothing late had come, where somebody
    made them.
    """

    devices: dict[str, Place]
    site_groups: dict[tuple[str, str], frozenset[str]]
    faults: list[Fault] = field(default_factory=list)
    decoys: list[Fault] = field(default_factory=list)
    alerts: list[AlertLine] = field(default_factory=list)
    incidents: list[IncidentLine] = field(default_factory=list)
    bins: list[BinRow] = field(default_factory=list)
    bins_without_backfill: list[BinRow] | None = None
    start_ms: int = 0
    end_ms: int = 0

    @property
    def device_days(self) -> float:
        """Devices times days."""
        return len(self.devices) * (self.end_ms - self.start_ms) / DAY_MS

    @cached_property
    def devices_at_sites(self) -> dict[str, list[str]]:
        """The devices of every site that has one."""
        at: dict[str, list[str]] = {}
        for device, place in self.devices.items():
            at.setdefault(place.site, []).append(device)
        return at

    def bound(self) -> None:
        """Set start and end from what the files hold: bins first, else alerts and faults."""
        starts = [row.start for row in self.bins]
        if starts:
            self.start_ms, self.end_ms = min(starts), max(starts) + BIN_MS
            return
        times = [t for f in self.faults + self.decoys for t in (f.start, f.end)]
        times += [line.at for line in self.alerts] + [line.at for line in self.incidents]
        self.start_ms, self.end_ms = min(times, default=0), max(times, default=0)


Line = TypeVar("Line", Fault, AlertLine, IncidentLine)


def read_lines(path: Path, shape: type[Line]) -> list[Line]:
    """The lines of a JSON-lines file. Raises EvaluationError with the file and the line."""
    decoder = msgspec.json.Decoder(shape)
    found = []
    for number, text in _texts(path):
        try:
            found.append(decoder.decode(text))
        except msgspec.DecodeError as exc:
            raise EvaluationError(f"{path}:{number}: {exc}: {text[:120]}") from exc
    return found


def read_bins(path: Path) -> list[BinRow]:
    """The rows of a file of bins. Raises EvaluationError with the file and the line."""
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        needed = {"site", "bin_start", "state", "on_backup"}
        if not needed <= set(rows.fieldnames or ()):
            raise EvaluationError(
                f"{path}: has the columns {rows.fieldnames}; it needs {', '.join(sorted(needed))}"
            )
        for number, row in enumerate(rows, 2):
            if not row["bin_start"].isdecimal():
                raise EvaluationError(
                    f"{path}:{number}: bin_start is {row['bin_start']!r}; it must be "
                    "milliseconds since 1970"
                )
            on_backup = row["on_backup"].lower() in ("1", "true")
            found.append(BinRow(row["site"], int(row["bin_start"]), row["state"], on_backup))
    return found


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line

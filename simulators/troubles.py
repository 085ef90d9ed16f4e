"""Troubles: one fault of the world with everyone that it reaches, and its line of truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from simulators.mishaps import Mishap


class Dark(NamedTuple):
    """A time in which a site could not be reached at all. end_ms: its link and power are back."""

    site: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault: on a device, a site, or everything that shares something.

    scope: type and id as in incidents. mishaps: by device. dark: when which site was unreachable;
    on_backup: sites that went on over their other uplink. more: further keys of the truth line.
    """

    fault: str
    type: str
    nature: str
    cause: str
    scope: tuple[str, str]
    start_ms: int
    end_ms: int
    mishaps: Mapping[str, Sequence[Mishap]]
    sites: Sequence[str]
    devices: Sequence[str]
    dark: Sequence[Dark] = ()
    on_backup: Sequence[str] = ()
    metric: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def truth_line(self, run_end_ms: int) -> str:
        """Its line in the truth file, a JSON object, without the newline; cut at the run's end."""
        scope_type, scope_id = self.scope
        line = {
            "fault": self.fault,
            "type": self.type,
            "nature": self.nature,
            "scope": {"type": scope_type, "id": scope_id},
            "cause": self.cause,
            "devices": sorted(self.devices),
            "sites": sorted(self.sites),
            "metric": self.metric,
            "start": self.start_ms,
            "end": min(self.end_ms, run_end_ms),
            "down": bool(self.dark),
            "dark": [
                {"site": dark.site, "start": dark.start_ms, "end": min(dark.end_ms, run_end_ms)}
                for dark in self.dark
                if dark.start_ms < run_end_ms
            ],
            "on_backup": sorted(self.on_backup),
        }
        return json.dumps(line | dict(self.more), separators=(",", ":"), ensure_ascii=False)


def mishaps_by_device(troubles: Iterable[Trouble]) -> dict[str, list[Mishap]]:
    """Everything that happens to each device, in order of time."""
    found: dict[str, list[Mishap]] = {}
    for trouble in troubles:
        for device, mishaps in trouble.mishaps.items():
            found.setdefault(device, []).extend(mishaps)
    for mishaps in found.values():
        mishaps.sort(key=lambda mishap: (mishap.start_ms, mishap.end_ms, mishap.what))
    return found


class Labelled(Protocol):
    """What has a line in the truth file."""

    @property
    def fault(self) -> str:
        """Its name, unique in the run."""

    @property
    def start_ms(self) -> int:
        """When it begins, event time."""

    def truth_line(self, run_end_ms: int) -> str:
        """Its line, without the newline; cut at the run's end."""


def write_truth(file: Path, labelled: Iterable[Labelled], run_end_ms: int) -> None:
    """Write faults of any sort as JSON lines, in order of start and name."""
    lines = [(one.start_ms, one.fault, one.truth_line(run_end_ms)) for one in labelled]
    file.write_text("".join(line + "\n" for _, _, line in sorted(lines)), "utf-8")

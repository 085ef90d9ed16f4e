"""What happens at a facility: one fault or decoy with its devices, its effects and its truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from simulators.faults import Cause
from simulators.world.effects import Effect


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to devices of facilities at start_ms <= time < end_ms.

    fault: its name, unique in a run. scope: type and id. metric: where it shows first, None where
    in several. truth: its nature and cause. effects: by device, what the models and sensors feel;
    the world may need longer to settle, until end_ms. sigmas: how far the metric is moved, in
    standard deviations.
    """

    fault: str
    type: str
    truth: Cause
    scope: tuple[str, str]
    devices: tuple[str, ...]
    sites: tuple[str, ...]
    metric: str | None
    start_ms: int
    end_ms: int
    effects: Mapping[str, tuple[Effect, ...]]
    sigmas: float | None = None

    def truth_line(self, run_end_ms: int) -> str:
        """Its line in the truth file, a JSON object, without the newline; cut at the run's end."""
        kind, name = self.scope
        line: dict[str, object] = {
            "fault": self.fault,
            "type": self.type,
            "nature": self.truth.nature,
            "scope": {"type": kind, "id": name},
            "cause": self.truth.cause,
            "devices": list(self.devices),
            "sites": list(self.sites),
            "metric": self.metric,
            "start": self.start_ms,
            "end": min(self.end_ms, run_end_ms),
            "down": False,
        }
        if self.sigmas is not None:
            line["sigmas"] = round(self.sigmas, 2)
        return json.dumps(line, separators=(",", ":"))


def effects_by_device(events: Iterable[Event]) -> dict[str, list[Effect]]:
    """What all the events do, by device."""
    effects: dict[str, list[Effect]] = {}
    for event in events:
        for device, felt in event.effects.items():
            effects.setdefault(device, []).extend(felt)
    return effects

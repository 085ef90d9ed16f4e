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
    in several. truth: its nature and cause. effects: by device, what the models and sensors feel.
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

    def truth_line(self, run_end_ms: int) -> str:
        """Its line in the truth file, a JSON object, without the newline; cut at the run's end."""
        kind, name = self.scope
        line = {
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
        return json.dumps(line, separators=(",", ":"))


def effects_by_device(events: Iterable[Event]) -> dict[str, list[Effect]]:
    """What all the events do, by device."""
    effects: dict[str, list[Effect]] = {}
    for event in events:
        for device, felt in event.effects.items():
            effects.setdefault(device, []).extend(felt)
    return effects

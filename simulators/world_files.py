"""Writes a labelled world into a directory and says how far it is."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from simulators.everything import World


def write_world(world: World, directory: Path) -> int:
    """Write a world's files; the last line of output is a JSON object. Returns 0."""
    began = time.monotonic()

    def told(reached_ms: int, messages: int) -> None:
        if sys.stderr.isatty():
            day = (reached_ms - world.start_ms) / 86_400_000
            print(
                f"\r\x1b[Kday {day:.2f}, {messages} messages", end="", file=sys.stderr, flush=True
            )

    messages = world.write(directory, told)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    facts = {
        "sites": len(world.registry.sites),
        "devices": len(world.registry.devices),
        "start": datetime.fromtimestamp(world.start_ms / 1000, UTC).isoformat(),
        "faults": len(world.troubles) + len(world.events) + len(world.faults),
        "decoys": len(world.decoys) + len(world.harmless),
        "messages": messages,
        "seconds": round(time.monotonic() - began, 3),
    }
    print(json.dumps(facts))
    return 0

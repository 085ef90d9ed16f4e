"""What some conditions say besides their value: why a fridge warms, when a tank is empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from detection.told import Context, Told

Window = list[list[float]]
RECENT_INTERVALS = 3  # a switch's last word counts for so many intervals


def fridge_facts(told: Told, context: Context, window: Window) -> dict[str, Any]:
    """Why a fridge is warm: without power, with an open door, or running without cooling."""
    age_ms = RECENT_INTERVALS * context.interval_ms(told.series)
    said = {
        name: context.recent(told.series, name, told.at_ms, age_ms)
        for name in ("mains_on", "door_open", "compressor_on", "ambient_c")
    }
    facts: dict[str, Any] = {}
    if said["mains_on"] == 0:
        facts["why"] = "no-power"
    elif said["door_open"] == 1:
        facts["why"] = "door"
    elif said["compressor_on"] == 0:
        facts["why"] = "compressor"
    if said["ambient_c"] is not None:
        facts["ambient_c"] = said["ambient_c"]
    return facts


def tank_facts(told: Told, context: Context, window: Window) -> dict[str, Any]:
    """How fast the level falls, and when the tank is empty if that goes on."""
    if len(window) < 3:
        return {}
    at, level = np.array(window).T
    hours = (at - at[0]) / 3_600_000
    slope = float(np.polyfit(hours, level, 1)[0])
    facts: dict[str, Any] = {"slope_mh": slope}
    if slope < -0.01:
        facts["why"] = "falling"
        facts["left_s"] = max(0.0, told.value / -slope * 3600)
    return facts


FACTS: dict[str, Callable[[Told, Context, Window], dict[str, Any]]] = {
    "fridge-warm": fridge_facts,
    "fridge-heat": fridge_facts,
    "tank-low": tank_facts,
    "tank-dry": tank_facts,
}

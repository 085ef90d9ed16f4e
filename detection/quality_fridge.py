"""Probe outside: a fridge thermometer that suddenly shows the room while the fridge runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from detection.episodes import FIRING, PENDING
from detection.findings import Phase
from detection.series_episodes import SeriesEpisodes
from detection.told import Context, Told, say
from detection.waves import Step
from devices.kinds import KINDS

ROW = KINDS["cold-chain"].metrics["temperature_c"].row
WARM_C = 8.0
NEAR_C = 1.5  # as near to the room as two thermometers are
AWAY_C = 3.0
LEAST_ROOM_C = 14.0  # in a colder room a fridge says little about where its probe is
FASTEST_MS = 45 * 60_000  # no fridge warms up to the room faster than this
READINGS = 3
GOOD = 3


@dataclass(slots=True)
class Outside:
    """A fridge above +8 degrees, from the crossing on."""

    phase: int
    onset_ms: int
    readings: int = 0
    good: int = 0
    slow: bool = False  # it took longer than a probe does


class ProbesOutside(SeriesEpisodes[Outside]):
    """Tells a probe that was taken out from a fridge that warms: by how fast it meets the room."""

    def __init__(self) -> None:
        super().__init__(Outside)

    def read(self, told: Told, context: Context) -> Iterator[Step]:
        """What begins, fires or ends with this reading."""
        if told.row != ROW:
            return
        key = told.series, "probe-outside"
        found = self.open.get(key)
        if told.value <= WARM_C:
            if found is not None:
                yield from self._inside(key, found, told)
            return
        room = context.beside(told.series, "ambient_c", told.at_ms)
        if room is None:
            return
        if found is None:
            found = self.open[key] = Outside(PENDING, told.at_ms, slow=_unlikely(told, context))
        near = abs(told.value - room) <= NEAR_C and room >= LEAST_ROOM_C
        if found.phase == FIRING:
            if abs(told.value - room) > AWAY_C:
                yield from self._inside(key, found, told)
            return
        found.slow |= _unlikely(told, context)
        if not near:
            found.readings = 0
            found.slow |= told.at_ms - found.onset_ms > FASTEST_MS
        elif not found.slow:
            found.readings += 1
            if found.readings >= READINGS:
                found.phase = FIRING
                yield _step(found, told, "firing", room)

    def _inside(self, key: tuple[int, str], found: Outside, told: Told) -> Iterator[Step]:
        found.good += 1
        if found.phase != FIRING:
            del self.open[key]
        elif found.good >= GOOD:
            del self.open[key]
            yield _step(found, told, "clear", None)

    def holds(self, series: int, row: int) -> bool:
        """Whether the probe of that series is known to be outside."""
        found = self.open.get((series, "probe-outside"))
        return found is not None and found.phase == FIRING

    def watches(self, series: int) -> bool:
        """Whether the next reading of that series matters."""
        return (series, "probe-outside") in self.open


def _unlikely(told: Told, context: Context) -> bool:
    """Without power, or with its door open, a fridge may warm for that reason."""
    return (
        context.beside(told.series, "mains_on", told.at_ms) == 0
        or context.beside(told.series, "door_open", told.at_ms) == 1
        or (told.gap and told.before != told.before)
    )


def _step(found: Outside, told: Told, phase: Phase, room: float | None) -> Step:
    facts: dict[str, Any] = {"readings": found.readings}
    if room is not None:
        facts["ambient_c"] = room
    return say(
        told,
        "probe-outside",
        phase,
        nature="data_quality",
        severity="warning",
        onset_ms=found.onset_ms,
        value=told.value,
        expected=(2.0, WARM_C),
        facts=facts,
    )

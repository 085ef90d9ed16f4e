"""What the rules shift, noise and drift say of a reading, in the unit of its metric."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.bank import Rows
from detection.drift import BLOCK_MS
from detection.episodes import PHASES
from detection.ranges import SURE_N
from detection.rules_shift import CHANNELS, JUMP, NOISE, RECORD, ShiftRules
from detection.statistics_rows import Scored
from detection.waves import Step, Wave
from devices.kinds import METRICS


class Turn(NamedTuple):
    """What one reading did to n episodes of a rule; int8[n], bool[n], bool[n].

    accepted: the episode ends because the new level is taken as normal. fired: it was firing.
    """

    steps: NDArray[np.int8]
    accepted: NDArray[np.bool_]
    fired: NDArray[np.bool_]


class Busy(NamedTuple):
    """The k readings of a wave that are out, or whose series has an episode.

    which: intp[k], places in the wave. limit: float64[k, channels], see `ChannelLimits`.
    beyond: bool[k, channels], what is out.
    """

    which: NDArray[np.intp]
    scored: Scored
    limit: NDArray[np.float64]
    beyond: NDArray[np.bool_]


class ShiftSteps:
    """Makes the steps of the three rules."""

    def __init__(self, rules: ShiftRules) -> None:
        self._rules = rules
        self._hard = np.array([(metric.hard_min, metric.hard_max) for metric in METRICS])

    def of(
        self,
        name: str,
        n: int,
        places: NDArray[np.intp],
        wave: Wave,
        rows: Rows,
        busy: Busy,
        turn: Turn,
    ) -> Step:
        """What shift or noise (name) says of the n-th of the busy readings of a wave."""
        scored = busy.scored
        phase = PHASES[int(turn.steps[n])]
        metric = int(wave.row[n])
        verdict = self._rules.verdicts[metric]
        facts: dict[str, float | int | str] = {}
        value, expected = float(wave.value[n]), None
        if phase == "clear":
            facts["accepted"] = int(turn.accepted[n])
        elif name == "noise":
            facts["times"] = round(float(scored.stat[n, NOISE] / rows["high"][n, NOISE]), 1)
        else:
            limit = np.maximum(busy.limit[n, :NOISE], rows["bar"][n, :NOISE])
            share = scored.over[n, :NOISE] / limit
            channel = int(np.nanargmax(share))
            facts["channel"] = CHANNELS[channel]
            expected = self._expected(metric, channel, n, rows, busy)
            if channel != RECORD and (channel != JUMP or self._rules.spiky[metric]):
                seen = scored.stat[n, channel] * scored.unit[n, channel]
                value = self._plain(metric, scored.centre(n, channel) + seen)
        return Step(
            place=int(places[n]),
            phase=phase,
            nature="data_quality" if name == "noise" else verdict.nature,
            severity="info" if int(rows["n"][n]) < SURE_N else verdict.severity,
            onset_ms=int(rows[name]["onset"][n]),
            value=value,
            expected=expected,
            facts=facts,
            rule=name,
        )

    def of_drift(
        self,
        row: np.void,
        phase: int,
        place: int,
        metric: int,
        season: float,
        bound: float,
        *,
        accepted: bool,
    ) -> Step:
        """What drift says of the block of a series that has just ended. bound: see `follow`."""
        verdict = self._rules.verdicts[metric]
        clear = PHASES[phase] == "clear"
        middle = season + float(row["slow"])
        expected = (self._plain(metric, middle - bound), self._plain(metric, middle + bound))
        return Step(
            place=place,
            phase=PHASES[phase],
            nature=verdict.nature,
            severity=verdict.severity,
            onset_ms=int(row["drift"]["onset"]) - BLOCK_MS,
            value=self._plain(metric, season + float(row["block_mean"])),
            expected=None if clear else expected,
            facts={"accepted": int(accepted)} if clear else {},
            rule="drift",
        )

    def _expected(
        self, metric: int, channel: int, n: int, rows: Rows, busy: Busy
    ) -> tuple[float, float]:
        limit, unit = busy.limit[n, channel], busy.scored.unit[n, channel]
        centre = busy.scored.centre(n, channel)
        low = centre + (rows["low"][n, channel] - limit) * unit
        high = centre + (rows["high"][n, channel] + limit) * unit
        return self._plain(metric, float(low)), self._plain(metric, float(high))

    def _plain(self, metric: int, y: float) -> float:
        """Back from the metric's scale to its unit, within its hard range."""
        low, high = self._hard[metric].tolist()
        if self._rules.log[metric]:
            y = float(np.exp(min(y, 100.0)) - self._rules.offset[metric])
        return float(min(max(y, low), high))

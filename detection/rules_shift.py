"""The table of the statistical channels: rules shift and noise, and where drift is judged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.rules import HALF_STEP, Verdict, rows_of, verdict_of
from devices.kinds import METRICS

SPIKE, JUMP, STEP, RECORD, NOISE = range(5)
CHANNELS = ("spike", "jump", "step", "record", "noise")
SIDES = {"high": 1, "low": -1, "": 0}
LOG_FLOOR = 0.01  # of times and other ratios, 1 %


class ShiftRules(NamedTuple):
    """Arrays over METRICS; the second axis of tau and least is the channel.

    tau: how far beyond the range seen so far, as a share of that range, a statistic must be.
    least: and how far at least, on the metric's scale (noise: in usual bends); inf where the
    channel is off. log: judged as log(value + offset). absent: up to this value there is nothing to
    judge (no mains), -inf where every value tells something. side: 1 where only a rise is worth an
    alert, -1 where only a fall is, else 0. spike_side: likewise of single readings, where to the
    other side they are normal. week: whether days of rest differ from
    working days. any_hour: whether changes are as large at any hour, as those of a tank that its
    pump fills. spiky: whether single bad readings are normal, and are passed over. floor: the
    smallest size of a jump or step that counts as usual. confirm, dwell_ms: how many readings in a
    row, and how long, until it fires. drift: how
    far a mean of six hours must have moved, inf where that is not judged.
    """

    tau: NDArray[np.float64]
    least: NDArray[np.float64]
    log: NDArray[np.bool_]
    offset: NDArray[np.float64]
    absent: NDArray[np.float64]
    side: NDArray[np.int8]
    spike_side: NDArray[np.int8]
    week: NDArray[np.bool_]
    any_hour: NDArray[np.bool_]
    spiky: NDArray[np.bool_]
    floor: NDArray[np.float64]
    confirm: NDArray[np.int64]
    dwell_ms: NDArray[np.int64]
    drift: NDArray[np.float64]
    verdicts: dict[int, Verdict]
    applies: NDArray[np.bool_]


def read_shift() -> ShiftRules:
    """The table of the statistical channels; an empty tau turns a channel off."""
    n = len(METRICS)
    rules = ShiftRules(
        tau=np.zeros((n, len(CHANNELS))),
        least=np.full((n, len(CHANNELS)), np.inf),
        log=np.zeros(n, np.bool_),
        offset=np.zeros(n),
        absent=np.full(n, -np.inf),
        side=np.zeros(n, np.int8),
        spike_side=np.zeros(n, np.int8),
        week=np.zeros(n, np.bool_),
        any_hour=np.zeros(n, np.bool_),
        spiky=np.zeros(n, np.bool_),
        floor=np.zeros(n),
        confirm=np.ones(n, np.int64),
        dwell_ms=np.zeros(n, np.int64),
        drift=np.full(n, np.inf),
        verdicts={},
        applies=np.zeros(n, np.bool_),
    )
    for metric, cells in rows_of("shift.csv"):
        row = metric.row
        for channel, name in enumerate(CHANNELS):
            if cells[f"{name}_tau"]:
                rules.tau[row, channel] = float(cells[f"{name}_tau"])
                rules.least[row, channel] = float(cells.get(f"{name}_least") or 0)
        rules.log[row] = cells["scale"] == "log"
        rules.offset[row] = float(cells["offset"] or 0)
        rules.absent[row] = float(cells["absent"] or -np.inf)
        rules.side[row] = SIDES[cells["side"]]
        rules.spike_side[row] = SIDES[cells["spike_side"]]
        rules.week[row] = cells["week"] == "yes"
        rules.any_hour[row] = cells["any_hour"] == "yes"
        rules.spiky[row] = cells["spiky"] == "yes"
        rules.floor[row] = LOG_FLOOR if rules.log[row] else HALF_STEP[row]
        rules.confirm[row] = int(cells["confirm"])
        rules.dwell_ms[row] = int(cells["dwell_s"] or 0) * 1000
        rules.drift[row] = float(cells["drift_least"] or np.inf)
        rules.verdicts[row] = verdict_of(cells)
        rules.applies[row] = True
    return rules

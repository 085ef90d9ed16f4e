"""How far beyond its range a statistic must be to be out, and which are judged by now."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Rows
from detection.ranges import BLOCK_H, DAY_MS, SEASON_MS, SURE_N, YOUNG_MS
from detection.rules_shift import JUMP, NOISE, RECORD, SPIKE, STEP, ShiftRules
from detection.seasons import HOUR_MS
from detection.statistics_rows import HIGH, LEVELS, LOW, N
from detection.waves import Wave
from devices.kinds import METRICS, Metric

FIRST_DAY = 3.0  # more caution with changes before a whole day has been lived
FIRST_NOISE = 2.0  # times the caution with noise in youth, when its size counts in full ...
STRANGE_NOISE = 2.0  # ... and in hours whose season is not known yet
GROWN_NOISE = 4.0  # what of a range of noise that youth made is kept: its readings were not cut
LIGHT, HEAVY = 1.3, 2.6  # tails below count as normal; those beyond are not told apart
ENOUGH, ENOUGH_SHARE = 1.5, 0.5  # of the least change, and of the slowest so far: see `_enough`
SUDDEN = slice(SPIKE, JUMP + 1)  # channels that look at one reading ...
OUTLIER = 8.0  # ... which must lie so many usual sizes away: seven deviations of normal noise
RARE = [SPIKE, JUMP, NOISE]  # channels that the tails of the noise matter to
ORDINARY = np.array([10, 10, 7.5, np.inf, 2.5])  # a wider range than this has heavy tails
LASTING_FROM_S, LASTING_TO_S = 1800, 10_800  # noise that lasts so long needs less: it is ...
REACHED, LASTED = 6.8, 5.2  # ... always enough at the one and the other, no reading counts beyond 8
LASTED_SHARE = 0.25  # of what it would need else is the least, and of a young series ...
YOUNG_SHARE = 0.5  # ... what it needs in the end
ABSURD_SHARE = 0.25  # the same of a spike to what the metric is hardly ever anywhere
MOST_TAILS = np.array([9, 9, 9, 9, 1.5])  # what heavy tails make of a limit, at most


class ChannelLimits:
    """How far beyond its range each channel must be, in units; never less than 0."""

    def __init__(self, rules: ShiftRules) -> None:
        self._rules = rules
        self._tau, self._least = rules.tau.T.copy(), rules.least.T.copy()
        self._off = np.where(np.isinf(self._least), np.inf, 0.0)
        self._at_least = self._tau.copy()
        self._at_least[NOISE] *= LASTED_SHARE
        self._plausible = np.array([_plausible(metric) for metric in METRICS]).T

    def limit(self, rows: Rows, wave: Wave, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, channels], as unit, which is what a channel counts in.

        rows: the series of n readings, as `Statistics.score` left them.
        """
        rules, row = self._rules, wave.row
        tau, least = self._tau.take(row, axis=1).T, self._least.take(row, axis=1).T
        absurd = self._was_absurd(wave)
        tau[:, SPIKE] *= np.where(absurd, ABSURD_SHARE, 1)
        least[:, SPIKE] /= np.where(absurd, rows["least"], 1)
        return _limit(rows, tau, least, unit, rules.side[row] > 0, rules.spike_side[row])

    def _was_absurd(self, wave: Wave) -> NDArray[np.bool_]:
        """bool[n]: the reading before was, which a spike is about, and this one is not."""
        low, high = self._plausible[:, wave.row]
        is_usual = (wave.value >= low) & (wave.value <= high)
        absurd: NDArray[np.bool_] = is_usual & ((wave.before <= low) | (wave.before >= high))
        return absurd

    def sure(
        self,
        rows: Rows,
        row: NDArray[np.intp],
        past: NDArray[np.float64],
        which: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        """float64[channels, k]: what a reading at these places is beyond its range if it is out.

        Neither `limit` nor the bar is lower, and it takes a third of the time of `limit`. rows,
        row: of every place, as for `limit`. past: `Look.past`.
        """
        past, row = past[:, which], row[which]
        low, high, least = past[LOW], past[HIGH], self._off.take(row, axis=1)
        least[SUDDEN] += OUTLIER - np.minimum(high[SUDDEN], -low[SUDDEN])
        width = high[RECORD:] - low[RECORD:]
        least[RECORD:] += self._at_least.take(row, axis=1)[RECORD:] * width
        needed: NDArray[np.float64] = np.maximum(least, rows["bar"][which].T)
        return needed


def _plausible(metric: Metric) -> tuple[float, float]:
    low, high = metric.plausible_min, metric.plausible_max
    return -np.inf if low is None else low, np.inf if high is None else high


def _noise_that_lasts(rows: Rows, far: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n]: how far beyond its range noise must be, by how long it was beyond it.

    far: how far without that. A range may be so wide that no noise comes to it and as much again.
    """
    lasted = (rows["restless"] - LASTING_FROM_S) / (LASTING_TO_S - LASTING_FROM_S)
    part = np.clip(lasted, 0, 1)
    enough = REACHED - (REACHED - LASTED) * part - rows["high"][:, NOISE]
    grown = np.minimum(far, np.maximum(enough, LASTED_SHARE * far))
    young = (1 - (1 - YOUNG_SHARE) * part) * far
    needed: NDArray[np.float64] = np.where(rows["caution"][:, NOISE] == 1, grown, young)
    return needed


def _limit(
    rows: Rows,
    tau: NDArray[np.float64],
    least: NDArray[np.float64],
    unit: NDArray[np.float64],
    slower: NDArray[np.bool_],
    spike_side: NDArray[np.int8],
) -> NDArray[np.float64]:
    """See `ChannelLimits`; tau and least are the table's, float64[n, channels] as unit.

    slower: bool[n], of times in which only a rise counts. spike_side: int8[n], the one side to
    which single readings count, or 0: what is normal to the other side says nothing of it.
    """
    low, high, caution = rows["low"], rows["high"], rows["caution"]
    width = high - low
    one_side = 2 * np.where(spike_side > 0, high[:, SPIKE], -low[:, SPIKE])
    width[:, SPIKE] = np.where(spike_side == 0, width[:, SPIKE], one_side)
    tails = np.maximum(width / ORDINARY, 1)
    heavy = np.maximum(np.minimum(rows["usual"][:, 2], HEAVY), LIGHT) / LIGHT
    tails[:, RARE] *= heavy[:, None]
    far: NDArray[np.float64] = tau * width * np.minimum(tails * tails, MOST_TAILS) * caution
    far[:, NOISE] = _noise_that_lasts(rows, far[:, NOISE])
    least = least * rows["least"][:, None] / unit
    enough = _enough(least[:, LEVELS], high[:, LEVELS], caution[:, LEVELS])
    enough[~slower] = np.inf
    far[:, LEVELS] = np.minimum(far[:, LEVELS], enough)
    least[:, SUDDEN] = np.maximum(least[:, SUDDEN], OUTLIER)
    least[:, :RECORD] -= np.minimum(high[:, :RECORD], -low[:, :RECORD])
    np.maximum(far, np.maximum(least, 0), out=far)
    return far


def trust(
    rows: Rows,
    wave: Wave,
    age: NDArray[np.int64],
    *,
    week: NDArray[np.bool_],
    spiky: NDArray[np.bool_],
) -> None:
    """How far each channel is trusted by now, in place: tau counts more in youth.

    age: int64[n], ms since the first reading. week: bool[n], whether days of rest differ.
    spiky: bool[n], whether single bad readings are normal.
    """
    n, since, fresh = rows["n"], rows["since"], wave.at_ms - rows["fresh"]
    caution = 1 + 0.3 * (age < YOUNG_MS) + 0.5 * (age < DAY_MS) + 1.5 * (n < SURE_N)
    _cut_noise(rows, grown_up=(rows["caution"][:, RECORD] > 1) & (caution == 1))
    rows["caution"] = caution[:, None]
    rows["caution"][:, [JUMP, STEP]] += FIRST_DAY * (age < DAY_MS)[:, None]
    rows["caution"][:, NOISE] *= np.where((age < YOUNG_MS) & ~spiky, FIRST_NOISE, 1)
    days = np.where(week, SEASON_MS, DAY_MS)
    rows["least"] = np.where(age < days, np.where(week, 5, 3), 1)
    grown = age >= np.where(week, 8, 3) * DAY_MS
    seasoned = wave.at_ms - rows["seasoned"]
    young, ready = age < SEASON_MS, rows["ready"] > 0
    seasonal = young | (ready & (seasoned >= BLOCK_H * HOUR_MS))
    rows["caution"][:, NOISE] *= np.where(seasonal, 1, STRANGE_NOISE)
    both = DAY_MS * np.where(week, 2, 1)  # a range of days of rest alone knows no working day
    settled = (young & (age >= DAY_MS)) | (ready & (seasoned >= both))
    judges = np.empty((len(n), N), np.bool_)
    judges[:, JUMP] = judges[:, SPIKE] = (n >= 20) & (since >= 5)
    judges[:, STEP] = (n >= SURE_N) & (since >= 12) & (fresh >= 2 * HOUR_MS) & settled
    judges[:, RECORD] = (n >= SURE_N) & grown
    judges[:, NOISE] = (n >= 100) & (since >= 20)
    rows["bar"] = np.where(judges, 0, np.inf)


def _cut_noise(rows: Rows, grown_up: NDArray[np.bool_]) -> None:
    """Cut the range of noise of rows that have just grown up, in place: youth made it too wide."""
    high = rows["high"]
    high[:, NOISE] = np.where(grown_up, np.minimum(high[:, NOISE], GROWN_NOISE), high[:, NOISE])


def _enough(
    size: NDArray[np.float64], high: NDArray[np.float64], caution: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What is always enough beyond the range: the most that a limit of a link may be.

    Waiting times have such heavy tails that a limit made of tails and range alone would let a
    round trip double unsaid. size: the least change worth an alert, in usual sizes.
    """
    return np.maximum(ENOUGH * size - high, ENOUGH_SHARE * high * caution)

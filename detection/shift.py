"""Shift: a value that breaks with everything its sensor has shown so far, at once or by level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows
from detection.episodes import CLEAR, CLOSED, FIELDS, FIRING, PHASES, advance
from detection.rules import CHANNELS, JUMP, LEVEL, RECORD, read_shift
from detection.waves import Step, Wave
from devices.kinds import METRICS

DAY_MS = 86_400_000
FORGET_MS = 20 * DAY_MS  # ranges shrink towards their centre this slowly
SLOW_MS = 3 * DAY_MS  # the centre's own memory
BASE = 0.2  # weight of a reading in the level that jumps are measured from: five readings
MEAN = 1 / 30  # weight of a reading in the mean of the level channel
EARLY_N = 20  # readings before the first judgement, of low confidence ...
SURE_N = 50  # ... and before an ordinary one
LEVEL_N = 200  # readings before the level channel judges
LEVEL_GROWTH = 1 / 300  # a range must follow its mean slowly, or it is never left
SETTLED = np.array([5, 0, 30])  # readings after a gap until a channel judges and learns again
CLEAR_SHARE = 0.3  # back inside is within the range and this share of the way to firing
GOOD = 3  # readings back inside that end an episode
ACCEPT_MS = 6 * 3_600_000  # a level that has lasted this long, gaps aside, is the new normal
DROPPED_SHARE = 0.25  # what an unconfirmed episode widens the range by, of the way to firing

BLANK = np.zeros(
    1,
    [
        *FIELDS,
        ("n", "i4"),  # readings learned from
        ("since", "i4"),  # readings since the last gap
        ("first", "i8"),  # event time of the first reading
        ("base", "f8"),  # level that a jump is measured from
        ("mean", "f8"),  # of about the last 30 readings
        ("slow", "f8"),  # of about the last three days
        ("low", "f8", (3,)),  # range of each channel's statistic so far
        ("high", "f8", (3,)),
        ("side", "i1", (3,)),  # which way each channel left it, for the open episode
    ],
)
BLANK["low"] = BLANK["high"] = np.nan


class _Scored(NamedTuple):
    """How far each of three statistics is beyond its range; float64[n, 3] each.

    limit is how far beyond it must be to fire, inf where a channel does not judge.
    """

    stat: NDArray[np.float64]
    over: NDArray[np.float64]
    limit: NDArray[np.float64]


class _Turn(NamedTuple):
    """What one reading did to n episodes; int8[n], bool[n], bool[n].

    accepted: the episode ends because the new level is taken as normal. fired: it was firing.
    """

    steps: NDArray[np.int8]
    accepted: NDArray[np.bool_]
    fired: NDArray[np.bool_]


class Shift:
    """Records on three statistics of each series, after the range that each has had so far.

    jump: the value against the level of the last few readings. record: the value. level: the mean
    of about 30 readings. A statistic is out when it leaves its range by more than tau times the
    range, and by more than the least change worth an alert; both are the table's, per metric.
    Times are judged on a log scale. What is out does not feed range or level.
    """

    rule = "shift"

    def __init__(self) -> None:
        self.bank = Bank(BLANK)
        self._rules = read_shift()
        self._hard = np.array([(metric.hard_min, metric.hard_max) for metric in METRICS])

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins, fires or ends with these readings."""
        places, wave = wave.where(self._rules.applies[wave.row])
        if not len(places):
            return
        rows = self.bank.take(wave.series)
        y = self._scaled(wave)
        self._start(rows, wave, y)
        scored = self._score(rows, wave, y)
        out = (scored.over > scored.limit).any(axis=1)
        quiet = ~out & (rows["phase"] == CLOSED)
        learned = wave.at_ms - rows["first"] >= self._rules.learn_ms[wave.row]
        _learn(rows, wave, y, scored, quiet, learned)
        which, wave_some = wave.where(~quiet)
        if not len(which):
            self.bank.put(wave.series, rows)
            return
        some, scored = rows[which], _Scored(*(column[which] for column in scored))
        turn = self._follow(some, wave_some, scored)
        _settle(some, scored, turn, y[which])
        rows[which] = some
        self.bank.put(wave.series, rows)
        yield from self._steps(places[which], wave_some, some, scored, turn)

    def _scaled(self, wave: Wave) -> NDArray[np.float64]:
        rules, row = self._rules, wave.row
        logs = np.log(np.maximum(wave.value + rules.offset[row], 1e-9))
        return np.where(rules.log[row], logs, wave.value)

    def _start(self, rows: Rows, wave: Wave, y: NDArray[np.float64]) -> None:
        """Begin a new series, and take up the level afresh after a gap.

        An open episode goes on over a gap: it still compares with the level from before.
        """
        new = rows["n"] == 0
        rows["first"] = np.where(new, wave.at_ms, rows["first"])
        rows["slow"] = np.where(new, y, rows["slow"])
        afresh = wave.gap & (rows["phase"] == CLOSED)
        rows["mean"] = np.where(afresh, y, rows["mean"])
        rows["since"] = np.where(afresh, 0, rows["since"])

    def _score(self, rows: Rows, wave: Wave, y: NDArray[np.float64]) -> _Scored:
        rules, row = self._rules, wave.row
        least = rules.least[row]
        width = rows["high"] - rows["low"]
        bound = np.fmax(width[:, RECORD], least[:, RECORD])  # one spike must not move the mean
        step = np.maximum(np.minimum(y - rows["mean"], bound), -bound)
        rows["mean"] += np.maximum(MEAN, 1 / (rows["since"] + 1)) * step
        stat = np.empty((len(y), 3))
        stat[:, JUMP], stat[:, RECORD], stat[:, LEVEL] = y - rows["base"], y, rows["mean"]
        n, age = rows["n"], wave.at_ms - rows["first"]
        caution = 1 + 0.2 * (age < 8 * DAY_MS) + 0.8 * (age < DAY_MS) + 1.5 * (n < SURE_N)
        limit = np.maximum(rules.tau[row] * width * caution[:, None], least)
        learned = age >= rules.learn_ms[row]
        ready = rows["since"][:, None] >= SETTLED
        ready[:, JUMP] &= n >= EARLY_N
        ready[:, RECORD] &= learned & (n >= SURE_N)
        ready[:, LEVEL] &= learned & (n >= LEVEL_N)
        over = np.maximum(stat - rows["high"], rows["low"] - stat)
        return _Scored(stat, over, np.where(ready, limit, np.inf))

    def _follow(self, rows: Rows, wave: Wave, scored: _Scored) -> _Turn:
        beyond = scored.over > scored.limit
        side = np.where(scored.stat > rows["high"], 1, -1).astype(np.int8)
        opening = rows["phase"] == CLOSED
        rows["side"] = np.where(opening[:, None], 0, rows["side"])
        rows["side"] = np.where(beyond, side, rows["side"])
        fired = rows["phase"] == FIRING
        steps = advance(
            rows,
            out=np.any(beyond, axis=1),
            inside=~np.any(scored.over > CLEAR_SHARE * scored.limit, axis=1),
            at_ms=wave.at_ms,
            dt_ms=wave.dt_ms,
            need=self._rules.confirm[wave.row],
            dwell_ms=0,
            good=GOOD,
        )
        accepted = (rows["phase"] == FIRING) & (rows["held"] >= ACCEPT_MS)
        rows["phase"] = np.where(accepted, CLOSED, rows["phase"])
        steps[accepted] = CLEAR
        return _Turn(steps, accepted, fired)

    def _steps(
        self,
        places: NDArray[np.intp],
        wave: Wave,
        rows: Rows,
        scored: _Scored,
        turn: _Turn,
    ) -> Iterator[Step]:
        for n in turn.steps.nonzero()[0].tolist():
            phase = PHASES[int(turn.steps[n])]
            metric = int(wave.row[n])
            verdict = self._rules.verdicts[metric]
            early = int(rows["n"][n]) < SURE_N
            facts: dict[str, float | int | str] = {}
            value, expected = float(wave.value[n]), None
            if phase == "clear":
                facts["accepted"] = int(turn.accepted[n])
            else:
                share = scored.over[n] / scored.limit[n]
                channel = int(np.nanargmax(share))
                facts["channel"] = CHANNELS[channel]
                expected = self._expected(metric, channel, rows[n], scored.limit[n, channel])
                if channel == LEVEL:
                    value = self._plain(metric, float(scored.stat[n, LEVEL]))
            yield Step(
                place=int(places[n]),
                phase=phase,
                nature=verdict.nature,
                severity="info" if early else verdict.severity,
                onset_ms=int(rows["onset"][n]),
                value=value,
                expected=expected,
                facts=facts,
            )

    def _expected(
        self, metric: int, channel: int, row: np.void, limit: float
    ) -> tuple[float, float]:
        base = float(row["base"]) if channel == JUMP else 0.0
        low, high = base + row["low"][channel] - limit, base + row["high"][channel] + limit
        return self._plain(metric, float(low)), self._plain(metric, float(high))

    def _plain(self, metric: int, y: float) -> float:
        """Back from the metric's scale to its unit, within its hard range."""
        low, high = self._hard[metric].tolist()
        if self._rules.log[metric]:
            y = float(np.exp(min(y, 100.0)) - self._rules.offset[metric])
        return float(min(max(y, low), high))


def _learn(
    rows: Rows,
    wave: Wave,
    y: NDArray[np.float64],
    scored: _Scored,
    quiet: NDArray[np.bool_],
    learned: NDArray[np.bool_],
) -> None:
    """Take quiet readings into range and level; what is out, or in an episode, is left out."""
    settled = quiet[:, None] & (rows["since"][:, None] >= SETTLED)
    seen = np.where(settled, scored.stat, np.nan)
    low, high = np.fmin(rows["low"], seen), np.fmax(rows["high"], seen)
    known = learned & ~np.isnan(rows["low"][:, LEVEL])
    for end, now in ((low, rows["low"]), (high, rows["high"])):
        slowly = now[:, LEVEL] + LEVEL_GROWTH * (end[:, LEVEL] - now[:, LEVEL])
        end[:, LEVEL] = np.where(known, slowly, end[:, LEVEL])
    share = np.where(quiet, wave.dt_ms / FORGET_MS, 0)[:, None]
    centre = np.zeros((len(y), 3))
    centre[:, RECORD] = centre[:, LEVEL] = rows["slow"]
    rows["low"] = low + share * (centre - low)
    rows["high"] = high + share * (centre - high)
    weight = np.maximum(BASE, 1 / (rows["since"] + 1))
    rows["base"] += np.where(quiet, weight * (y - rows["base"]), 0)
    weight = np.maximum(wave.dt_ms / (wave.dt_ms + SLOW_MS), 1 / (rows["n"] + 1))
    rows["slow"] += np.where(quiet, weight * (y - rows["slow"]), 0)
    rows["n"] += quiet
    rows["since"] += 1


def _settle(rows: Rows, scored: _Scored, turn: _Turn, y: NDArray[np.float64]) -> None:
    """Widen the ranges by what an episode that ends has shown, however far out it was.

    What recurs (a door that opens every day) is thereby normal after a few times, and one wild
    value does not blind the detector.
    """
    ended = (turn.steps == CLEAR)[:, None]
    share = np.where(turn.fired, 1.0, DROPPED_SHARE)[:, None]
    more = np.where(np.isfinite(scored.limit), scored.limit, 0) * share
    rows["low"] = np.where(ended & (rows["side"] < 0), rows["low"] - more, rows["low"])
    rows["high"] = np.where(ended & (rows["side"] > 0), rows["high"] + more, rows["high"])
    for name in ("base", "mean", "slow"):
        rows[name] = np.where(turn.accepted, y, rows[name])
    rows["since"] = np.where(turn.accepted, 0, rows["since"])
    new = np.where(turn.accepted, y, np.nan)
    for channel in (RECORD, LEVEL):
        rows["low"][:, channel] = np.fmin(rows["low"][:, channel], new)
        rows["high"][:, channel] = np.fmax(rows["high"][:, channel], new)

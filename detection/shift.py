"""Shift: a value that breaks with everything its sensor has shown so far: rules shift and noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows, replace_some, some_of
from detection.drift import follow
from detection.episodes import CLEAR, CLOSED, FIRING, accept, advance
from detection.ranges import DAY_MS
from detection.rules import HALF_STEP
from detection.rules_shift import CHANNELS, JUMP, NOISE, RECORD, SPIKE, STEP, read_shift
from detection.seasons import HOUR_MS
from detection.shift_steps import Busy, ShiftSteps, Turn
from detection.slow_trips import SlowTrips
from detection.statistics import NOWHERE, Statistics
from detection.statistics_limit import SUDDEN, ChannelLimits
from detection.statistics_rows import FAST, LEVEL, SHORT, SPREAD, Look, Scored
from detection.waves import Step, Wave
from devices.catalogue import Catalogue

MOVED_N = 8  # readings that differed from the one before, until what a change is like is known
CLEAR_SHARE = 0.3  # back inside is within the range and this share of the way to firing
GOOD = 3  # readings back inside that end an episode
ACCEPT_MS = 6 * HOUR_MS  # a level that has lasted this long, gaps aside, is the new normal ...
ACCEPT_NOISE_MS = 3 * DAY_MS  # ... and noise: what is told of it goes on while it does
FIRED_SHARE = 0.5  # what an episode widens the range by, of the way to firing ...
DROPPED_SHARE = 0.25  # ... and one that never fired


class Shift:
    """Records on four statistics of each series, after the range that each has had so far.

    jump: the residual (the value less its season) against the level of the last few. step: its
    mean of 15 minutes against that of four hours. record: the value. noise: the size of its
    changes from reading to reading. A statistic is out when it leaves its range by more than tau
    times the range, and by more than the least change worth an alert; both are the table's, per
    metric. What is out feeds neither ranges nor seasons. The first three are the rule shift, the
    fourth is the rule noise. Drift and slow trips are found by the same seasons.
    """

    rule = "shift"

    def __init__(self, catalogue: Catalogue) -> None:
        self._rules = read_shift()
        self._statistics, self._limits = Statistics(self._rules), ChannelLimits(self._rules)
        self._slow_trips = SlowTrips(catalogue, self._rules.offset, self._statistics.cells)
        self._above = np.where(self._rules.applies, self._rules.absent, np.inf)
        self._steps = ShiftSteps(self._rules)

    @property
    def banks(self) -> dict[str, Bank]:
        """State, by name."""
        own = {"shift": self._statistics.bank, "seasons": self._statistics.cells}
        return {**own, "slow-trips": self._slow_trips.bank}

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins, fires or ends with these readings."""
        places, wave = wave.where(wave.value > self._above[wave.row])
        if not len(places):
            return
        rows = self._statistics.bank.take(wave.series)
        y = self._scaled(wave)
        look = self._statistics.score(rows, wave, y)
        slow, alone = self._slow_trips.judge(wave, look, rows["seasoned"] > 0)
        found = [step._replace(place=int(places[step.place])) for step in slow]
        busy = self._busy(rows, wave, look, alone)
        rows["changes"] += np.abs(wave.value - wave.before) >= HALF_STEP[wave.row]
        self._statistics.learn(rows, wave, look, busy.which if busy else NOWHERE)
        if len(look.turned):
            found += self._drift(places, wave, rows, look)
        if busy:
            some = some_of(rows, busy.which)
            found += self._follow(places[busy.which], wave.take(busy.which), some, busy)
            replace_some(rows, busy.which, some)
        self._statistics.bank.put(wave.series, rows)
        yield from found

    def _busy(self, rows: Rows, wave: Wave, look: Look, alone: NDArray[np.bool_]) -> Busy | None:
        """None where nothing is. alone: bool[n], what a tier says alone is not out.

        What has hardly moved yet is learned from: a pump that was off since it was first heard.
        Nothing is out within its range or just beyond it: no limit is asked of nearly every one.
        """
        opened = np.bitwise_or(rows["shift"]["phase"], rows["noise"]["phase"])
        which = look.beyond
        if len(which):
            which = which[rows["changes"][which] >= MOVED_N]
        if np.count_nonzero(opened):
            which = np.union1d(which, opened.nonzero()[0])
        if not len(which):
            return None
        over = look.over[:, which] > self._limits.sure(rows, wave.row, look.past, which)
        which = which[np.logical_or.reduce(over, axis=0) | (opened[which] != CLOSED)]
        if not len(which):
            return None
        rows, wave, scored = some_of(rows, which), wave.take(which), look.scored(which)
        limit = self._limits.limit(rows, wave, scored.unit)
        worse = self._is_worse(wave.row, rows, scored)
        beyond = (scored.over > np.maximum(limit, rows["bar"])) & worse
        beyond &= ~alone[which][:, None]
        some = (beyond.any(axis=1) | (opened[which] != CLOSED)).nonzero()[0]
        if not len(some):
            return None
        return Busy(which[some], scored.take(some), limit[some], beyond[some])

    def _is_worse(self, row: NDArray[np.intp], rows: Rows, scored: Scored) -> NDArray[np.bool_]:
        """bool[n, channels]: to the side that is worth an alert: a faster link is none."""
        side = np.repeat(self._rules.side[row][:, None], len(CHANNELS), axis=1)
        side[:, SPIKE] += self._rules.spike_side[row]
        above = scored.stat > rows["high"]
        worse: NDArray[np.bool_] = (side == 0) | (above == (side > 0))
        return worse

    def _scaled(self, wave: Wave) -> NDArray[np.float64]:
        rules, row = self._rules, wave.row
        logs = np.log(np.maximum(wave.value + rules.offset[row], 1e-9))
        return np.where(rules.log[row], logs, wave.value)

    def _drift(
        self, places: NDArray[np.intp], wave: Wave, rows: Rows, look: Look
    ) -> Iterator[Step]:
        which, wave = look.turned, wave.take(look.turned)
        some = some_of(rows, which)
        steps, bound, accepted = follow(some, wave, self._rules.drift[wave.row])
        replace_some(rows, which, some)
        for n in steps.nonzero()[0].tolist():
            season, place = float(look.season[which[n]]), int(places[which[n]])
            metric, phase = int(wave.row[n]), int(steps[n])
            yield self._steps.of_drift(
                some[n], phase, place, metric, season, float(bound[n]), accepted=bool(accepted[n])
            )

    def _follow(
        self, places: NDArray[np.intp], wave: Wave, rows: Rows, busy: Busy
    ) -> Iterator[Step]:
        scored, beyond = busy.scored, busy.beyond
        beyond[:, SUDDEN] &= (rows["noise"]["phase"] != FIRING)[:, None]
        closed = (rows["shift"]["phase"] == CLOSED) & (rows["noise"]["phase"] == CLOSED)
        side = np.where(scored.stat > rows["high"], 1, -1).astype(np.int8)
        rows["side"] = np.where(closed[:, None], 0, rows["side"])
        rows["side"] = np.where(beyond, side, rows["side"])
        inside = scored.over <= CLEAR_SHARE * busy.limit
        smooth = beyond[:, STEP] & ~beyond[:, JUMP]
        confirm = self._rules.confirm[wave.row]
        need = np.where(smooth, np.maximum(confirm // 2, 2), confirm)
        need = np.where(beyond[:, SPIKE], 1, need)
        turns = {
            name: self._turn(rows[name], wave, beyond[:, of], inside[:, of], need, accept_ms)
            for name, of, accept_ms in (
                ("shift", slice(NOISE), np.where(_is_there(rows), ACCEPT_MS, np.inf)),
                ("noise", slice(NOISE, NOISE + 1), ACCEPT_NOISE_MS),
            )
        }
        spiked = beyond[:, SPIKE] & (turns["shift"].steps == FIRING) & closed
        onset = rows["shift"]["onset"]
        onset -= np.where(spiked, wave.dt_ms, 0).astype(np.int64)  # it was the reading before
        _settle(rows, busy, turns, wave)
        for name, turn in turns.items():
            for n in turn.steps.nonzero()[0].tolist():
                yield self._steps.of(name, n, places, wave, rows, busy, turn)

    def _turn(
        self,
        episode: Rows,
        wave: Wave,
        beyond: NDArray[np.bool_],
        inside: NDArray[np.bool_],
        need: NDArray[np.int64],
        accept_ms: NDArray[np.float64] | int,
    ) -> Turn:
        """accept_ms: how long what is out must have lasted to be the new normal, by reading."""
        fired = episode["phase"] == FIRING
        steps = advance(
            episode,
            out=np.logical_or.reduce(beyond, axis=1),
            inside=np.logical_and.reduce(inside, axis=1),
            at_ms=wave.at_ms,
            dt_ms=wave.dt_ms,
            need=need,
            dwell_ms=self._rules.dwell_ms[wave.row],
            good=GOOD,
            apart=wave.apart,
        )
        accepted = (episode["phase"] == FIRING) & (episode["held"] >= accept_ms)
        accept(episode, steps, accepted)
        return Turn(steps, accepted, fired)


def _is_there(rows: Rows) -> NDArray[np.bool_]:
    """bool[n]: the reading is nearer to the level of the last 15 minutes than to last week's.

    Its return is not taken for the level that it returns from.
    """
    residual = rows["past"][:, 0]
    there: NDArray[np.bool_] = np.abs(residual - rows["means"][:, FAST]) <= np.abs(
        residual - rows["slow"]
    )
    return there


def _settle(rows: Rows, busy: Busy, turns: dict[str, Turn], wave: Wave) -> None:
    """Widen the ranges by what an episode that ends has shown, however far out it was.

    What recurs (a door that opens every day) is thereby normal after a few times, and one wild
    value does not blind the detector.
    """
    limit = np.where(np.isfinite(busy.limit), busy.limit, 0)
    limit[:, SUDDEN] *= (rows["noise"]["phase"] != FIRING)[:, None]
    for name, turn in turns.items():
        of = slice(NOISE, NOISE + 1) if name == "noise" else slice(NOISE)
        ended = (turn.steps == CLEAR)[:, None]
        share = np.where(turn.fired, FIRED_SHARE, DROPPED_SHARE)[:, None]
        more, side = limit[:, of] * share, rows["side"][:, of]
        low, high = rows["low"][:, of], rows["high"][:, of]
        low[:] = np.where(ended & (side < 0), low - more, low)
        high[:] = np.where(ended & (side > 0), high + more, high)
    for name in ("least_seen", "most_seen"):
        rows[name] = np.nan
    rows["away"] = 0
    accepted = turns["shift"].accepted
    residual = rows["past"][:, 0]
    for mean in (SHORT, FAST, LEVEL):
        rows["means"][:, mean] = np.where(accepted, residual, rows["means"][:, mean])
    rows["restless"] = np.where(turns["noise"].steps == CLEAR, 0, rows["restless"])
    spread = np.where(turns["noise"].accepted, rows["means"][:, SPREAD], np.nan)
    rows["high"][:, NOISE] = np.fmax(rows["high"][:, NOISE], spread)
    rows["since"] = np.where(accepted, 0, rows["since"])
    rows["fresh"] = np.where(accepted, wave.at_ms, rows["fresh"])
    y = np.where(accepted, busy.scored.stat[:, RECORD], np.nan)
    rows["low"][:, RECORD] = np.fmin(rows["low"][:, RECORD], y)
    rows["high"][:, RECORD] = np.fmax(rows["high"][:, RECORD], y)

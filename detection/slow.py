"""Slow: a link that carries less than it ever did, by the few speed tests that a probe makes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows
from detection.episodes import FIELDS, FIRING, PHASES, accept, advance
from detection.rules import read_slow
from detection.waves import Step, Wave

DAY_MS = 86_400_000
DAYS = 7  # of which the slowest test is remembered, each
KNOWN = 4  # tests, and ...
KNOWN_MS = 20 * 3_600_000  # ... time before the first judgement: the busy hours are among them
SHARE = 0.5  # of the slowest test so far is slow
BACK = 0.7  # share of it that counts as back
NEED = 2  # slow tests in a row ...
DWELL_MS = 3_600_000  # ... and how far apart the first and the last of them lie
ACCEPT_MS = 14 * DAY_MS  # a speed that has lasted this long is the new normal

BLANK = np.zeros(
    1,
    [
        ("episode", FIELDS),
        ("first", "i8"),  # event time of the first test
        ("n", "i4"),  # tests learned from
        ("day", "i4"),  # of the last of them
        ("slowest", "f4", (DAYS,)),  # by day, of the last days on which there were any
    ],
)
BLANK["slowest"] = np.inf


class Slow:
    """A speed below half of the slowest one of the last days, twice in a row.

    Tests are few and spread over the day, so that each day's slowest stands for its busy hours. A
    ratio, because links carry from one to hundreds of megabits.
    """

    rule = "slow-link"

    def __init__(self) -> None:
        self.bank = Bank(BLANK)
        self._applies = read_slow()

    @property
    def banks(self) -> dict[str, Bank]:
        """State, by name."""
        return {self.rule: self.bank}

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins, fires or ends with these tests."""
        places = self._applies[wave.row].nonzero()[0]
        if not len(places):
            return
        wave = wave.take(places)
        rows = self.bank.take(wave.series)
        rows["first"] = np.where(rows["first"] == 0, wave.at_ms, rows["first"])
        slowest = rows["slowest"].min(axis=1).astype(np.float64)
        known = (rows["n"] >= KNOWN) & (wave.at_ms - rows["first"] >= KNOWN_MS)
        out = known & (wave.value < SHARE * slowest)
        episode = rows["episode"]
        steps = advance(
            episode,
            out=out,
            inside=wave.value >= BACK * slowest,
            at_ms=wave.at_ms,
            dt_ms=np.zeros(len(rows)),
            need=np.full(len(rows), NEED),
            dwell_ms=0,
            good=1,
        )
        held_ms = wave.at_ms - episode["onset"]
        early = (steps == FIRING) & (held_ms < DWELL_MS)
        episode["phase"][early], steps[early] = 1, 0
        accepted = (episode["phase"] == FIRING) & (held_ms >= ACCEPT_MS)
        accept(episode, steps, accepted)
        rows["slowest"][accepted] = np.inf
        _learn(rows, wave, ~out | accepted)
        self.bank.put(wave.series, rows)
        for n in steps.nonzero()[0].tolist():
            yield Step(
                place=int(places[n]),
                phase=PHASES[int(steps[n])],
                nature="connectivity",
                severity="warning",
                onset_ms=int(episode["onset"][n]),
                value=float(wave.value[n]),
                expected=(SHARE * float(slowest[n]), np.inf),
                facts={"side": "low", "readings": int(episode["count"][n])},
            )


def _learn(rows: Rows, wave: Wave, which: NDArray[np.bool_]) -> None:
    """Take tests that are not slow into the slowest of their day."""
    day = (wave.at_ms // DAY_MS).astype(np.int32)
    slowest = rows["slowest"]
    turned = which & (day != rows["day"])
    slowest[turned, 1:] = slowest[turned, :-1].copy()
    slowest[turned, 0] = np.inf
    slowest[:, 0] = np.where(which, np.minimum(slowest[:, 0], wave.value), slowest[:, 0])
    rows["day"] = np.where(which, day, rows["day"])
    rows["n"] += which

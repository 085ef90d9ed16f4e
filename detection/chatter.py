"""Chatter: a contact or a switch that changes far more often than it did at this time of day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows
from detection.episodes import CLOSED, FIRING
from detection.rules import read_chatter
from detection.seasons import CELLS, HOUR_MS, HOURS, Calendar
from detection.spells import capped
from detection.waves import Step, Wave

BLOCK = 3  # hours of the day that are learned together
BLOCKS, PER_DAY = CELLS // BLOCK, HOURS // BLOCK
BESIDE = np.array([[-1], [0], [1]])  # a block, and those beside it
KNOWN = 24  # readings of a block, and of those beside it, before it is judged
MOST_SEEN = 500  # readings that a block's share of changes is learned over
RATIO = 2.0  # times the usual share of changes is what is looked for, ...
LEAST, MOST = 0.2, 0.5  # ... but at least and at most this share: a coin that is tossed has half
EVIDENCE = 12.0  # natural logarithm of how much likelier that is than the usual, to fire
SPELL_SHARE = 0.5  # of the evidence that one clock hour counts for: busy hours are over by then
CREDIT = 5.0  # natural logarithm of how much likelier the usual is, to end
ACCEPT_MS = 14 * HOURS * HOUR_MS  # what has lasted this long is the new normal

BLANK = np.zeros(
    1,
    [
        ("phase", "i1"),
        ("onset", "i8"),  # event time since which the evidence is above 0
        ("evidence", "f8"),  # that it changes too often, summed up while above 0
        ("credit", "f8"),  # that it does not, summed up likewise while firing
        ("hour", "i8"),  # the clock hour of the last reading ...
        ("counted", "f8"),  # ... and what it has added to the evidence
        ("readings", "i4"),  # since the onset
        ("changes", "i4"),  # among them
        ("usual", "f4"),  # and how many of them are usual
        ("share", "f4", (BLOCKS,)),  # of readings that differ from the one before, by block
        ("seen", "u2", (BLOCKS,)),  # readings that it was learned from
    ],
)


class Chatter:
    """A CUSUM (Page 1954) on whether a reading differs from the one before it.

    It sums up how much likelier the changes are at twice the usual share of this time of day (at
    least one in five) than at the usual one, which is the highest of three blocks of three hours,
    on working days and days of rest. Readings after one that is missing are passed over.
    """

    rule = "chatter"

    def __init__(self) -> None:
        self.bank = Bank(BLANK)
        self._rules = read_chatter()
        self._calendar = Calendar()

    @property
    def banks(self) -> dict[str, Bank]:
        """State, by name."""
        return {self.rule: self.bank}

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins or ends with these readings."""
        places = self._rules.applies[wave.row].nonzero()[0]
        if not len(places):
            return
        places = places[~wave.apart[places]]
        series, changed = wave.series[places], (wave.value != wave.before)[places]
        rows = self.bank.take(series)
        block = self._calendar.cells(wave.at_ms[places]) // BLOCK
        if not any(map(np.count_nonzero, (changed, rows["evidence"], rows["phase"]))):
            _learn(rows, block, changed, ~changed)
            self.bank.put(series, rows)
            return
        wave = wave.take(places)
        _count(rows, wave, changed, *_usual(rows, block))
        held_ms = wave.at_ms - rows["onset"]
        firing = rows["phase"] == FIRING
        accepted = firing & (held_ms >= ACCEPT_MS)
        fires = ~firing & (rows["evidence"] > EVIDENCE)
        ends = firing & (rows["credit"] > CREDIT) | accepted
        calm = (rows["phase"] == CLOSED) & (rows["evidence"] < EVIDENCE / 2)
        _learn(rows, block, changed, calm)
        rows["phase"] = np.where(fires, FIRING, np.where(ends, CLOSED, rows["phase"]))
        rows["evidence"][fires | ends] = rows["credit"][fires | ends] = 0
        rows["seen"][accepted] = 0
        self.bank.put(series, rows)
        for n in (fires | ends).nonzero()[0].tolist():
            verdict = self._rules.verdicts[int(wave.row[n])]
            yield Step(
                place=int(places[n]),
                phase="firing" if fires[n] else "clear",
                nature=verdict.nature,
                severity=verdict.severity,
                onset_ms=int(rows["onset"][n]),
                value=float(wave.value[n]),
                expected=None,
                facts=_facts(rows[n], accepted=bool(accepted[n])),
            )


def _usual(rows: Rows, block: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The usual share of changes in these blocks, and whether enough is known of it.

    Until days of rest are known, they are taken for working days, which are busier.
    """
    of_day = (block + BESIDE) % PER_DAY
    resting = block // PER_DAY * PER_DAY
    n = np.arange(len(rows))
    strange = rows["seen"][n, resting + of_day].min(axis=0) < KNOWN
    beside = n, resting * ~strange + of_day
    seen = rows["seen"][beside].astype(np.float64)
    usual = ((rows["share"][beside] * seen + 1) / (seen + 2)).max(axis=0)  # Laplace's succession
    return np.minimum(usual, MOST), seen.min(axis=0) >= KNOWN


def _count(
    rows: Rows,
    wave: Wave,
    changed: NDArray[np.bool_],
    usual: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> None:
    """Add the readings to the evidence, in place."""
    often = np.clip(RATIO * usual, LEAST, MOST)
    gain = np.where(changed, np.log(often / usual), np.log((1 - often) / (1 - usual))) * known
    more = capped(rows, wave.at_ms, gain, SPELL_SHARE * EVIDENCE)
    firing, before = rows["phase"] == FIRING, rows["evidence"]
    evidence = np.maximum(before + more, 0) * ~firing
    goes_on = evidence > 0
    begins = goes_on & (before == 0)
    np.copyto(rows["onset"], wave.at_ms, where=begins)
    rows["evidence"] = evidence
    rows["credit"] = np.maximum(rows["credit"] - gain, 0) * firing
    for field, one in (("readings", 1), ("changes", changed), ("usual", usual)):
        rows[field] += one
    for field in ("hour", "counted", "readings", "changes", "usual"):
        rows[field] *= goes_on  # nothing is left where it rests: see `judge`


def _learn(
    rows: Rows, block: NDArray[np.int64], changed: NDArray[np.bool_], calm: NDArray[np.bool_]
) -> None:
    """Take readings into the usual share of their block, in place."""
    n = calm.nonzero()[0]
    at = n, block[n]
    seen = np.minimum(rows["seen"][at] + 1, MOST_SEEN)
    share = rows["share"][at]
    rows["seen"][at] = seen
    rows["share"][at] = share + (changed[n] - share) / seen


def _facts(row: np.void, *, accepted: bool) -> dict[str, Any]:
    facts = {
        "times": int(row["changes"]),
        "readings": int(row["readings"]),
        "usual": round(float(row["usual"])),
    }
    return facts | ({"accepted": 1} if accepted else {})

"""Limits: a value outside the range that is plausible for its metric, for its dwell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows, some_of
from detection.episodes import CLOSED, FIELDS, PHASES, advance
from detection.rules import HIGH, LOW, read_limits
from detection.waves import Step, Wave


class Limits:
    """Judges a value by the table of limits alone, from the first reading on."""

    rule = "limits"

    def __init__(self) -> None:
        self.bank = Bank(np.zeros(1, [*FIELDS, ("side", "i1")]))
        self._rules = read_limits()
        self._low, self._high = self._rules.limit.T.copy()  # infinite where a metric has none

    @property
    def banks(self) -> dict[str, Bank]:
        """State, by name."""
        return {self.rule: self.bank}

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins, fires or ends with these readings."""
        rules = self._rules
        rows = self.bank.take(wave.series)
        high = wave.value > self._high[wave.row]
        out = high | (wave.value < self._low[wave.row])
        if not np.count_nonzero(out) and not np.count_nonzero(rows["phase"]):
            return
        places, wave = wave.where(out | (rows["phase"] != CLOSED))
        rows, out = some_of(rows, places), out[places]
        side = np.where(out, np.where(high[places], HIGH, LOW), rows["side"])
        rows["side"] = side
        clear = rules.clear[wave.row]
        inside = (wave.value >= clear[:, LOW]) & (wave.value <= clear[:, HIGH])
        steps = advance(
            rows,
            out=out,
            inside=inside,
            at_ms=wave.at_ms,
            dt_ms=wave.dt_ms,
            need=rules.readings[wave.row, side],
            dwell_ms=rules.dwell_ms[wave.row, side],
            good=rules.good[wave.row, side],
            apart=wave.apart,
        )
        self.bank.put(wave.series, rows)
        yield from self._steps(places, wave, rows, steps)

    def _steps(
        self, places: NDArray[np.intp], wave: Wave, rows: Rows, steps: NDArray[np.int8]
    ) -> Iterator[Step]:
        for n in steps.nonzero()[0].tolist():
            metric, side = int(wave.row[n]), int(rows["side"][n])
            low, high = self._rules.limit[metric].tolist()
            verdict = self._rules.verdicts[metric, side]
            facts: dict[str, float | int | str] = {
                "held_s": float(rows["held"][n]) / 1000,
                "readings": int(rows["count"][n]),
            }
            if np.isinf(low) or np.isinf(high):
                facts["side"] = "high" if side == HIGH else "low"
            yield Step(
                place=int(places[n]),
                phase=PHASES[int(steps[n])],
                nature=verdict.nature,
                severity=verdict.severity,
                onset_ms=int(rows["onset"][n]),
                value=float(wave.value[n]),
                expected=(low, high),
                facts=facts,
            )

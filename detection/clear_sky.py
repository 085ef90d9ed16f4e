"""Clear sky: how well each dish usually receives, so that a fade is told of good and poor ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows

FADE_DB = 3.0  # below the usual: half of the signal is gone
KNOWN = 50  # readings before the usual is known
MEMORY = 500  # readings that it is the mean of
SLOWER = 20  # times as slowly it follows a fade: rain is over in an hour, a turned dish is not

BLANK = np.zeros(1, [("n", "i4"), ("usual", "f8")])


class ClearSky:
    """The mean of each dish's Es/N0 under a clear sky. `bank`: by series."""

    def __init__(self) -> None:
        self.bank = Bank(BLANK)

    def see(self, series: NDArray[np.intp], esno_db: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Take one value of each of n dishes in; bool[n], which of them fade."""
        rows = self.bank.take(series)
        faded = _fades(rows, esno_db)
        weight = np.maximum(1 / (rows["n"] + 1), 1 / MEMORY) / np.where(faded, SLOWER, 1)
        rows["usual"] += weight * (esno_db - rows["usual"])
        rows["n"] += 1
        self.bank.put(series, rows)
        return faded

    def fades(self, series: int, esno_db: float) -> bool:
        """Whether this dish receives so much less than usual."""
        return bool(_fades(self.bank.row(series), esno_db))


def _fades(rows: Rows | np.void, esno_db: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    faded: NDArray[np.bool_] = (rows["n"] >= KNOWN) & (esno_db < rows["usual"] - FADE_DB)
    return faded

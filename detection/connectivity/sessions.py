"""Sessions: what every device was last heard to say, and when it counts as silent."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.silence import after_broken_session

KEEPALIVE_MS = 60_000
GRACE_MS = 5_000
HOUR_MS = 3_600_000
ABANDONED_MS = 30 * 86_400_000  # not heard for so long: given up, not down
RECALLED = 30  # rounds of a modem's signal that are kept
JUST_BEFORE = 5  # of them, what counts as just before an outage
MISSED = 3.0  # intervals without a word that make a silence
MISSED_WITH_WILL = 2.0  # where the broker said that the session broke

STATE = np.dtype(
    [
        ("received", "i8"),  # receive time of the newest sign of life; -1: never heard
        ("good", "i8"),  # event time of the newest good measurement; -1: none
        ("event", "i8"),  # newest event time, never after its receive time; -1: none
        ("silent", "?"),
        ("back_ms", "i8"),  # receive time of the first word after a silence; 0: none yet
        ("back_good_ms", "i8"),  # event time of the first good live measurement after it; 0: none
        ("onset_good", "i8"),  # last good measurement before the silence
        ("online", "i1"),  # by its own word and the broker's; -1: never told
        ("will_ms", "i8"),  # when the broker told last that the session broke; 0: never
        ("bad_rounds", "i4"),  # live rounds in a row that did not reach the network
        ("backup_rounds", "i4"),  # live rounds in a row over a backup
        ("case", "i8"),  # number of the case that it belongs to; -1: none
        ("name_rounds", "i8"),  # live rounds that reached the network and brought a name
        ("page_rounds", "i8"),
        ("reached_rounds", "i8"),
        ("names", "?"),  # every round that reaches the network brings a name
        ("page", "?"),
        ("mains", "i1"),  # newest word on mains power: 0, 1; -1: none
    ]
)
BLANK = np.zeros(1, STATE)
for _name in ("received", "good", "event", "onset_good", "online", "case", "mains"):
    BLANK[_name] = -1


class Signal(NamedTuple):
    """A modem's signal in one round, NaN where it does not say."""

    esno_db: float
    rsrp_dbm: float
    sinr_db: float


class Sessions:
    """Devices by number."""

    def __init__(self) -> None:
        self.rows = BLANK[:0].copy()
        self.boot: list[str | None] = []
        self.transitions: list[deque[int]] = []  # when it went on or offline, within an hour
        self.boots: list[dict[str, int]] = []  # boot: when last heard, within an hour
        self.came_back: list[dict[str, int]] = []  # the same, of those that spoke after others
        self.signals: list[deque[Signal]] = []
        self.failing: dict[int, dict[int, int]] = {}  # marks by event time of a row of bad rounds
        self.resumed_ms = 0

    def grow(self, n: int) -> None:
        """Have a row for that many devices."""
        missing = n - len(self.rows)
        if missing > 0:
            self.rows = np.concatenate([self.rows, np.repeat(BLANK, missing)])
            self.boot += [None] * missing
            self.transitions += [deque() for _ in range(missing)]
            self.boots += [{} for _ in range(missing)]
            self.came_back += [{} for _ in range(missing)]
            self.signals += [deque(maxlen=RECALLED) for _ in range(missing)]

    def overdue(self, now_ms: int, interval_ms: NDArray[np.int64]) -> NDArray[np.intp]:
        """Numbers of devices that fell silent just now.

        Three intervals without a word, or a little less where the broker has told that the
        session broke; never sooner than the broker would notice a dead session.
        """
        rows = self.rows
        whole = MISSED * interval_ms
        broken = after_broken_session(whole, MISSED_WITH_WILL * interval_ms)
        missed = np.where(rows["will_ms"] > rows["received"], broken, whole)
        patience = np.maximum(missed, 1.5 * KEEPALIVE_MS) + GRACE_MS
        since = np.maximum(rows["received"], self.resumed_ms)
        late = (rows["received"] >= 0) & ~rows["silent"] & (now_ms - since > patience)
        numbers: NDArray[np.intp] = late.nonzero()[0]
        return numbers

    def expected(self, number: int, now_ms: int) -> bool:
        """Whether a device has been heard and is not given up."""
        received = int(self.rows["received"][number])
        return received >= 0 and now_ms - received < ABANDONED_MS

    def turned(self, number: int, at_ms: int) -> int:
        """Count a change between connected and not; how many there were within an hour."""
        times = self.transitions[number]
        times.append(at_ms)
        while times[0] <= at_ms - HOUR_MS:
            times.popleft()
        return len(times)

    def spoke_as(self, number: int, boot: str | None, at_ms: int) -> bool:
        """Remember under which boot a device speaks; whether it was another one before."""
        if boot is None:
            return False
        boots, came_back = self.boots[number], self.came_back[number]
        changed = self.boot[number] not in (None, boot)
        if changed and boot in boots:
            came_back[boot] = at_ms
        boots[boot] = at_ms
        if len(boots) > 1:
            for known in (boots, came_back):
                for old in [b for b, seen in known.items() if seen <= at_ms - HOUR_MS]:
                    del known[old]
        self.boot[number] = boot
        return changed

    def restarts(self, number: int) -> int:
        """How many boots of a device, within an hour, were new and stayed new."""
        return max(len(self.boots[number]) - len(self.came_back[number]) - 1, 0)

    def signal_before(self, number: int) -> Signal:
        """Fall of a satellite signal, and medians of a mobile one, just before now."""
        recalled = np.array(self.signals[number], np.float64).reshape(-1, 3)
        last, earlier = recalled[-JUST_BEFORE:], recalled[:-JUST_BEFORE]
        esno = float("nan")
        if np.isfinite(last[:, 0]).any() and np.isfinite(earlier[:, 0]).any():
            esno = float(np.nanmedian(earlier[:, 0]) - np.nanmin(last[:, 0]))
        rsrp, sinr = (
            float(np.nanmedian(last[:, n])) if np.isfinite(last[:, n]).any() else float("nan")
            for n in (1, 2)
        )
        return Signal(esno, rsrp, sinr)

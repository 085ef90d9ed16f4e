"""Loss: packets lost a few in a thousand for hours, pooled over rounds until it can be judged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank, Rows
from detection.episodes import CLOSED, FIRING
from detection.findings import Phase
from detection.rules import read_loss
from detection.spells import capped
from detection.waves import Step, Wave
from devices.catalogue import Catalogue

DAY_MS = 86_400_000
NORMAL = 0.001  # share of packets that any link may lose
FIRST_SHARE, FIRST_PACKETS = 0.002, 3000.0  # what a link is taken for before it has shown itself
MEMORY_MS = 7 * DAY_MS  # of a link's normal share ...
RECENT_MS = 2 * 3_600_000  # ... and of the share that is told
COUNT_MS = 6 * 3_600_000  # losses do not add up before
LEARN_MS = DAY_MS  # nothing is judged before
RATIO = 4.0  # times its normal share is what is looked for, ...
LEAST, MOST = 0.005, 0.12  # ... but at least and at most this share
EVIDENCE = 15.0  # natural logarithm of how much likelier that is than normal, to fire
RECORD = 1.5  # times the highest excess that went away by itself: links that lose in bursts
MOST_RECORD = 3.0  # times the evidence, of what such an excess counts for
CREDIT = 8.0  # natural logarithm of how much likelier the normal share is than what fired, to end
FEW, FEW_SHARE = 2.0, 0.1  # packets of one round that count, and share of it: bursts count less
AGREES = 0.5  # of what fires, that another tier of the same probe shows of it ...
ALONE = 2.0  # ... or so many times what fires, where none does
SPELL_SHARE = 0.4  # of the evidence that one clock hour counts for: bad spells take minutes
OUTAGE = 0.5  # a round that lost this share is an outage's, and no evidence
PACKETS, MOST_PACKETS = 10.0, 1000.0  # of a round, until it is seen

BLANK = np.zeros(
    1,
    [
        ("phase", "i1"),
        ("first", "i8"),  # event time of the first round
        ("onset", "i8"),  # event time since which losses add up to more than a few packets
        ("packets", "f8"),  # of a round: the smallest share lost was one of so many
        ("normal", "f8"),  # share lost, normally
        ("pooled", "f8"),  # packets that it was learned from
        ("recent", "f8"),  # share lost in the last two hours or so
        ("excess", "f8"),  # packets lost beyond what is borne, summed up while above 0
        ("peak", "f8"),  # the most that the excess came to and went away again
        ("highest", "f8"),  # of the excess since it was 0
        ("hour", "i8"),  # the clock hour of the last round ...
        ("counted", "f8"),  # ... and what it has added to the excess
        ("level", "f8"),  # share lost in the two hours before it fired
        ("credit", "f8"),  # evidence that it is over, summed up likewise while firing
    ],
)
BLANK["packets"], BLANK["pooled"] = PACKETS, FIRST_PACKETS
BLANK["normal"] = BLANK["recent"] = FIRST_SHARE


class Loss:
    """A Poisson CUSUM on the packets that each round lost (Page 1954; Lucas 1985).

    It sums up the packets lost beyond the rate that lies between the link's normal share and four
    times that (at least 0.5 %), and fires when they are `EVIDENCE` likelier under the latter.
    No clock hour counts for more than `SPELL_SHARE` of that: a bad spell of minutes is none.
    Rounds above the limit of loss are that rule's matter; here they count for no more than a few
    packets. The number of packets in a round is told by the smallest share that was ever lost.
    What is lost on the way to one tier is lost on the way to those beyond it, too: where the other
    tiers of its probe are heard and show nothing of it, twice as much is asked for.
    It ends when the normal share is `CREDIT` likelier than the one it was fired by.
    """

    rule = "loss"

    def __init__(self, catalogue: Catalogue) -> None:
        self.bank = Bank(BLANK)
        self._catalogue = catalogue
        self._applies = read_loss()

    @property
    def banks(self) -> dict[str, Bank]:
        """State, by name."""
        return {self.rule: self.bank}

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins or ends with these rounds."""
        places, wave = wave.where(self._applies[wave.row])
        if not len(places):
            return
        rows = self.bank.take(wave.series)
        if np.count_nonzero(rows["first"]) < len(rows):
            np.copyto(rows["first"], wave.at_ms, where=rows["first"] == 0)
        fade = 1 - wave.dt_ms / (wave.dt_ms + MEMORY_MS)
        if not any(map(np.count_nonzero, (wave.value, rows["excess"], rows["phase"]))):
            _rest(rows, wave, fade)
            self.bank.put(wave.series, rows)
            return
        age_ms = wave.at_ms - rows["first"]
        borne, bound = self._count(rows, wave, age_ms, fade)
        firing = rows["phase"] == FIRING
        fires = ~firing & (rows["excess"] > bound) & (age_ms >= LEARN_MS)
        if np.count_nonzero(fires):
            fires &= self._agreed(fires, np.where(firing, 1, rows["excess"] / bound), wave)
        ends = firing & (rows["credit"] > CREDIT)
        changed = (fires | ends).nonzero()[0]
        if len(changed):
            rows["phase"][fires], rows["phase"][ends] = FIRING, CLOSED
            rows["level"][fires] = rows["recent"][fires]
            rows["excess"][changed] = rows["credit"][changed] = 0
        self.bank.put(wave.series, rows)
        for n in changed.tolist():
            yield _step("firing" if fires[n] else "clear", int(places[n]), rows[n], borne[n])

    def _count(
        self, rows: Rows, wave: Wave, age_ms: NDArray[np.int64], fade: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Add the rounds up: the share that is borne, and the excess that fires."""
        share, packets = wave.value / 100, rows["packets"]
        counts = share < OUTAGE
        some = counts & (share > 0)
        if np.count_nonzero(some):
            seen = 1 / np.maximum(share, 1 / MOST_PACKETS)
            np.maximum(packets, np.round(seen), out=packets, where=some)
        sent = packets * counts
        lost = np.minimum(share * sent, np.maximum(FEW_SHARE * packets, FEW))
        normal = np.minimum(np.maximum(rows["normal"], NORMAL), MOST / 2)
        worse = np.minimum(np.maximum(RATIO * normal, LEAST), MOST)
        gain = np.log(worse / normal)
        borne = (worse - normal) / gain
        evidence = EVIDENCE / gain
        more = capped(rows, wave.at_ms, lost - borne * sent, SPELL_SHARE * evidence)
        firing, excess = rows["phase"] == FIRING, rows["excess"]
        begins = (excess < FEW) & (more > 0) & ~firing  # one lost packet is soon forgotten
        np.copyto(rows["onset"], wave.at_ms, where=begins)
        rows["excess"] = np.maximum(excess + more, 0)
        excess[firing | (age_ms < COUNT_MS)] = 0
        if np.count_nonzero(firing):
            level = np.maximum(rows["level"], worse)
            sure = np.log(level / normal)
            less = (level - normal) * sent - sure * lost
            rows["credit"] = np.maximum(rows["credit"] + less, 0) * firing
        weight = sent / np.maximum(rows["pooled"] + sent, 1)
        rate = lost / packets
        bound = self._bound(rows, fade, evidence)
        learns = ~firing & (excess < bound / 2) | (age_ms < LEARN_MS)
        rows["normal"] += weight * learns * (rate - rows["normal"])
        rows["pooled"] = rows["pooled"] * fade + sent
        weight = wave.dt_ms / (wave.dt_ms + RECENT_MS)
        rows["recent"] += weight * (sent > 0) * (rate - rows["recent"])
        return borne, bound

    def _agreed(
        self, fires: NDArray[np.bool_], shares: NDArray[np.float64], wave: Wave
    ) -> NDArray[np.bool_]:
        """bool[n]: of those that would fire, what another tier of the probe shows, or what is sure.

        shares: float64[n], of what fires each. A round is never split over waves.
        """
        device = self._catalogue.device_number[wave.series]
        agreed = shares >= ALONE
        for n in (fires & ~agreed).nonzero()[0]:
            mine = device == device[n]
            mine[n] = False
            agreed[n] = not mine.any() or shares[mine].max() >= AGREES
        return agreed

    def _bound(
        self, rows: Rows, fade: NDArray[np.float64], evidence: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The excess that fires: beyond chance, and beyond what this link ever came back from."""
        highest = np.maximum(rows["highest"], rows["excess"])
        goes_on = rows["excess"] != 0
        seen = np.minimum(highest, MOST_RECORD * evidence) * ~goes_on
        rows["peak"] = np.maximum(rows["peak"] * fade, seen)
        rows["highest"] = highest * goes_on
        return np.maximum(evidence, RECORD * rows["peak"])


def _rest(rows: Rows, wave: Wave, fade: NDArray[np.float64]) -> None:
    """What `_count` does where no packet is lost and no excess is left, in a third of its time."""
    sent, normal, pooled, recent = (rows[f] for f in ("packets", "normal", "pooled", "recent"))
    normal -= sent / np.maximum(pooled + sent, 1) * normal
    pooled *= fade
    pooled += sent
    recent -= wave.dt_ms / (wave.dt_ms + RECENT_MS) * recent
    rows["peak"] *= fade


def _step(phase: Phase, place: int, row: np.void, borne: float) -> Step:
    return Step(
        place=place,
        phase=phase,
        nature="connectivity",
        severity="warning",
        onset_ms=int(row["onset"]),
        value=100 * float(row["recent"]),
        expected=(0.0, 100 * float(borne)),
        facts={"side": "high", "packets": int(row["packets"])},
    )

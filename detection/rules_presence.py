"""Rules over the nights of a presence sensor: people that never move, a door that stands open.

These sensors may speak when something changes and now and then besides: a night counts by what was
said in it, and one that was hardly heard does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from detection.periods import DAY_MS, Period, heard_share
from detection.rules_periods import LEARN_NIGHTS, NIGHTS, Rule, say_on
from detection.seasons import HOUR_MS, UTC_OFFSET_MS
from detection.series_episodes import SeriesEpisodes
from detection.waves import Step
from devices.catalogue import Catalogue
from devices.kinds import KINDS

DUSK, NIGHT_HOURS = 22, 7  # local: from 22:00 to 05:00
DAY = -1  # no night
NIGHT_HEARD = 0.5  # of its usual rounds
STILL_HOURS = 24  # a watchman is alone for a night
FEW_CHANGES = 3  # hours with another number than before, until it is known that it changes
CLOSED = 0.5  # of a night's readings say that the door is open: fewer, and it was closed

STILL = Rule("occupancy-still", "data_quality", "warning")
DOOR = Rule("door-night", "condition", "warning")

PEOPLE, OPEN = (KINDS["presence"].metrics[name].row for name in ("occupancy", "door_open"))


@dataclass(slots=True)
class Watch:
    """What is remembered of one series.

    value, since_ms: what it stands at, and since when. changes: hours in which it did not. night,
    heard, open: the number of the night, and hours of it that were heard, and were open. past: the
    open share of the nights before.
    """

    firing: bool = False
    since_ms: int = 0
    value: float = 0.0
    changes: int = 0
    night: int = DAY
    heard: float = 0.0
    open: float = 0.0
    whole: bool = True  # nothing but open was said in the night
    past: list[float] = field(default_factory=list)


class PresenceRules(SeriesEpisodes[Watch]):
    """Follows the hours of each presence sensor's count and door."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(Watch)
        self._catalogue = catalogue

    def read(self, period: Period) -> Iterator[Step]:
        """What fires or ends with this hour."""
        if period.row not in (PEOPLE, OPEN):
            return
        heard = heard_share(period, int(self._catalogue.interval_ms[period.series]))
        if period.row == PEOPLE:
            yield from self._still(period, heard)
        else:
            yield from self._door(period, heard)

    def _watch(self, period: Period, rule: Rule) -> Watch:
        return self.open.setdefault((period.series, rule.name), Watch())

    def _still(self, period: Period, heard: float) -> Iterator[Step]:
        """The same people, a day and all of a night long, where they came and went before."""
        held = self._watch(period, STILL)
        if period.low < period.high or period.high != held.value:
            if held.firing:
                held.firing = False
                yield _step(held, period, STILL, period.high)
            held.changes += 1
            held.value = period.high if period.low == period.high else 0.0
            held.since_ms, held.night, held.heard = period.start_ms, DAY, 0.0
        night = _night(period)
        if night != DAY:
            held.heard = heard + (held.heard if night == held.night else 0.0)
            held.night = night
        if held.value == 0 or held.firing or held.changes < FEW_CHANGES:
            return
        end_ms = period.start_ms + HOUR_MS
        through = held.since_ms <= _dusk_ms(held.night) and end_ms >= _dawn_ms(held.night)
        long = end_ms - held.since_ms >= STILL_HOURS * HOUR_MS
        if through and long and held.heard >= NIGHT_HEARD * NIGHT_HOURS:
            held.firing = True
            yield _step(held, period, STILL, held.value)

    def _door(self, period: Period, heard: float) -> Iterator[Step]:
        """Open all night, where most nights knew it closed."""
        held = self._watch(period, DOOR)
        if held.firing and period.low == 0:
            held.firing = False
            yield _step(held, period, DOOR, 0.0)
        night = _night(period)
        if night != held.night:
            yield from self._end(held, period)
            held.night, held.heard, held.open, held.whole = night, 0.0, 0.0, True
        if night == DAY:
            return
        held.heard, held.open = held.heard + heard, held.open + heard * period.mean
        held.whole &= period.low == 1
        if period.start_ms + HOUR_MS == _dawn_ms(night):
            yield from self._end(held, period)
            held.heard = 0.0

    def _end(self, held: Watch, period: Period) -> Iterator[Step]:
        """Judge the night that is over, and learn it; period: the last of it, or one after it."""
        if held.firing or held.heard < NIGHT_HEARD * NIGHT_HOURS:
            return
        closed = sum(share < CLOSED for share in held.past)
        usual = len(held.past) >= LEARN_NIGHTS and closed > len(held.past) / 2
        if held.whole and usual and period.low == 1:
            held.firing, held.since_ms = True, _dusk_ms(held.night)
            yield _step(held, period, DOOR, 1.0)
            return
        held.past = [*held.past, held.open / held.heard][-NIGHTS:]


def _night(period: Period) -> int:
    """The local day in which the night of that hour began; DAY by day."""
    day, hour = divmod(period.start_ms + UTC_OFFSET_MS - DUSK * HOUR_MS, DAY_MS)
    return day if hour < NIGHT_HOURS * HOUR_MS else DAY


def _dusk_ms(night: int) -> int:
    return night * DAY_MS + DUSK * HOUR_MS - UTC_OFFSET_MS


def _dawn_ms(night: int) -> int:
    return _dusk_ms(night) + NIGHT_HOURS * HOUR_MS


def _step(held: Watch, period: Period, rule: Rule, value: float) -> Step:
    held_ms = period.start_ms + HOUR_MS - held.since_ms
    return say_on(
        period,
        rule,
        "firing" if held.firing else "clear",
        onset_ms=held.since_ms,
        value=value,
        expected=None,
        facts={"held_s": held_ms / 1000, "nights": len(held.past)},
    )

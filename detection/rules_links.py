"""Rules over a quarter of an hour of round trips: another route, a slow way abroad, congestion.

The shortest round trip is the way itself; what is above it is waiting. A way that gets longer moves
the shortest one. Congestion moves the median and leaves the shortest where it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from detection.periods import Period
from detection.rules_periods import Memory, Rule, step_of
from detection.series_episodes import SeriesEpisodes
from detection.waves import Step
from devices.catalogue import Catalogue
from devices.kinds import KINDS, METRICS

LEARN = 24  # quarters of an hour before a way is known
MEMORY = 96  # of about so many quarters is the usual shortest trip
CONFIRM = 2
ROUTE_SHARE, ROUTE_MS = 0.5, 20.0  # a change of route worth telling
ABROAD_SHARE, ABROAD_MS = 0.2, 30.0
SAME_SHARE, SAME_MS = 0.25, 5.0  # the shortest trip is where it was
BACK = 0.4  # of what makes it slow
ACCEPT = 192  # quarters after which a longer way is the usual one
BUSY_FACTOR, BUSY_MS = 1.5, 15.0  # above the busiest quarter of the days before, and of the way
MORE_WAITING = 1.5  # or above the busiest, of its waiting: a long way hides that from a factor
CALM_SHARE = 0.4  # of the way from the busiest quarter to there is calm again
LEARN_DAYS = 1  # working days, of which so many working quarters must have been heard
LEARN_QUARTERS = 16
DAYS = 7

ROUTE = Rule("route-change", "connectivity", "info")
ABROAD = Rule("international-slow", "connectivity", "warning")
BUSY = Rule("congestion", "connectivity", "warning")

PROBE = KINDS["connectivity-probe"].metrics


class LinkRules(SeriesEpisodes[Memory]):
    """Follows the ways of each probe to the national and the international tier."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(Memory)
        self._catalogue = catalogue

    def read(self, period: Period) -> Iterator[Step]:
        """What fires or ends with this period."""
        name = METRICS[period.row].name
        if METRICS[period.row].kind != "connectivity-probe":
            return
        numbers = self._catalogue.numbers_of(self._catalogue[period.series].device.device)
        tier = name[:3]
        floor = numbers.get(f"{tier}_rtt_min_ms", numbers.get(f"{tier}_rtt_p50_ms"))
        if period.series == floor:
            yield from self._way(period, tier, numbers)
        if name == "nat_rtt_p50_ms" and floor is not None:
            yield from self._busy(period, floor)

    def _way(self, period: Period, tier: str, numbers: dict[str, int]) -> Iterator[Step]:
        way = self.open.setdefault((period.series, "way"), Memory())
        if way.count < LEARN:
            way.past = [period.low]
            _learn(way, period.low)
            return
        way.past = [period.low]
        if tier == "nat":
            reach = max(ROUTE_SHARE * way.mean, ROUTE_MS)
            abroad = numbers.get("int_rtt_min_ms", numbers.get("int_rtt_p50_ms", -1))
            yield from self._route(way, period, reach, self.open.get((abroad, "way")))
            return
        national = numbers.get("nat_rtt_min_ms", numbers.get("nat_rtt_p50_ms", -1))
        home = self.open.get((national, "way"))
        if home is not None and _is_same(home):
            yield from self._abroad(way, period, home)

    def _route(
        self, way: Memory, period: Period, reach: float, abroad: Memory | None
    ) -> Iterator[Step]:
        """Told once; the new way is then the usual one, and the way abroad is learned anew."""
        expected = max(0.0, way.mean - reach), way.mean + reach
        if way.firing:
            way.firing = False
            yield step_of(way, period, ROUTE, "clear", period.low, expected)
        if abs(period.low - way.mean) <= reach:
            way.today = []
            _learn(way, period.low)
            return
        way.today.append(period.low)
        if len(way.today) == 1:
            way.onset_ms = period.start_ms
        if len(way.today) >= CONFIRM:
            way.firing, way.today = True, []
            yield _rerouted(way, period, expected)
            way.mean, way.count = period.low, LEARN
            if abroad is not None and not abroad.firing:
                abroad.count, abroad.today = 0, []

    def _abroad(self, way: Memory, period: Period, home: Memory) -> Iterator[Step]:
        """Longer than it was by more than the way within the country is.

        home: that way. A share of what lies beyond it counts: of a satellite's trip little does.
        """
        reach = max(ABROAD_SHARE * (way.mean - home.mean), ABROAD_MS)
        more = period.low - way.mean - max(0.0, home.past[0] - home.mean)
        expected = 0.0, way.mean + reach
        if more > reach:
            way.today.append(period.low)
            if len(way.today) == 1:
                way.onset_ms = period.start_ms
            if len(way.today) >= CONFIRM and not way.firing:
                way.firing = True
                yield step_of(way, period, ABROAD, "firing", period.low, expected)
            if len(way.today) < ACCEPT:
                return
            way.mean, more = period.low, 0.0
        if not way.firing:
            way.today = []
            _learn(way, period.low)
        elif more <= BACK * reach:
            way.firing, way.today = False, []
            yield step_of(way, period, ABROAD, "clear", period.low, expected)

    def _busy(self, period: Period, floor: int) -> Iterator[Step]:
        """Slower than in the busiest quarter of the days before, on the same way.

        What is remembered of a quarter is the waiting, so that it stays right on another way.
        """
        held = self.open.setdefault((period.series, "busy"), Memory())
        if held.day != period.day:
            if held.mean >= LEARN_QUARTERS:
                held.past = [*held.past, max(held.today)][-DAYS:]
            held.day, held.today, held.mean = period.day, [], 0.0
        way = self.open.get((floor, "way"))
        if way is None:
            return
        shortest, waiting = way.mean, max(period.mean - way.mean, 0.0)
        if len(held.past) < LEARN_DAYS:
            _busiest(held, period, waiting)
            return
        usual = max(held.past)
        most = shortest + usual
        limit = max(min(BUSY_FACTOR * most, most + MORE_WAITING * usual), shortest + BUSY_MS)
        if period.mean > limit and _is_same(way):
            held.count += 1
            if held.count == 1:
                held.onset_ms = period.start_ms
            if held.count >= CONFIRM and not held.firing:
                held.firing = True
                yield step_of(held, period, BUSY, "firing", period.mean, (0.0, limit))
            return
        if held.firing and period.mean <= most + CALM_SHARE * (limit - most):
            held.firing = False
            yield step_of(held, period, BUSY, "clear", period.mean, (0.0, limit))
        held.count = 0
        if not held.firing:
            _busiest(held, period, waiting)


def _rerouted(way: Memory, period: Period, expected: tuple[float, float]) -> Step:
    """Says which way the way changed, and what it was."""
    step = step_of(way, period, ROUTE, "firing", period.low, expected)
    side, why = ("low", "shorter") if period.low < way.mean else ("high", "longer")
    return step._replace(facts={**step.facts, "side": side, "why": why, "base": way.mean})


def _learn(way: Memory, low: float) -> None:
    way.count += 1
    way.mean += (low - way.mean) / min(way.count, MEMORY)


def _is_same(way: Memory) -> bool:
    """Whether the shortest trip of the last quarter was where it was before."""
    if not way.past:
        return False
    return abs(way.past[0] - way.mean) <= max(SAME_SHARE * way.mean, SAME_MS)


def _busiest(held: Memory, period: Period, waiting: float) -> None:
    """Remember the most waiting of a working day, ms, and (in `mean`) of how many quarters."""
    if period.working:
        held.mean += 1
        held.today = [max([*held.today, waiting])]

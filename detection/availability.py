"""Availability: what the five-minute bins of a site amount to, with what is not known of it.

Over scheduled bins S = U + G + D + K (up, degraded, down, unknown; excluded ones left out):
availability = (U + G) / (U + G + D), lower = (U + G) / S, upper = (U + G + K) / S,
coverage = (U + G + D) / S, quality_ok = U / (U + G). Unknown counts neither as up nor as down: it
widens the bounds. The service counts as unavailable by loss over a block of time, as in ITU-T
Y.1540; sums over sites are minutes over minutes, SAIFI and SAIDI (IEEE 1366) are outages and
minutes of outage per site.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from detection.outages import BIN_MS, Bin

MERGE_BINS = 2  # outages with fewer bins between them are one
ENOUGH_COVERAGE = 0.9  # below it nothing can be said of having met a target
MINUTES = BIN_MS / 60_000


@dataclass(frozen=True, slots=True)
class Downtime:
    """A run of DOWN bins. minutes: of DOWN bins in it. open: it reaches the last bin known."""

    start_ms: int
    end_ms: int
    minutes: float
    open: bool


@dataclass(frozen=True, slots=True)
class Availability:
    """Bins by state, of one site or of several, and the outages in them.

    Ratios are None where nothing was measured that they could be made of.
    """

    up: int
    degraded: int
    down: int
    unknown: int
    excluded: int
    on_backup: int
    sites: int
    outages: tuple[Downtime, ...]

    @property
    def scheduled(self) -> int:
        """Bins that count."""
        return self.up + self.degraded + self.down + self.unknown

    @property
    def availability(self) -> float | None:
        """Share of the known bins in which the site was reachable."""
        return _share(self.up + self.degraded, self.up + self.degraded + self.down)

    @property
    def lower(self) -> float | None:
        """Availability if everything unknown was down."""
        return _share(self.up + self.degraded, self.scheduled)

    @property
    def upper(self) -> float | None:
        """Availability if everything unknown was up."""
        return _share(self.up + self.degraded + self.unknown, self.scheduled)

    @property
    def coverage(self) -> float | None:
        """Share of the scheduled bins of which the state is known."""
        return _share(self.scheduled - self.unknown, self.scheduled)

    @property
    def quality_ok(self) -> float | None:
        """Share of the reachable bins in which the service was good."""
        return _share(self.up, self.up + self.degraded)

    @property
    def sufficient(self) -> bool:
        """Whether enough is known to say that a target was met or missed."""
        return (self.coverage or 0.0) >= ENOUGH_COVERAGE

    def meets(self, target: float) -> bool | None:
        """Whether availability reached a target (0 to 1); None: insufficient data."""
        availability = self.availability
        if availability is None or not self.sufficient:
            return None
        return availability >= target

    @property
    def mttr_minutes(self) -> float | None:
        """Mean time to repair: minutes down by outages that ended.

        Open outages count with the time that they have lasted and not as ended (right-censored:
        the estimate of an exponential duration). None while none has ended.
        """
        ended = sum(1 for outage in self.outages if not outage.open)
        return sum(outage.minutes for outage in self.outages) / ended if ended else None

    @property
    def mtbf_minutes(self) -> float | None:
        """Mean time between failures: minutes up by outages. None without an outage."""
        return (self.up + self.degraded) * MINUTES / len(self.outages) if self.outages else None

    @property
    def saifi(self) -> float | None:
        """Outages per site."""
        return _share(len(self.outages), self.sites)

    @property
    def saidi_minutes(self) -> float | None:
        """Minutes down per site."""
        return self.down * MINUTES / self.sites if self.sites else None


def availability_of(bins: Iterable[Bin]) -> Availability:
    """Of one site's bins, in order of time, each once with its last revision."""
    rows = list(bins)
    count = dict.fromkeys(("UP", "DEGRADED", "DOWN", "UNKNOWN", "EXCLUDED"), 0)
    for row in rows:
        count[row.state] += 1
    return Availability(
        up=count["UP"],
        degraded=count["DEGRADED"],
        down=count["DOWN"],
        unknown=count["UNKNOWN"],
        excluded=count["EXCLUDED"],
        on_backup=sum(1 for row in rows if row.on_backup),
        sites=1,
        outages=outages_in(rows),
    )


def availability_by_site(bins: Iterable[Bin]) -> dict[str, Availability]:
    """Of bins in order of site and time, by site."""
    return {site: availability_of(rows) for site, rows in groupby(bins, lambda row: row.site)}


def summed(parts: Iterable[Availability]) -> Availability:
    """Several sites together: minutes over minutes, never a mean of percentages."""
    sites = list(parts)
    return Availability(
        up=sum(one.up for one in sites),
        degraded=sum(one.degraded for one in sites),
        down=sum(one.down for one in sites),
        unknown=sum(one.unknown for one in sites),
        excluded=sum(one.excluded for one in sites),
        on_backup=sum(one.on_backup for one in sites),
        sites=sum(one.sites for one in sites),
        outages=tuple(outage for one in sites for outage in one.outages),
    )


def worst(by_site: dict[str, Availability], n: int = 5) -> list[tuple[str, Availability]]:
    """The sites with the lowest availability, worst first; those not known are left out."""
    known = [(site, one) for site, one in by_site.items() if one.availability is not None]
    return sorted(known, key=lambda pair: (pair[1].availability, pair[0]))[:n]


def outages_in(bins: Sequence[Bin]) -> tuple[Downtime, ...]:
    """Runs of DOWN bins in order of time; with fewer than two bins between them they are one."""
    runs: list[list[int]] = []
    for row in bins:
        if row.state != "DOWN":
            continue
        if runs and row.start_ms - runs[-1][-1] <= MERGE_BINS * BIN_MS:
            runs[-1].append(row.start_ms)
        else:
            runs.append([row.start_ms])
    last_ms = bins[-1].start_ms if bins else 0
    return tuple(
        Downtime(run[0], run[-1] + BIN_MS, len(run) * MINUTES, run[-1] == last_ms) for run in runs
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None

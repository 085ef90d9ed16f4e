"""Reading what a report is made of: from the days of bins, or slowly from the bins themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detection.outages import BIN_MS, NO_BIN
from reports.connectivity import Sources
from reports.grids import Grid
from reports.periods import DAY_MS, Period, midnight_ms
from storage.ledger import report_data
from storage.ledger.inventory import SiteRow
from storage.ledger.migrations import Ledger
from storage.ledger.report_data import Within

EMPTY = NO_BIN * (DAY_MS // BIN_MS)
MOST_SITE_DAYS = 160_000  # a quarter of a year of 1,700 sites: 46 MB of bins


class TooMuchError(ValueError):
    """A report over more sites and days than are read at once; the text says how many may be."""


def gather_tests(ledger: Ledger, within: Within, period: Period) -> Sources:
    """The sites, whether they were ever heard or not, and their speed tests; no bins."""
    with ledger.read() as connection:
        sites = report_data.sites_within(connection, within)
        probes = report_data.probes(connection)
        ours = {site.site for site in sites}
        devices = [device for device, (site, _) in probes.items() if site in ours]
        tests = report_data.tests_of(connection, devices, period.start_ms, period.end_ms)
    names = [site.site for site in sites]
    nothing = np.zeros(len(names), np.bool_)
    grid = Grid(names, period.start_ms, np.zeros((len(names), 0), np.uint8), nothing)
    return Sources(sites, grid, tests, probes)


def gather(
    ledger: Ledger, within: Within, period: Period, *, from_bins: bool = False
) -> tuple[Sources, int | None]:
    """What a report is made of, as of one moment, and where the data of the country ends.

    Of the sites those that had a bin by the end of the period. from_bins: count every bin, which
    takes a second for 400,000 of them, instead of reading the days that are kept for it.
    """
    first_ms = midnight_ms(period.days[0])
    with ledger.read() as connection:
        sites = report_data.sites_within(connection, within)
        names = [site.site for site in sites]
        if len(names) * len(period.days) > MOST_SITE_DAYS:
            raise TooMuchError(
                f"{len(names)} sites over {len(period.days)} days are more than"
                f" {MOST_SITE_DAYS} days of sites"
            )
        read_days = report_data.days_in_bins_of if from_bins else report_data.days_of
        days = read_days(connection, names, first_ms, period.end_ms)
        heard = report_data.heard_before(connection, first_ms, from_bins=from_bins)
        probes = report_data.probes(connection)
        ours = set(names)
        devices = [device for device, (site, _) in probes.items() if site in ours]
        tests = report_data.tests_of(connection, devices, period.start_ms, period.end_ms)
        until_ms = report_data.data_until(connection)
        left_out = report_data.left_out(connection, names, period.start_ms, period.end_ms)
        windows = report_data.windows_named(connection, {one.window for one in left_out})
    with_bins = heard | {site for site, _ in days}
    sites = [site for site in sites if site.site in with_bins]
    left_out = [one for one in left_out if one.site in with_bins]
    grid = _grid(sites, days, heard, period)
    return Sources(sites, grid, tests, probes, left_out, windows), until_ms


def _grid(
    sites: Sequence[SiteRow],
    days: dict[tuple[str, int], str],
    heard: set[str],
    period: Period,
) -> Grid:
    starts = [midnight_ms(day) for day in period.days]
    names = [site.site for site in sites]
    joined = "".join([days.get((name, day_ms), EMPTY) for name in names for day_ms in starts])
    letters = np.frombuffer(joined.encode("ascii"), np.uint8)
    return Grid(
        names,
        starts[0],
        letters.reshape(len(names), len(starts) * len(EMPTY)),
        np.array([name in heard for name in names], np.bool_),
    )

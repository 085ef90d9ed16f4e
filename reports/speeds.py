"""Speed tests against what was contracted: counts over counts and medians, for many groups."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
SMALL = 2**15  # fewer groups than that are sorted by a radix sort


@dataclass(frozen=True)
class SpeedColumns:
    """n tests as columns; NaN where something was not measured or no contract says it.

    site: int64[n], row of the site. uplink: int64[n], 1 or 2.
    """

    site: Codes
    uplink: Codes
    down_mbps: Floats
    up_mbps: Floats
    rtt_ms: Floats
    sent: Floats
    rcvd: Floats
    contracted_down_mbps: Floats
    contracted_up_mbps: Floats

    def __len__(self) -> int:
        return len(self.site)

    def take(self, which: Mask) -> SpeedColumns:
        """Those that a mask names."""
        return SpeedColumns(**{one.name: getattr(self, one.name)[which] for one in fields(self)})

    @cached_property
    def in_order(self) -> dict[str, NDArray[np.intp]]:
        """Of each measured column the tests that have a value, the smallest first."""
        names = ("down_mbps", "up_mbps", "rtt_ms")
        return {name: _order(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one group. judged: tests of links whose contract is known; met: at or above its floor.

    enough: there are so many that the share and the medians may be judged by.
    """

    tests: int
    judged: int
    met: int
    enough: bool
    down_p50_mbps: float | None
    up_p50_mbps: float | None
    rtt_p50_ms: float | None
    loss_pct: float | None

    @property
    def share(self) -> float | None:
        """Share of the judged tests that met the contract; None with too few of them."""
        return self.met / self.judged if self.enough and self.judged else None


def meets_contract(tests: SpeedColumns, floor_pct: float) -> tuple[Mask, Mask]:
    """(judged, met): whether a contract speaks of the test, and whether both ways reach its floor.

    A way without a contract, or that was not measured, is not judged.
    """
    floor = floor_pct / 100
    judged = np.zeros(len(tests), np.bool_)
    met = np.ones(len(tests), np.bool_)
    for got, contracted in (
        (tests.down_mbps, tests.contracted_down_mbps),
        (tests.up_mbps, tests.contracted_up_mbps),
    ):
        can = ~np.isnan(got) & ~np.isnan(contracted)
        judged |= can
        met &= ~can | (got >= floor * np.nan_to_num(contracted))
    return judged, met & judged


def speeds_of(
    tests: SpeedColumns, group: Codes, groups: int, *, floor_pct: float, least_tests: int
) -> list[Speed]:
    """Of each group 0 to `groups` - 1, the tests whose group it is; group -1 is left out."""
    judged, met = meets_contract(tests, floor_pct)
    known = ~np.isnan(tests.sent + tests.rcvd)
    ours = group >= 0
    counts, judged_of, met_of = (
        np.bincount(group[which], minlength=groups).tolist()
        for which in (ours, judged & ours, met & ours)
    )
    sent, rcvd = (
        np.bincount(group[known & ours], weights=column[known & ours], minlength=groups).tolist()
        for column in (tests.sent, tests.rcvd)
    )
    down, up, rtt = (
        _medians(getattr(tests, name), order, group, groups)
        for name, order in tests.in_order.items()
    )
    return [
        Speed(
            counts[n],
            judged_of[n],
            met_of[n],
            counts[n] >= least_tests,
            down[n],
            up[n],
            rtt[n],
            100 * (1 - rcvd[n] / sent[n]) if sent[n] else None,
        )
        for n in range(groups)
    ]


def medians(values: Floats, group: Codes, groups: int) -> list[float | None]:
    """The median of the values of each group, None without any; NaN is no value."""
    return _medians(values, _order(values), group, groups)


def _order(values: Floats) -> NDArray[np.intp]:
    order = np.argsort(values, kind="stable")  # NaN comes last
    return order[: len(values) - int(np.isnan(values).sum())]


def _medians(
    values: Floats, order: NDArray[np.intp], group: Codes, groups: int
) -> list[float | None]:
    order = order[group[order] >= 0]
    of_group = group[order].astype(np.int16 if groups < SMALL else np.int64)
    counts = np.bincount(of_group, minlength=groups)
    sorted_values = values[order[np.argsort(of_group, kind="stable")]]
    starts = np.cumsum(counts) - counts
    some = np.flatnonzero(counts)
    low = sorted_values[starts[some] + (counts[some] - 1) // 2]
    high = sorted_values[starts[some] + counts[some] // 2]
    out: list[float | None] = [None] * groups
    for n, middle in zip(some.tolist(), ((low + high) / 2).tolist(), strict=True):
        out[n] = middle
    return out

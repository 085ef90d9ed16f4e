"""Speed tests against what was contracted: counts over counts and medians, for many groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SpeedColumns:
    """n tests as columns; NaN where something was not measured or no contract says it.

    site: int64[n], row of the site. uplink: int64[n], 1 or 2. at_ms: int64[n].
    """

    site: Codes
    uplink: Codes
    at_ms: Codes
    down_mbps: Floats
    up_mbps: Floats
    rtt_ms: Floats
    sent: Floats
    rcvd: Floats
    contracted_down_mbps: Floats
    contracted_up_mbps: Floats

    def __len__(self) -> int:
        return len(self.site)

    def take(self, which: NDArray[np.bool_]) -> SpeedColumns:
        """Those that a mask names."""
        return SpeedColumns(**{name: getattr(self, name)[which] for name in self.__slots__})


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


def meets_contract(
    tests: SpeedColumns, floor_pct: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(judged, met): whether a contract speaks of the test, and whether both ways reach its floor.

    A way without a contract is not judged; one that was not measured does not judge the test.
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
    tests, group = tests.take(group >= 0), group[group >= 0]
    judged, met = meets_contract(tests, floor_pct)
    counts = np.bincount(group, minlength=groups).tolist()
    judged_of = np.bincount(group[judged], minlength=groups).tolist()
    met_of = np.bincount(group[met], minlength=groups).tolist()
    down = medians(tests.down_mbps, group, groups)
    up = medians(tests.up_mbps, group, groups)
    rtt = medians(tests.rtt_ms, group, groups)
    known = ~np.isnan(tests.sent + tests.rcvd)
    sent = np.bincount(group[known], weights=tests.sent[known], minlength=groups)
    rcvd = np.bincount(group[known], weights=tests.rcvd[known], minlength=groups)
    return [
        Speed(
            counts[n],
            judged_of[n],
            met_of[n],
            counts[n] >= least_tests,
            down[n],
            up[n],
            rtt[n],
            float(100 * (1 - rcvd[n] / sent[n])) if sent[n] else None,
        )
        for n in range(groups)
    ]


def medians(values: Floats, group: Codes, groups: int) -> list[float | None]:
    """The median of the values of each group, None without any; NaN is no value."""
    known = ~np.isnan(values)
    values, group = values[known], group[known]
    order = np.argsort(values, kind="stable")
    order = order[np.argsort(group[order], kind="stable")]
    values = values[order]
    counts = np.bincount(group, minlength=groups)
    starts = np.cumsum(counts) - counts
    out: list[float | None] = []
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        if not count:
            out.append(None)
            continue
        low, high = values[start + (count - 1) // 2], values[start + count // 2]
        out.append(float(low + high) / 2)
    return out

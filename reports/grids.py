"""Bins of many sites as one array of characters, and what they amount to. All of it is counting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from detection.availability import MERGE_BINS, MINUTES, Availability, Downtime
from detection.outages import BIN_MS, LETTERS, NO_BIN
from storage.ledger.report_data import LeftOut

DOT = ord(NO_BIN)
CAPITAL = 0xDF  # masks the bit by which a letter is in lower case: on backup
NO_REASONS: Mapping[str, str] = MappingProxyType({})
CODES = {state: ord(letter) for state, letter in LETTERS.items()}

Letters = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grid:
    """letters: uint8[sites, bins], from start_ms on. heard: bool[sites], had bins before that."""

    sites: list[str]
    start_ms: int
    letters: Letters
    heard: Mask


@dataclass(frozen=True, slots=True)
class SiteTally:
    """A site's bins in a report. not_started: before its first. reasons: excluded, by reason."""

    availability: Availability
    not_started: int
    reasons: dict[str, int] = field(default_factory=dict)


def tally(
    grid: Grid,
    counted: Mask,
    left_out: Sequence[LeftOut] = (),
    reasons: Mapping[str, str] = NO_REASONS,
) -> list[SiteTally]:
    """Of each site, its bins by state where counted (bool[bins]) is set, and its outages.

    A bin that was not published is unknown once the site had one before, and not counted earlier.
    An outage that begins or ends outside what is counted is cut to it; one that goes on over a
    night is one. reasons: of windows, why they left out the bins of left_out.
    """
    missing = grid.letters == DOT
    first = np.where(missing.all(axis=1), missing.shape[1], (~missing).argmax(axis=1))
    begun = np.arange(missing.shape[1]) >= np.where(grid.heard, 0, first)[:, None]
    state: Letters = grid.letters & np.uint8(CAPITAL)
    state[missing] = 0
    state[missing & begun] = CODES["UNKNOWN"]
    why = _reasons(state, grid, counted, left_out, reasons)
    kept = state[:, counted]
    on_backup = (grid.letters[:, counted] > ord("Z")) & (kept != CODES["EXCLUDED"])
    counts = {name: (kept == code).sum(axis=1).tolist() for name, code in CODES.items()}
    backups, before = on_backup.sum(axis=1).tolist(), (kept == 0).sum(axis=1).tolist()
    outages = _outages(state == CODES["DOWN"], counted, _last(missing), grid.start_ms)
    return [
        SiteTally(
            Availability(
                up=counts["UP"][n],
                degraded=counts["DEGRADED"][n],
                down=counts["DOWN"][n],
                unknown=counts["UNKNOWN"][n],
                excluded=counts["EXCLUDED"][n],
                on_backup=backups[n],
                sites=1,
                outages=tuple(outages[n]),
            ),
            before[n],
            why[n],
        )
        for n in range(len(grid.sites))
    ]


def _reasons(
    state: Letters,
    grid: Grid,
    counted: Mask,
    left_out: Sequence[LeftOut],
    reasons: Mapping[str, str],
) -> list[dict[str, int]]:
    """How many of the bins that count are excluded, by reason; "" where none is known."""
    excluded = (state == CODES["EXCLUDED"]) & counted
    found: list[dict[str, int]] = [{} for _ in grid.sites]
    rows = {site: n for n, site in enumerate(grid.sites)}
    for one in left_out:
        n, place = rows[one.site], (one.start_ms - grid.start_ms) // BIN_MS
        reason = reasons.get(one.window, "")
        if reason and excluded[n, place]:
            found[n][reason] = found[n].get(reason, 0) + 1
    for row, total in zip(found, excluded.sum(axis=1).tolist(), strict=True):
        if total > sum(row.values()):
            row[""] = total - sum(row.values())
    return found


def _last(missing: Mask) -> NDArray[np.int64]:
    """int64[sites]: the last bin that was published, -1 for none."""
    n = missing.shape[1]
    last = n - 1 - (~missing[:, ::-1]).argmax(axis=1)
    return np.where(missing.all(axis=1), -1, last)


def _outages(
    down: Mask, counted: Mask, last: NDArray[np.int64], start_ms: int
) -> list[list[Downtime]]:
    """Of each row: runs with fewer than MERGE_BINS bins between them are one."""
    found: list[list[Downtime]] = [[] for _ in range(len(down))]
    row, column = down.nonzero()
    if not len(row):
        return found
    new = np.ones(len(row), np.bool_)
    new[1:] = (np.diff(row) != 0) | (np.diff(column) > MERGE_BINS)
    run = new.cumsum() - 1
    ends = np.flatnonzero(np.append(new[1:], True))
    is_open = column[ends] == last[row[ends]]
    inside = counted[column]
    row, column, run = row[inside], column[inside], run[inside]
    numbers, firsts, counts = np.unique(run, return_index=True, return_counts=True)
    lasts = firsts + counts - 1
    for number, at, until, count in zip(
        numbers.tolist(), firsts.tolist(), lasts.tolist(), counts.tolist(), strict=True
    ):
        found[int(row[at])].append(
            Downtime(
                start_ms + int(column[at]) * BIN_MS,
                start_ms + (int(column[until]) + 1) * BIN_MS,
                count * MINUTES,
                bool(is_open[number]),
            )
        )
    return found

"""Bins: the state of every site in every five minutes, and what of it was published."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.connectivity.fleet import Fleet
from detection.connectivity.masks import (
    COVER_ALIVE,
    COVER_BAD,
    COVER_GOOD,
    RING,
    Masks,
    Numbers,
)
from detection.muting import Excluded
from detection.outages import BIN_MS, WHOLE_SITE, Bin, BinState

STATES: tuple[BinState, ...] = ("UNKNOWN", "UP", "DEGRADED", "DOWN", "EXCLUDED")
UNKNOWN, UP, DEGRADED, DOWN, EXCLUDED = range(5)
NOTHING = -1  # of an uplink that no device reports through
FAILED_ROUNDS = 2  # in a bin in which the site was heard: a single one was a short break
SETTLING_MS = 20_000  # a round may be this long on its way

Codes = NDArray[np.int8]


class Dark(NamedTuple):
    """A time in which silence means DOWN: from onset_ms to before end_ms.

    uplink: 1 or 2, or the whole site. good_ms: last good measurement before; up to onset_ms it
    speaks for the site. end_ms None: it lasts.
    """

    uplink: int
    good_ms: int
    onset_ms: int
    end_ms: int | None


class BinBook:
    """Published bins by site. Their states follow from masks, dark times and exclusions only."""

    def __init__(self, fleet: Fleet, masks: Masks) -> None:
        self._fleet = fleet
        self._masks = masks
        self.state = np.zeros((0, RING), np.int8)
        self.backup = np.zeros((0, RING), np.bool_)
        self.revision = np.zeros((0, RING), np.uint16)
        self.following = np.zeros(0, np.int64)  # next bin to publish; 0: site not heard yet
        self.dark: list[list[Dark]] = []
        self.excluded: list[Excluded] = []
        self._places: list[NDArray[np.bool_]] = []  # of `excluded`: which sites each is about
        self.stale: set[tuple[int, int]] = set()  # (site, bin) to judge anew
        self.changed: list[Bin] = []

    @property
    def oldest_ms(self) -> int:
        """Start of the oldest bin that can still be revised."""
        return self._masks.oldest * BIN_MS

    def grow(self) -> None:
        """Have a row for every site that there is by now."""
        missing = len(self._fleet.sites) - len(self.state)
        if missing <= 0:
            return
        for name in ("state", "backup", "revision"):
            rows = getattr(self, name)
            setattr(self, name, np.concatenate([rows, np.zeros((missing, RING), rows.dtype)]))
        self.following = np.concatenate([self.following, np.zeros(missing, np.int64)])
        self.dark += [[] for _ in range(missing)]

    def advance(self, newest: int) -> None:
        """Make room for bins up to this one, in the masks too."""
        before = self._masks.newest
        self._masks.advance(newest)
        if newest > before:
            fresh = np.arange(max(before + 1, newest - RING + 1), newest + 1) % RING
            self.revision[:, fresh] = 0

    def begin(self, sites: Numbers, at_ms: Numbers) -> None:
        """These sites were heard at these times: the first time their bins begin."""
        new = self.following[sites] == 0
        for site, at in zip(sites[new].tolist(), at_ms[new].tolist(), strict=True):
            if self.following[site] == 0:
                self.following[site] = at // BIN_MS

    def touch(self, sites: Numbers, at_ms: Numbers, interval_ms: Numbers) -> None:
        """Something was learned of these times: published bins that it may change are stale."""
        bins = at_ms // BIN_MS
        first = (at_ms - (1.1 * interval_ms).astype(np.int64)) // BIN_MS
        old = first < self.following[sites]
        if not old.any():
            return
        spans = zip(sites[old].tolist(), first[old].tolist(), bins[old].tolist(), strict=True)
        for site, low, high in spans:
            self._stale_range(site, low, high)

    def darken(self, site: int, dark: Iterable[Dark]) -> None:
        """Replace the dark times of a site."""
        new = list(dark)
        old = self.dark[site]
        if new == old:
            return
        self.dark[site] = new
        for one in {*new, *old} - ({*new} & {*old}):
            end_ms = one.end_ms if one.end_ms is not None else self._masks.newest * BIN_MS
            self._stale_range(site, one.good_ms // BIN_MS, end_ms // BIN_MS)

    def plan(self, excluded: Iterable[Excluded]) -> None:
        """Leave out exactly these times, also such as have passed already."""
        new = [one for one in excluded if one.end_ms > self.oldest_ms]
        before, self.excluded, self._places = self.excluded, new, []
        for one in {*before} ^ {*new}:
            first, last = one.start_ms // BIN_MS, one.end_ms // BIN_MS
            for site in self._place_of(one).nonzero()[0].tolist():
                self._stale_range(site, first, last)

    def tick(self, now_ms: int) -> None:
        """Publish the bins that are complete, and those that have changed."""
        pairs = self._due(now_ms) + sorted(self.stale)
        self.stale.clear()
        if pairs:
            sites, bins = np.array(pairs, np.int64).T
            self._publish(sites, bins)
            self._forget()

    def take(self) -> list[Bin]:
        """Bins that were published or revised since the last call."""
        changed, self.changed = self.changed, []
        return changed

    def judge(self, sites: Numbers, bins: Numbers) -> tuple[Codes, NDArray[np.bool_]]:
        """State and on_backup of these bins of these sites, pair by pair."""
        dark = self._dark_of(sites, bins)
        first, primary_backup = self._judge_uplink(sites, bins, 0, dark)
        second, _ = self._judge_uplink(sites, bins, 1, dark)
        codes = np.full(len(sites), UNKNOWN, np.int8)
        for code in (DOWN, UNKNOWN, DEGRADED, UP):
            codes[(first == code) | (second == code)] = code
        reached = (codes == UP) | (codes == DEGRADED)
        alone = (first == DOWN) & ((second == UP) | (second == DEGRADED))
        codes[self._excluded_by(sites, bins) >= 0] = EXCLUDED
        return codes, (alone | primary_backup) & reached

    def _judge_uplink(
        self, sites: Numbers, bins: Numbers, uplink: int, dark: dict[str, NDArray[np.bool_]]
    ) -> tuple[Codes, NDArray[np.bool_]]:
        rows = sites * 2 + uplink
        seen = {name: self._masks.of(name, rows, bins) for name in self._masks.slots}
        cover = self._masks.covers(rows, bins)
        good, poor = np.bitwise_count(seen["good"]), np.bitwise_count(seen["poor"])
        lasts = dark["lasts"][:, uplink]
        bad = np.bitwise_count(seen["bad"])
        proven = lasts | (bad >= FAILED_ROUNDS) | (seen["alive"] == 0)
        codes = np.select(
            [
                (good > 0) & (2 * poor > good),
                good > 0,
                (bad > 0) & proven,
                seen["alive"] > 0,
                lasts,
                (cover & (COVER_GOOD | COVER_ALIVE)) > 0,
                dark["before"][:, uplink],
                (cover & COVER_BAD) > 0,
            ],
            [DEGRADED, UP, DOWN, UP, DOWN, UP, UP, DOWN],
            UNKNOWN,
        ).astype(np.int8)
        codes[~self._fleet.reports(sites, uplink)] = NOTHING
        backup = np.bitwise_count(seen["backup"])
        heard = np.maximum(good, np.bitwise_count(seen["alive"] & seen["backup"]))
        return codes, (backup > 0) & (2 * backup >= heard)

    def _dark_of(self, sites: Numbers, bins: Numbers) -> dict[str, NDArray[np.bool_]]:
        lasts = np.zeros((len(sites), 2), np.bool_)
        before = np.zeros((len(sites), 2), np.bool_)
        for site in np.unique(sites).tolist():
            for one in self.dark[site]:
                which = sites == site
                uplinks = (0, 1) if one.uplink == WHOLE_SITE else (one.uplink - 1,)
                start, end = bins * BIN_MS, (bins + 1) * BIN_MS
                inside = which & (end > one.onset_ms)
                if one.end_ms is not None:
                    inside &= start < one.end_ms
                lead = which & (end > one.good_ms) & (start < one.onset_ms)
                for uplink in uplinks:
                    lasts[:, uplink] |= inside
                    before[:, uplink] |= lead
        return {"lasts": lasts, "before": before}

    def _excluded_by(self, sites: Numbers, bins: Numbers) -> Numbers:
        """Which of `excluded` covers each bin by more than half, so that it does not count; or -1.

        Of several it is the first.
        """
        found = np.full(len(sites), -1, np.int64)
        if not self.excluded or not len(sites):
            return found
        if not self._places or len(self._places[0]) != len(self._fleet.sites):
            self._places = [self._place_of(one) for one in self.excluded]
        first_ms, last_ms = int(bins.min()) * BIN_MS, (int(bins.max()) + 1) * BIN_MS
        for number, one in enumerate(self.excluded):
            if one.start_ms < last_ms and one.end_ms > first_ms:
                start = np.maximum(bins * BIN_MS, one.start_ms)
                end = np.minimum((bins + 1) * BIN_MS, one.end_ms)
                covered = (end - start > BIN_MS // 2) & self._places[number][sites]
                found[covered & (found < 0)] = number
        return found

    def _place_of(self, one: Excluded) -> NDArray[np.bool_]:
        """Which sites, by number, an exclusion is about."""
        if one.sites is None:
            return np.ones(len(self._fleet.sites), np.bool_)
        inside = set(one.sites)
        return np.array([name in inside for name in self._fleet.sites], np.bool_)

    def _due(self, now_ms: int) -> list[tuple[int, int]]:
        """Bins that are complete: every round that speaks for them had the time to come."""
        waits = np.maximum(self._fleet.waits_ms(), 60_000) + SETTLING_MS
        last = (now_ms - waits) // BIN_MS - 1
        last = np.minimum(last, self._masks.newest)
        due = []
        for site in ((self.following > 0) & (self.following <= last)).nonzero()[0].tolist():
            start = max(int(self.following[site]), self._masks.oldest)
            due += [(site, number) for number in range(start, int(last[site]) + 1)]
            self.following[site] = last[site] + 1
        return due

    def _publish(self, sites: Numbers, bins: Numbers) -> None:
        codes, backup = self.judge(sites, bins)
        columns = bins % RING
        revision = self.revision[sites, columns]
        new = revision == 0
        changed = new | (self.state[sites, columns] != codes)
        changed |= self.backup[sites, columns] != backup
        which = changed.nonzero()[0]
        sites, columns = sites[which], columns[which]
        self.state[sites, columns] = codes[which]
        self.backup[sites, columns] = backup[which]
        self.revision[sites, columns] = revision[which] + 1
        names = self._fleet.sites
        rows = zip(
            sites.tolist(),
            bins[which].tolist(),
            codes[which].tolist(),
            backup[which].tolist(),
            (revision[which] + 1).tolist(),
            self._excluded_by(sites, bins[which]).tolist(),
            strict=True,
        )
        self.changed += [
            Bin(names[site], start * BIN_MS, STATES[code], on_backup, number, self._window(by))
            for site, start, code, on_backup, number, by in rows
        ]

    def _window(self, number: int) -> str | None:
        return None if number < 0 else self.excluded[number].window

    def _stale_range(self, site: int, first: int, last: int) -> None:
        """Published bins among these must be judged anew."""
        low = max(first, self._masks.oldest)
        for number in range(low, min(last, int(self.following[site]) - 1) + 1):
            if self.revision[site, number % RING]:
                self.stale.add((site, number))

    def _forget(self) -> None:
        """Let go of times that no kept bin needs."""
        oldest_ms = self._masks.oldest * BIN_MS
        kept = [one for one in self.excluded if one.end_ms > oldest_ms]
        if len(kept) < len(self.excluded):
            self.excluded, self._places = kept, []
        for site, dark in enumerate(self.dark):
            if dark:
                self.dark[site] = [d for d in dark if d.end_ms is None or d.end_ms > oldest_ms]

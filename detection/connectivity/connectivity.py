"""Connectivity: from what devices say, and do not say, to outages and five-minute bins."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from detection.connectivity.bins import BinBook
from detection.connectivity.book import CaseBook
from detection.connectivity.fleet import Fleet
from detection.connectivity.hearing import Hearing
from detection.connectivity.masks import Masks
from detection.connectivity.sessions import Sessions
from detection.connectivity.snapshot import State, open_snapshot
from detection.heard import Heard
from detection.muting import Excluded
from detection.outages import BIN_MS, Bin, Outage
from devices.catalogue import Catalogue
from devices.registry import Registry

DOWN_ROUNDS = 2  # prompt rounds in a row that find the network dead
BACKUP_ROUNDS = 2
ENOUGH_ROUNDS = 20  # before the absence of a name or a page means that it failed
ALWAYS = 0.9


class Connectivity:
    """Outages and bins of every site. No clock, no I/O, not thread-safe.

    `hear` keeps what was said, `tick` draws the conclusions: how messages are cut into batches
    between two ticks changes nothing. Cost: about a microsecond a round in batches of hundreds.
    """

    def __init__(self, catalogue: Catalogue, registry: Registry) -> None:
        self._catalogue = catalogue
        self._begin(registry)

    def _begin(self, registry: Registry) -> None:
        self._fleet = Fleet(self._catalogue, registry)
        self._sessions = Sessions()
        self._masks = Masks()
        self._bins = BinBook(self._fleet, self._masks)
        self._book = CaseBook(self._fleet, self._sessions, self._bins)
        self._hearing = Hearing(
            self._catalogue, self._fleet, self._sessions, self._masks, self._bins, self._book
        )

    def use(self, registry: Registry) -> None:
        """Judge by this registry from now on; bins that were published stay as they are."""
        self._fleet.use(registry)
        self._hearing.forget_links()

    def hear(self, heard: Heard) -> None:
        """Take a batch, live and late, in order of arrival."""
        self._grow()
        self._hearing.hear(heard)

    def tick(self, now_ms: int) -> None:
        """Let time pass. Everything received up to now_ms must have been heard."""
        self._grow()
        self._bins.advance(now_ms // BIN_MS)
        self._expect()
        self._tick_returns(now_ms)
        overdue = self._sessions.overdue(now_ms, self._fleet.rows["interval_ms"])
        if len(overdue):
            self._book.fell(overdue.tolist(), now_ms)
        self._tick_measured(now_ms)
        for number in sorted(self._hearing.flapping):
            self._book.flapped(number, now_ms)
        self._hearing.flapping.clear()
        self._book.tick(now_ms)
        self._bins.tick(now_ms)

    def resume(self, now_ms: int) -> None:
        """Nobody listened until now_ms, or the clock was set back to it: no device is silent yet.

        Every device has its whole timeout again from now_ms on. Outages that are open stay open.
        """
        self._sessions.resumed_ms = now_ms
        received = self._sessions.rows["received"]
        self._sessions.rows["received"] = np.minimum(received, now_ms)

    def plan(self, excluded: Iterable[Excluded]) -> None:
        """Leave exactly these times out of the account of their sites.

        Published bins that this changes are published anew by the next tick.
        """
        self._grow()
        self._bins.plan(excluded)

    def take_outages(self) -> list[Outage]:
        """Outages that changed by the ticks since the last call, each as it is now."""
        return self._book.telling.take()

    def take_bins(self) -> list[Bin]:
        """Bins that were published or revised by the ticks since the last call."""
        return self._bins.take()

    def snapshot(self) -> bytes:
        """All state as bytes for `restore`, by names of devices and sites."""
        self._grow()
        return self._state().pack()

    def restore(self, state: bytes) -> None:
        """Go on exactly where the snapshot was taken, under the catalogue's numbers of today.

        What catalogue and registry do not know any more is left out. Raises SnapshotError, and
        changes nothing, when the bytes are damaged or of another version.
        """
        header, arrays = open_snapshot(state)
        self._begin(self._fleet.registry)
        self._grow()
        self._state().unpack(header, arrays)

    def _state(self) -> State:
        flapping = self._hearing.flapping
        return State(self._fleet, self._sessions, self._masks, self._bins, self._book, flapping)

    def _grow(self) -> None:
        if self._fleet.grow():
            self._sessions.grow(len(self._fleet.rows))
            self._masks.grow(len(self._fleet.sites))
            self._bins.grow()

    def _expect(self) -> None:
        """Draw from their habits which devices always bring a name and a page."""
        rows = self._sessions.rows
        enough = rows["reached_rounds"] >= ENOUGH_ROUNDS
        rows["names"] = enough & (rows["name_rounds"] > ALWAYS * rows["reached_rounds"])
        rows["page"] = enough & (rows["page_rounds"] > ALWAYS * rows["reached_rounds"])

    def _tick_returns(self, now_ms: int) -> None:
        rows = self._sessions.rows
        back = (rows["silent"] & (rows["back_ms"] > 0)).nonzero()[0]
        for number in back[np.argsort(rows["back_ms"][back], kind="stable")].tolist():
            self._book.came_back(number, now_ms)

    def _tick_measured(self, now_ms: int) -> None:
        rows = self._sessions.rows
        for number in ((rows["bad_rounds"] >= DOWN_ROUNDS) & ~rows["silent"]).nonzero()[0].tolist():
            self._book.measured_down(number, now_ms)
        for number in (rows["backup_rounds"] >= BACKUP_ROUNDS).nonzero()[0].tolist():
            self._book.on_backup(number, now_ms)
        linked = (rows["case"] >= 0) & ~rows["silent"] & (rows["bad_rounds"] == 0)
        for number in linked.nonzero()[0].tolist():
            self._book.measured_up(number, now_ms)

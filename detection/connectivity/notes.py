"""Notes: what every round adds to the masks of its uplink and to what is known of its device."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.connectivity.backup import speaks_over_backup
from detection.connectivity.bins import BinBook
from detection.connectivity.fleet import Fleet
from detection.connectivity.masks import COVER_ALIVE, COVER_BAD, COVER_GOOD, Masks
from detection.connectivity.rounds import BAD, COLUMN, GOOD, MAINS, NO_MAINS, POOR, Said
from detection.connectivity.sessions import Sessions, Signal
from detection.heard import Heard

PROMPT_MS = 30_000  # a round that took longer to arrive waited for the link it tells of


class Notes:
    """Takes the rounds of a batch all at once. event_ms: int64, one for each round."""

    def __init__(self, fleet: Fleet, sessions: Sessions, masks: Masks, bins: BinBook) -> None:
        self._fleet = fleet
        self._sessions = sessions
        self._masks = masks
        self._bins = bins
        self._on_backup: dict[tuple[int, str, str], bool | None] = {}

    def forget_links(self) -> None:
        """The registry has changed: which link is a backup is looked up anew."""
        self._on_backup.clear()

    def take(
        self, heard: Heard, said: Said, event_ms: NDArray[np.int64], backup: NDArray[np.int8]
    ) -> None:
        """Note a batch. backup: as `backup_of` gave it."""
        self._see(heard, said, event_ms, backup)
        self._count_habits(heard, said)
        self._recall_signals(heard, said)

    def _see(
        self, heard: Heard, said: Said, event_ms: NDArray[np.int64], backup: NDArray[np.int8]
    ) -> None:
        """Put every round into the masks of its uplink."""
        rounds = heard.rounds
        fleet: Any = self._fleet.rows[rounds.device]
        known = fleet["site"] >= 0
        site, interval_ms = fleet["site"].astype(np.int64), fleet["interval_ms"]
        row = site * 2 + fleet["uplink"]
        received_ms = rounds.received_ms
        self._masks.set("alive", row[known], received_ms[known])
        self._masks.speak_for(COVER_ALIVE, row[known], received_ms[known], interval_ms[known])
        for name, mark, cover in (
            ("good", GOOD, COVER_GOOD),
            ("bad", BAD, COVER_BAD),
            ("poor", POOR, 0),
        ):
            which = known & ((said.marks & mark) > 0)
            self._masks.set(name, row[which], event_ms[which])
            if cover:
                self._masks.speak_for(cover, row[which], event_ms[which], interval_ms[which])
        away = known & (backup == 1)
        self._masks.set("backup", row[away], event_ms[away])
        self._bins.begin(site[known], received_ms[known])
        self._bins.touch(site[known], event_ms[known], interval_ms[known])
        self._bins.touch(site[known], received_ms[known], interval_ms[known])

    def is_good(
        self, heard: Heard, said: Said, event_ms: NDArray[np.int64], backup: NDArray[np.int8]
    ) -> NDArray[np.bool_]:
        """Live rounds that prove that the device's own link worked when they were measured.

        A probe measures that; of another device's round its prompt arrival is the proof. What
        came over a backup proves nothing of it.
        """
        fleet: Any = self._fleet.rows[heard.rounds.device]
        lag_ms = heard.rounds.received_ms - event_ms
        prompt = lag_ms <= np.maximum(fleet["interval_ms"] // 2, PROMPT_MS)
        measured = (said.marks & (GOOD | BAD)) > 0
        good: NDArray[np.bool_] = np.where(measured, (said.marks & GOOD) > 0, prompt)
        good &= ~heard.rounds.late & (backup != 1)
        return good

    def _count_habits(self, heard: Heard, said: Said) -> None:
        """Count how often a device's live rounds that reach the network bring names and pages."""
        state = self._sessions.rows
        reached = ((said.marks & GOOD) > 0) & ~heard.rounds.late
        device = heard.rounds.device
        names = reached & ~np.isnan(said.facts[:, COLUMN["dns_ms"]])
        page = ~np.isnan(said.facts[:, COLUMN["http_status"]])
        page |= ~np.isnan(said.facts[:, COLUMN["http_total_ms"]])
        np.add.at(state["reached_rounds"], device[reached], 1)
        np.add.at(state["name_rounds"], device[names], 1)
        np.add.at(state["page_rounds"], device[reached & page], 1)

    def _recall_signals(self, heard: Heard, said: Said) -> None:
        signal = said.facts[:, [COLUMN[name] for name in ("esno_db", "rsrp_dbm", "sinr_db")]]
        has = np.isfinite(signal).any(axis=1) & ~heard.rounds.late
        for place in has.nonzero()[0].tolist():
            number = int(heard.rounds.device[place])
            self._sessions.signals[number].append(Signal(*signal[place].tolist()))
        mains = (said.marks & (MAINS | NO_MAINS)) > 0
        for place in (mains & ~heard.rounds.late).nonzero()[0].tolist():
            on = not said.marks[place] & NO_MAINS
            self._sessions.rows["mains"][heard.rounds.device[place]] = on

    def backup_of(self, heard: Heard) -> NDArray[np.int8]:
        """By round: 1 over a backup, 0 over its own uplink, -1 where it does not say."""
        backup = np.full(len(heard.rounds), -1, np.int8)
        for place, attributes in heard.rounds.attributes.items():
            number = int(heard.rounds.device[place])
            active, provider = attributes.get("link_active", ""), attributes.get("provider", "")
            key = number, active, provider
            if (active or provider) and key not in self._on_backup:
                self._on_backup[key] = self._says_backup(number, attributes)
            said = self._on_backup.get(key)
            if said is not None:
                backup[place] = said
        return backup

    def _says_backup(self, number: int, attributes: dict[str, str]) -> bool | None:
        site_number = int(self._fleet.rows["site"][number])
        site = None if site_number < 0 else self._fleet.site_of(site_number)
        if site is None:
            return None
        return speaks_over_backup(attributes, site, int(self._fleet.rows["uplink"][number]) + 1)

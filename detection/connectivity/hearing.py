"""Hearing: what rounds and statuses say of the sessions and open cases of their devices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.connectivity.bins import BinBook
from detection.connectivity.book import CaseBook
from detection.connectivity.fleet import Fleet
from detection.connectivity.masks import Masks
from detection.connectivity.notes import PROMPT_MS, Notes
from detection.connectivity.rounds import BAD, COLUMN, GOOD, MAINS, NO_MAINS, Said, read_rounds
from detection.connectivity.sessions import Sessions
from detection.connectivity.witnesses import FLAPS
from detection.heard import Heard, RefusedRound, StatusHeard
from detection.outages import BIN_MS
from devices.catalogue import Catalogue

RETAINED_MS = 300_000  # a birth older than this was kept by the broker


class Hearing:
    """Keeps what is said, and draws no conclusions: those are for the next tick.

    flapping: devices whose sessions change all the time, until a tick has taken them.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        fleet: Fleet,
        sessions: Sessions,
        masks: Masks,
        bins: BinBook,
        book: CaseBook,
    ) -> None:
        self.flapping: set[int] = set()
        self._catalogue = catalogue
        self._fleet = fleet
        self._sessions = sessions
        self._masks = masks
        self._bins = bins
        self._book = book
        self._notes = Notes(fleet, sessions, masks, bins)

    def hear(self, heard: Heard) -> None:
        """Take a batch, live and late, in order of arrival."""
        if heard.refused_rounds:
            contacts = map(_contact, heard.refused_rounds)
            heard = replace(heard, statuses=[*heard.statuses, *contacts])
        if len(heard.rounds):
            self._hear_rounds(heard)
        else:
            for status in sorted(heard.statuses, key=lambda status: status.received_ms):
                self._hear_status(status)

    def forget_links(self) -> None:
        """The registry is another one; see `Notes`."""
        self._notes.forget_links()

    def _hear_rounds(self, heard: Heard) -> None:
        rounds, state = heard.rounds, self._sessions.rows
        self._bins.advance(int(rounds.received_ms.max()) // BIN_MS)
        said = read_rounds(heard, self._catalogue, self._fleet, state)
        device = rounds.device
        event_ms = np.minimum(rounds.at_ms, rounds.received_ms)
        backup = self._notes.backup_of(heard)
        self._notes.take(heard, said, event_ms, backup)
        watched = self._watched(heard, said, backup)
        for place, status in _in_order(heard, watched):
            if status is None:
                self._watch(heard, said, place, int(event_ms[place]), int(backup[place]))
            else:
                self._hear_status(status)
        np.maximum.at(state["received"], device, rounds.received_ms)
        np.maximum.at(state["event"], device, event_ms)
        good = self._notes.is_good(heard, said, event_ms, backup)
        np.maximum.at(state["good"], device[good], event_ms[good])

    def _watched(self, heard: Heard, said: Said, backup: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Rounds of devices with which something is going on; the others need no closer look."""
        state: Any = self._sessions.rows[heard.rounds.device]
        watched: NDArray[np.bool_] = state["silent"] | (state["case"] >= 0)
        watched |= (state["bad_rounds"] > 0) | ((said.marks & BAD) > 0)
        watched |= (state["backup_rounds"] > 0) | (backup == 1)
        boots = self._sessions.boot
        spoken = zip(heard.rounds.device.tolist(), heard.rounds.boot, strict=True)
        other = [boot is not None and boots[number] != boot for number, boot in spoken]
        watched |= np.array(other, np.bool_)
        if not watched.any():
            return watched
        devices = np.zeros(len(self._sessions.rows), np.bool_)
        devices[heard.rounds.device[watched]] = True
        all_of_them: NDArray[np.bool_] = devices[heard.rounds.device]
        return all_of_them

    def _watch(self, heard: Heard, said: Said, place: int, event_ms: int, backup: int) -> None:
        """One round of a device with which something is going on."""
        rounds, number = heard.rounds, int(heard.rounds.device[place])
        row, marks = self._sessions.rows[number], int(said.marks[place])
        late, received_ms = bool(rounds.late[place]), int(rounds.received_ms[place])
        live_good = bool(marks & GOOD) and not late
        if row["silent"]:
            self._heard_again(row, received_ms, event_ms if live_good else 0)
        if not late and event_ms > row["event"]:
            self._hear_boot(number, rounds.boot[place], received_ms)
            row["event"] = event_ms
            if marks & GOOD:
                row["bad_rounds"] = 0
                self._sessions.failing.pop(number, None)
            elif marks & BAD and received_ms - event_ms <= PROMPT_MS:
                row["bad_rounds"] += 1
                if row["case"] < 0:
                    self._sessions.failing.setdefault(number, {})[event_ms] = marks
            if backup >= 0:
                row["backup_rounds"] = row["backup_rounds"] + 1 if backup else 0
        case_number = int(row["case"])
        case = self._book.roster.cases.get(case_number)
        if case is None:
            return
        if case.by_attribute and backup == 1:
            marks &= MAINS | NO_MAINS  # the rest tells of the backup
        case.learn(number, event_ms, marks, received_ms, late=late)
        self._book.roster.changed.add(case_number)
        if not late:
            if not row["silent"] and case.phase == "live" and number not in case.silent:
                self._book.spoke(case_number, received_ms)
            facts = said.facts[place]
            uptime_s = facts[COLUMN["os_uptime_s"]]
            if np.isnan(uptime_s):
                uptime_s = rounds.uptime_s[place]
            self._learn_return(case, number, rounds.boot[place], float(uptime_s))
            agent_s = float(facts[COLUMN["agent_uptime_s"]])
            if not np.isnan(agent_s) and number in case.silent:
                case.agent_uptime_ms.setdefault(number, round(agent_s * 1000))
            case.drained |= bool(facts[COLUMN["backlog_msgs"]] == 0)

    def _hear_status(self, status: StatusHeard) -> None:
        number, at_ms = status.device, status.received_ms
        row = self._sessions.rows[number]
        if not status.online:
            known = self._sessions.boot[number]
            if status.boot is not None and known not in (None, status.boot):
                return  # the will of a session that another one has replaced
            if row["online"] == 1:
                self._turn(number, at_ms)
            row["online"], row["will_ms"] = 0, at_ms
            return
        kept = status.at_ms is not None and at_ms - status.at_ms > RETAINED_MS
        if row["online"] == 0:
            self._turn(number, at_ms)
        row["online"] = 1
        if kept:
            return
        self._hear_boot(number, status.boot, at_ms)
        if row["silent"]:
            self._heard_again(row, at_ms, 0)
        if row["received"] >= 0:
            row["received"] = max(int(row["received"]), at_ms)
        case = self._book.roster.cases.get(int(row["case"]))
        if case is not None:
            uptime_s = float("nan") if status.uptime_s is None else status.uptime_s
            self._learn_return(case, number, status.boot, uptime_s)
        site = int(self._fleet.rows["site"][number])
        if site >= 0 and self._bins.following[site]:
            self._bins.advance(at_ms // BIN_MS)
            rows = np.array([site * 2 + int(self._fleet.rows["uplink"][number])], np.int64)
            self._masks.set("alive", rows, np.array([at_ms], np.int64))

    def _heard_again(self, row: Any, received_ms: int, good_ms: int) -> None:
        if not row["back_ms"]:
            row["back_ms"] = received_ms
        if good_ms and not row["back_good_ms"]:
            row["back_good_ms"] = good_ms

    def _hear_boot(self, number: int, boot: str | None, at_ms: int) -> None:
        before = len(self._sessions.boots[number])
        changed = self._sessions.spoke_as(number, boot, at_ms)
        if changed and before > 1:
            self._turn(number, at_ms)  # two that speak under one name

    def _turn(self, number: int, at_ms: int) -> None:
        if self._sessions.turned(number, at_ms) >= FLAPS:
            self.flapping.add(number)

    def _learn_return(self, case: Any, number: int, boot: str | None, uptime_s: float) -> None:
        """What a device that was silent says of itself when it is heard again."""
        if number not in case.silent:
            return
        if boot is not None:
            case.boots_after.setdefault(number, boot)
        if not np.isnan(uptime_s):
            case.uptime_ms.setdefault(number, round(uptime_s * 1000))


def _contact(refused: RefusedRound) -> StatusHeard:
    """What a refused round says: nothing of then, but the device is in touch now."""
    return StatusHeard(refused.device, True, None, None, refused.received_ms, None)


def _in_order(heard: Heard, watched: NDArray[np.bool_]) -> list[tuple[int, StatusHeard | None]]:
    """Places of the watched rounds, and statuses, as they came; statuses first of one instant."""
    received = heard.rounds.received_ms
    events: list[tuple[int, int, int, StatusHeard | None]] = [
        (int(received[place]), 1, place, None) for place in watched.nonzero()[0].tolist()
    ]
    events += [(s.received_ms, 0, place, s) for place, s in enumerate(heard.statuses)]
    events.sort(key=lambda event: event[:3])
    return [(place, status) for _, _, place, status in events]

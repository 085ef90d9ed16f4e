"""The roster: the cases that can still change, and the devices that belong to each."""

from __future__ import annotations

import math

from detection.connectivity.bins import Dark
from detection.connectivity.cases import MERGE_MS, Case, covers, outage_id
from detection.connectivity.fleet import Fleet
from detection.connectivity.sessions import HOUR_MS, Sessions
from detection.connectivity.verdict import Member, Verdict
from detection.connectivity.witnesses import FLAPS, Witnesses


class Roster:
    """Cases by number: everything that can still change, the settled ones only until told.

    changed: numbers of the cases to look at.
    """

    def __init__(self, fleet: Fleet, sessions: Sessions, witnesses: Witnesses) -> None:
        self._fleet = fleet
        self._sessions = sessions
        self._witnesses = witnesses
        self.cases: dict[int, Case] = {}
        self.following = 0
        self.changed: set[int] = set()

    def live_case(self, device: int) -> int | None:
        """The live case that explains a device's silence."""
        own = int(self._sessions.rows["case"][device])
        if own in self.cases and self.cases[own].phase == "live":
            return own
        site = int(self._fleet.rows["site"][device])
        uplink = int(self._fleet.rows["uplink"][device]) + 1
        for number, case in self.cases.items():
            if case.site == site and case.phase == "live" and covers(case, uplink):
                return number
        return None

    def begin(
        self, member: Member, verdict: Verdict, now_ms: int, *, measured: bool = False
    ) -> Case:
        """The case of what befell a device: a new one, or the one that it goes on from."""
        site = int(self._fleet.rows["site"][member.device])
        onset_ms = member.good_ms + member.interval_ms // 2
        number = self._recent(site, verdict, member.device, onset_ms)
        if number is not None:
            case = self.cases[number]
            case.reopen(member.good_ms, onset_ms)
            case.measured = case.measured and measured
            downs = sum(1 for one in case.dark if one.onset_ms > now_ms - HOUR_MS)
            case.flapping |= 2 * downs >= FLAPS and not case.by_attribute
        else:
            number = self.following
            case = self._case(member, verdict, site, onset_ms, now_ms)
            case.measured = measured
            self.following += 1
            self.cases[number] = case
        self.adopt(number, case)
        self.join(number, member.device)
        return case

    def join(self, number: int, device: int) -> None:
        """A device belongs to a case, with what it measured and when it can have begun."""
        case, rows = self.cases[number], self._sessions.rows
        rows["case"][device] = number
        if device not in case.devices:
            case.devices.append(device)
        if rows["silent"][device]:
            case.silent.add(device)
            case.will |= bool(rows["will_ms"][device] > rows["received"][device])
        case.site_devices = max(case.site_devices, len(self._witnesses.of_site(case.site)))
        if device in self._sessions.failing:
            case.marks.setdefault(device, {}).update(self._sessions.failing.pop(device))
        self._recall(case, device)
        self._begin_earlier(case, device)
        self.changed.add(number)

    def adopt(self, number: int, case: Case) -> None:
        """Everything that reports through what the case took away belongs to it."""
        if case.scope == "device":
            return
        for member in self._witnesses.of_site(case.site):
            own = self.cases.get(int(self._sessions.rows["case"][member.device]))
            if covers(case, member.uplink) and (own is None or own.phase != "live"):
                self._sessions.rows["case"][member.device] = number
                self._recall(case, member.device)

    def release(self, number: int) -> None:
        """No device belongs to a case any more."""
        case_of = self._sessions.rows["case"]
        case_of[case_of == number] = -1

    def count_boots(self, case: Case, device: int) -> None:
        """The most often that one of its devices has started again."""
        case.boots = max(case.boots, len(self._sessions.came_back[device]))
        case.restarts = max(case.restarts, self._sessions.restarts(device))

    def _case(
        self, member: Member, verdict: Verdict, site: int, onset_ms: int, now_ms: int
    ) -> Case:
        lone = self._fleet.device(member.device).device if verdict.scope == "device" else ""
        name = self._fleet.sites[site]
        return Case(
            outage=outage_id(name, verdict.scope, verdict.uplink, lone, onset_ms),
            scope=verdict.scope,
            site=site,
            uplink=verdict.uplink,
            devices=[],
            interval_ms=member.interval_ms,
            known_ms=now_ms,
            dark=[Dark(verdict.uplink, member.good_ms, onset_ms, None)],
            others_alive=verdict.others_alive,
            other_uplink_alive=verdict.other_uplink_alive,
        )

    def _recent(self, site: int, verdict: Verdict, device: int, onset_ms: int) -> int | None:
        """A case of the same scope that ended so shortly before that it is the same outage."""
        for number, case in self.cases.items():
            same = (case.site, case.scope, case.uplink) == (site, verdict.scope, verdict.uplink)
            if case.scope == "device" and device not in case.devices:
                continue
            if same and case.phase == "over" and onset_ms - (case.ended_ms or 0) < MERGE_MS:
                return number
        return None

    def _begin_earlier(self, case: Case, device: int) -> None:
        """The outage lies where the silences of all its devices can have begun."""
        if case.flapping or len(case.dark) > 1 or case.measured:
            return
        member, one = self._witnesses.of(device), case.dark[0]
        if member.good_ms > one.good_ms and member.good_ms < one.good_ms + case.interval_ms:
            latest = min(one.good_ms + case.interval_ms, member.latest_ms)
            onset_ms = (member.good_ms + latest) // 2
            case.interval_ms = latest - member.good_ms
            case.dark[0] = one._replace(good_ms=member.good_ms, onset_ms=onset_ms)

    def _recall(self, case: Case, device: int) -> None:
        """Keep what was known of a device before the outage."""
        if device in case.boots_before:
            return
        case.boots_before[device] = self._sessions.boot[device]
        self.count_boots(case, device)
        mains = int(self._sessions.rows["mains"][device])
        if mains >= 0:
            case.mains_before = bool(mains) and case.mains_before is not False
        signal = self._sessions.signal_before(device)
        if not math.isnan(signal.esno_db):
            case.esno_drop_db = max(signal.esno_db, case.esno_drop_db or signal.esno_db)
        if not math.isnan(signal.rsrp_dbm):
            case.rsrp_dbm = signal.rsrp_dbm
        if not math.isnan(signal.sinr_db):
            case.sinr_db = signal.sinr_db

"""The book of cases: opens, widens, closes and settles outages from who is silent and who not."""

from __future__ import annotations

import math
from collections.abc import Iterator

from detection.connectivity.bins import BinBook, Dark
from detection.connectivity.cases import MERGE_MS, Case, covers, outage_id
from detection.connectivity.fleet import Fleet
from detection.connectivity.rounds import GOOD
from detection.connectivity.sessions import HOUR_MS, MISSED, Sessions
from detection.connectivity.verdict import (
    Member,
    Verdict,
    fell_together,
    is_undecided,
    judge_silence,
)
from detection.connectivity.witnesses import FLAPS, Witnesses
from detection.outages import WHOLE_SITE, Outage

STEADY_MS = 1_800_000  # without a change of connection: flapping is over
RETURN_MS = 120_000  # the devices of a site come back within this, or their three intervals
AGREE_MS = 30_000
EVIDENCE_TOLD_MS = 60_000


class CaseBook:
    """Cases by number: everything that can still change, the settled ones only until told."""

    def __init__(self, fleet: Fleet, sessions: Sessions, bins: BinBook) -> None:
        self._fleet = fleet
        self._sessions = sessions
        self._bins = bins
        self._witnesses = Witnesses(fleet, sessions)
        self.cases: dict[int, Case] = {}
        self.following = 0
        self.waiting: dict[int, int] = {}  # device silent after its site is back: judge it then
        self.doubts: dict[int, int] = {}  # case: when a device that should be silent spoke
        self.settled: dict[int, list[Dark]] = {}  # by site: dark times of settled cases
        self.changed: set[int] = set()  # numbers of cases to look at
        self.outages: list[Outage] = []

    def take(self) -> list[Outage]:
        """Outages that changed since the last call, each as it is now."""
        outages, self.outages = self.outages, []
        return outages

    # what happens to devices

    def fell(self, numbers: list[int], now_ms: int) -> None:
        """These devices have not been heard for too long."""
        rows = self._sessions.rows
        ready = [n for n in numbers if self._is_ready(n, now_ms)]
        for number in ready:
            rows["silent"][number] = True
            rows["onset_good"][number] = self._witnesses.last_good_ms(number)
            rows["back_ms"][number] = rows["back_good_ms"][number] = 0
        for number in ready:
            if self._fleet.rows["site"][number] >= 0:
                self._place(number, now_ms)

    def came_back(self, number: int, now_ms: int) -> None:
        """A silent device was heard again."""
        row = self._sessions.rows[number]
        back_ms, good_ms = int(row["back_ms"]), int(row["back_good_ms"])
        row["silent"] = False
        row["back_ms"] = row["back_good_ms"] = 0
        self.waiting.pop(number, None)
        case = self.cases.get(int(row["case"]))
        if case is None or case.phase != "live" or self._is_on_backup(case):
            return
        self._close(int(row["case"]), good_ms or back_ms, now_ms)

    def measured_down(self, number: int, now_ms: int) -> None:
        """A probe that is in touch finds the network dead."""
        if self._live_case(number) is not None:
            return
        member = self._witnesses.of(number)
        verdict = self._witnesses.verdict_of_measurement(member)
        self._open(member, verdict, now_ms, measured=True)

    def measured_up(self, number: int, now_ms: int) -> None:
        """A probe reaches the network, over its own uplink, as of its newest good measurement."""
        case_number = int(self._sessions.rows["case"][number])
        case = self.cases.get(case_number)
        if case is None or case.phase != "live" or not case.measured:
            return
        if case.flapping and case.ended_ms is not None:
            return
        row = self._sessions.rows[number]
        onset_ms = case.dark[-1].onset_ms
        if row["good"] <= onset_ms or self._is_on_backup(case):
            return
        seen = case.marks.get(number, {})
        good = (at for at, marks in seen.items() if marks & GOOD and at > onset_ms)
        end_ms = int(row["good"]) if case.by_attribute else min(good, default=int(row["good"]))
        self._close(case_number, end_ms, now_ms)

    def on_backup(self, number: int, now_ms: int) -> None:
        """A device says that it speaks over a backup: its own uplink is away."""
        known = self._live_case(number)
        if known is not None:
            if self.cases[known].by_attribute and number not in self.cases[known].devices:
                self._join(known, number)
            return
        member = self._witnesses.of(number)
        verdict = Verdict("uplink", member.uplink, others_alive=False, other_uplink_alive=True)
        case = self._open(member, verdict, now_ms, measured=True)
        case.by_attribute = True

    def flapped(self, number: int, now_ms: int) -> None:
        """A device has gone on and off too often within an hour."""
        turns = self._sessions.transitions[number]
        case_number = int(self._sessions.rows["case"][number])
        case = self.cases.get(case_number)
        if case is None or case.phase == "settled":
            member = self._witnesses.of(number)
            verdict = self._witnesses.verdict_of_flapping(member)
            member = member._replace(good_ms=turns[0] - member.interval_ms // 2)
            case = self._open(member, verdict, now_ms)
            case_number = int(self._sessions.rows["case"][number])
        case.flapping, case.phase = True, "live"
        case.transitions = max(case.transitions, len(turns))
        self._count_boots(case, number)
        last = case.dark[-1]
        if last.end_ms is None or last.end_ms < turns[-1]:
            silent = any(self._sessions.rows["silent"][d] for d in case.silent)
            case.dark[-1] = last._replace(end_ms=None if silent else turns[-1])
        case.returned_ms = turns[-1]
        self.changed.add(case_number)

    def spoke(self, case_number: int, at_ms: int) -> None:
        """A device that belongs to a live case, and was never silent, was heard live."""
        self.doubts.setdefault(case_number, at_ms)

    # time

    def tick(self, now_ms: int) -> None:
        """Let time pass: doubts, late returns, ends of flapping, settling; tell what changed."""
        self._judge_doubts(now_ms)
        for number in [n for n, due in self.waiting.items() if due <= now_ms]:
            self._judge_alone(number, now_ms)
        for number, case in list(self.cases.items()):
            if case.flapping and case.phase == "live":
                self._judge_steadiness(number, case, now_ms)
            if case.phase == "over" and case.settle_due_ms() <= now_ms:
                self._settle(number, case)
        self._tell(now_ms)

    # the inside

    def _is_on_backup(self, case: Case) -> bool:
        """Whether a device whose word opened the case still says that its uplink is away."""
        rows = self._sessions.rows["backup_rounds"]
        return case.by_attribute and any(rows[device] for device in case.devices)

    def _is_ready(self, number: int, now_ms: int) -> bool:
        """A Will alone is believed early only where nobody else may still prove it wrong."""
        member = self._witnesses.of(number)
        since = max(member.received_ms, self._sessions.resumed_ms)
        if now_ms - since > MISSED * member.interval_ms + 5_000:
            return True
        site = int(self._fleet.rows["site"][number])
        return not any(
            is_undecided(m, member, now_ms)
            for m in self._witnesses.of_site(site)
            if m.device != number
        )

    def _place(self, number: int, now_ms: int) -> None:
        """Put a device that fell silent into the case that explains it."""
        case_number = self._live_case(number)
        if case_number is not None:
            self._join(case_number, number)
            return
        member = self._witnesses.of(number)
        site = int(self._fleet.rows["site"][number])
        verdict = judge_silence(member, self._witnesses.of_site(site), now_ms)
        if verdict.scope != "device" and self._promote(member, verdict):
            return
        self._open(member, verdict, now_ms)

    def _promote(self, member: Member, verdict: Verdict) -> bool:
        """A device thought to have failed alone fell together with this one: widen its case."""
        site = int(self._fleet.rows["site"][member.device])
        for number, case in self.cases.items():
            if case.site != site or case.phase != "live" or case.scope != "device":
                continue
            first = self._witnesses.of(case.devices[0])
            same_way = verdict.uplink in (WHOLE_SITE, first.uplink)
            if first.silent and same_way and fell_together(first, member):
                case.scope, case.uplink = verdict.scope, verdict.uplink
                case.dark = [one._replace(uplink=verdict.uplink) for one in case.dark]
                case.others_alive = verdict.others_alive
                case.other_uplink_alive = verdict.other_uplink_alive
                self._adopt(number, case)
                self._join(number, member.device)
                return True
        return False

    def _open(
        self, member: Member, verdict: Verdict, now_ms: int, *, measured: bool = False
    ) -> Case:
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
            number, case = self.following, self._case(member, verdict, now_ms)
            case.measured = measured
            self.following += 1
            self.cases[number] = case
        self._adopt(number, case)
        self._join(number, member.device)
        return case

    def _case(self, member: Member, verdict: Verdict, now_ms: int) -> Case:
        site = int(self._fleet.rows["site"][member.device])
        onset_ms = member.good_ms + member.interval_ms // 2
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

    def _adopt(self, number: int, case: Case) -> None:
        """Everything that reports through what the case took away belongs to it."""
        if case.scope == "device":
            return
        for member in self._witnesses.of_site(case.site):
            own = self.cases.get(int(self._sessions.rows["case"][member.device]))
            if covers(case, member.uplink) and (own is None or own.phase != "live"):
                self._sessions.rows["case"][member.device] = number
                self._recall(case, member.device)
        case.site_devices = max(case.site_devices, len(self._witnesses.of_site(case.site)))

    def _join(self, number: int, device: int) -> None:
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

    def _count_boots(self, case: Case, device: int) -> None:
        case.boots = max(case.boots, len(self._sessions.came_back[device]))
        case.restarts = max(case.restarts, self._sessions.restarts(device))

    def _recall(self, case: Case, device: int) -> None:
        """Keep what was known of a device before the outage."""
        if device in case.boots_before:
            return
        case.boots_before[device] = self._sessions.boot[device]
        self._count_boots(case, device)
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

    def _close(self, number: int, end_ms: int, now_ms: int) -> None:
        case = self.cases[number]
        self.doubts.pop(number, None)
        self.changed.add(number)
        if case.flapping:
            last = case.dark[-1]
            case.dark[-1] = last._replace(end_ms=max(end_ms, last.onset_ms))
            case.returned_ms = now_ms
        else:
            case.close(end_ms, now_ms)
        for device in case.devices:
            if self._sessions.rows["silent"][device]:
                wait_ms = max(RETURN_MS, 3 * int(self._fleet.rows["interval_ms"][device]))
                self.waiting[device] = now_ms + wait_ms

    def _judge_doubts(self, now_ms: int) -> None:
        """Somebody of the site spoke: either it is back as a whole, or it never was away."""
        for number, at_ms in list(self.doubts.items()):
            case = self.cases.get(number)
            if case is None or case.phase != "live" or case.measured or case.flapping:
                del self.doubts[number]
            elif now_ms - at_ms > 2 * case.interval_ms + AGREE_MS:
                del self.doubts[number]
                self._narrow(number, case, now_ms)

    def _narrow(self, number: int, case: Case, now_ms: int) -> None:
        """The silent devices failed alone, or their uplink did: somebody else lives on."""
        first, *others = case.devices
        member = self._witnesses.of(first)
        verdict = judge_silence(member, self._witnesses.of_site(case.site), now_ms)
        if verdict.scope == "site":
            return
        rows = self._sessions.rows
        for device in (rows["case"] == number).nonzero()[0].tolist():
            rows["case"][device] = -1
        case.scope, case.uplink, case.devices = verdict.scope, verdict.uplink, []
        case.dark = [one._replace(uplink=verdict.uplink) for one in case.dark]
        case.silent = set()
        case.others_alive = verdict.others_alive
        case.other_uplink_alive = verdict.other_uplink_alive
        self._adopt(number, case)
        self._join(number, first)
        for device in others:
            if rows["silent"][device]:
                self._place(device, now_ms)

    def _judge_alone(self, number: int, now_ms: int) -> None:
        """Its site is back and this device is not: it has failed by itself."""
        del self.waiting[number]
        if not self._sessions.rows["silent"][number] or self._live_case(number) is not None:
            return
        member = self._witnesses.of(number)
        verdict = Verdict("device", member.uplink, others_alive=True, other_uplink_alive=False)
        self._open(member, verdict, now_ms)

    def _judge_steadiness(self, number: int, case: Case, now_ms: int) -> None:
        """Flapping is over when nothing of it has changed for half an hour."""
        rows = self._sessions.rows
        silent = any(rows["silent"][d] for d in case.silent)
        if case.dark[-1].end_ms is None and not silent:
            onset_ms = case.dark[-1].onset_ms
            backs = [int(rows["back_good_ms"][d] or rows["back_ms"][d]) for d in case.silent]
            end_ms = min((at for at in backs if at > onset_ms), default=now_ms)
            case.dark[-1] = case.dark[-1]._replace(end_ms=end_ms)
            case.returned_ms = now_ms
            self.changed.add(number)
        last = case.dark[-1].end_ms
        if last is not None and not silent and now_ms - (case.returned_ms or 0) > STEADY_MS:
            case.phase = "over"
            self.changed.add(number)

    def _settle(self, number: int, case: Case) -> None:
        """Nothing more is expected: the evidence is final."""
        case.correct()
        found = case.evidence()
        lone = case.scope == "site" and found.site_devices == 1
        if lone and found.agent_restarted and not found.booted and not found.rounds:
            case.scope = "device"  # its program stood still; of the link nothing is known
            case.uplink = int(self._fleet.rows["uplink"][case.devices[0]]) + 1
        case.phase = "settled"
        rows = self._sessions.rows
        for device in (rows["case"] == number).nonzero()[0].tolist():
            rows["case"][device] = -1
        self.changed.add(number)

    def _tell(self, now_ms: int) -> None:
        """Tell the outages that are not as they were told, and darken their sites' bins.

        What only adds to the evidence, such as backfill, is told once a minute.
        """
        sites, due = set(), []
        for number in sorted(self.changed):
            case = self.cases[number]
            extent = f"{case.phase} {case.scope} {case.uplink} {len(case.devices)}"
            is_more_of_the_same = extent == case.told_extent and case.phase != "settled"
            if is_more_of_the_same and now_ms < case.told_ms + EVIDENCE_TOLD_MS:
                continue
            due.append(number)
            case.told_ms, case.told_extent = now_ms, extent
            case.correct()
            sites.add(case.site)
            names = {d: self._fleet.device(d).device for d in case.devices}
            outage = case.outage_of(self._fleet.sites[case.site], names)
            if outage != case.told:
                case.told = outage
                self.outages.append(outage)
            if case.phase == "settled":
                del self.cases[number]
                if case.scope != "device":
                    self.settled.setdefault(case.site, []).extend(case.spans())
        self.changed.difference_update(due)
        for site in sorted(sites):
            self._bins.darken(site, self._dark_of(site))

    def _dark_of(self, site: int) -> list[Dark]:
        oldest_ms = self._bins.oldest_ms
        kept = [d for d in self.settled.get(site, []) if (d.end_ms or oldest_ms) > oldest_ms]
        if site in self.settled:
            self.settled[site] = kept
        return [*kept, *(dark for case in self._of(site) for dark in case.spans())]

    def _of(self, site: int) -> Iterator[Case]:
        for case in self.cases.values():
            if case.site == site and case.scope != "device":
                yield case

    def _live_case(self, device: int) -> int | None:
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

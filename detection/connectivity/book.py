"""The book of cases: opens, widens, closes and settles outages from who is silent and who not."""

from __future__ import annotations

from detection.connectivity.bins import BinBook
from detection.connectivity.cases import Case
from detection.connectivity.fleet import Fleet
from detection.connectivity.roster import Roster
from detection.connectivity.rounds import GOOD
from detection.connectivity.sessions import MISSED, Sessions
from detection.connectivity.telling import Telling
from detection.connectivity.verdict import (
    Member,
    Verdict,
    fell_together,
    is_undecided,
    judge_silence,
)
from detection.connectivity.witnesses import Witnesses
from detection.outages import WHOLE_SITE

STEADY_MS = 1_800_000  # without a change of connection: flapping is over
RETURN_MS = 120_000  # the devices of a site come back within this, or their three intervals
AGREE_MS = 30_000


class CaseBook:
    """Turns what happens to devices, and time, into cases."""

    def __init__(self, fleet: Fleet, sessions: Sessions, bins: BinBook) -> None:
        self._fleet = fleet
        self._sessions = sessions
        self._witnesses = Witnesses(fleet, sessions)
        self.roster = Roster(fleet, sessions, self._witnesses)
        self.telling = Telling(fleet, self.roster, bins)
        self.waiting: dict[int, int] = {}  # device silent after its site is back: judge it then
        self.doubts: dict[int, int] = {}  # case: when a device that should be silent spoke

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
        case_number = int(row["case"])
        case = self.roster.cases.get(case_number)
        if case is None or case.phase != "live":
            return
        if case.by_attribute and case.scope == "site":
            case.judge(self._verdict_of_backup(case.devices[0]))
            self.roster.changed.add(case_number)
        if not self._is_on_backup(case):
            self._close(case_number, good_ms or back_ms, now_ms)

    def measured_down(self, number: int, now_ms: int) -> None:
        """A probe that is in touch finds the network dead."""
        if self.roster.live_case(number) is not None:
            return
        member = self._witnesses.of(number)
        verdict = self._witnesses.verdict_of_measurement(member)
        self.roster.begin(member, verdict, now_ms, measured=True)

    def measured_up(self, number: int, now_ms: int) -> None:
        """A probe reaches the network, over its own uplink, as of its newest good measurement."""
        case_number = int(self._sessions.rows["case"][number])
        case = self.roster.cases.get(case_number)
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
        known = self.roster.live_case(number)
        if known is not None:
            case = self.roster.cases[known]
            if case.by_attribute and number not in case.devices:
                self.roster.join(known, number)
            return
        member = self._witnesses.of(number)
        case = self.roster.begin(member, self._verdict_of_backup(number), now_ms, measured=True)
        case.by_attribute = True

    def flapped(self, number: int, now_ms: int) -> None:
        """A device has gone on and off too often within an hour."""
        turns = self._sessions.transitions[number]
        case_number = int(self._sessions.rows["case"][number])
        case = self.roster.cases.get(case_number)
        if case is None or case.phase == "settled":
            member = self._witnesses.of(number)
            verdict = self._witnesses.verdict_of_flapping(member)
            member = member._replace(good_ms=turns[0] - member.interval_ms // 2)
            case = self.roster.begin(member, verdict, now_ms)
            case_number = int(self._sessions.rows["case"][number])
        case.flapping, case.phase = True, "live"
        case.transitions = max(case.transitions, len(turns))
        self.roster.count_boots(case, number)
        last = case.dark[-1]
        if last.end_ms is None or last.end_ms < turns[-1]:
            silent = any(self._sessions.rows["silent"][d] for d in case.silent)
            case.dark[-1] = last._replace(end_ms=None if silent else turns[-1])
        case.returned_ms = turns[-1]
        self.roster.changed.add(case_number)

    def spoke(self, case_number: int, at_ms: int) -> None:
        """A device that belongs to a live case, and was never silent, was heard live."""
        self.doubts.setdefault(case_number, at_ms)

    # time

    def tick(self, now_ms: int) -> None:
        """Let time pass: doubts, late returns, ends of flapping, settling; tell what changed."""
        self._judge_doubts(now_ms)
        for number in [n for n, due in self.waiting.items() if due <= now_ms]:
            self._judge_alone(number, now_ms)
        for number, case in list(self.roster.cases.items()):
            if case.flapping and case.phase == "live":
                self._judge_steadiness(number, case, now_ms)
            if case.phase == "over" and case.settle_due_ms() <= now_ms:
                self._settle(number, case)
        self.telling.tell(now_ms)

    # the inside

    def _is_on_backup(self, case: Case) -> bool:
        """Whether a device whose word opened the case still says that its uplink is away."""
        rows = self._sessions.rows["backup_rounds"]
        return case.by_attribute and any(rows[device] for device in case.devices)

    def _verdict_of_backup(self, number: int) -> Verdict:
        """A device speaks over a backup: its own uplink is away, and another one works."""
        uplink = int(self._fleet.rows["uplink"][number]) + 1
        return Verdict("uplink", uplink, others_alive=False, other_uplink_alive=True)

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
        member = self._witnesses.of(number)
        case_number = self.roster.live_case(number)
        if case_number is not None:
            case = self.roster.cases[case_number]
            if case.by_attribute:
                verdict = self._judge_silence(member, now_ms)
                if verdict.scope == "site":
                    case.judge(verdict)  # the backup is away too
            self.roster.join(case_number, number)
            return
        verdict = self._judge_silence(member, now_ms)
        if verdict.scope != "device" and self._promote(member, verdict):
            return
        self.roster.begin(member, verdict, now_ms)

    def _judge_silence(self, member: Member, now_ms: int) -> Verdict:
        """What the silence of a device is, by the others of its site."""
        site = int(self._fleet.rows["site"][member.device])
        return judge_silence(member, self._witnesses.of_site(site), now_ms)

    def _promote(self, member: Member, verdict: Verdict) -> bool:
        """A device thought to have failed alone fell together with this one: widen its case."""
        site = int(self._fleet.rows["site"][member.device])
        for number, case in self.roster.cases.items():
            if case.site != site or case.phase != "live" or case.scope != "device":
                continue
            first = self._witnesses.of(case.devices[0])
            same_way = verdict.uplink in (WHOLE_SITE, first.uplink)
            if first.silent and same_way and fell_together(first, member):
                case.judge(verdict)
                self.roster.adopt(number, case)
                self.roster.join(number, member.device)
                return True
        return False

    def _close(self, number: int, end_ms: int, now_ms: int) -> None:
        case = self.roster.cases[number]
        self.doubts.pop(number, None)
        self.roster.changed.add(number)
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
            case = self.roster.cases.get(number)
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
        self.roster.release(number)
        case.judge(verdict)
        case.devices, case.silent = [], set()
        self.roster.adopt(number, case)
        self.roster.join(number, first)
        for device in others:
            if self._sessions.rows["silent"][device]:
                self._place(device, now_ms)

    def _judge_alone(self, number: int, now_ms: int) -> None:
        """Its site is back and this device is not: it has failed by itself."""
        del self.waiting[number]
        if not self._sessions.rows["silent"][number] or self.roster.live_case(number) is not None:
            return
        member = self._witnesses.of(number)
        verdict = Verdict("device", member.uplink, others_alive=True, other_uplink_alive=False)
        self.roster.begin(member, verdict, now_ms)

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
            self.roster.changed.add(number)
        last = case.dark[-1].end_ms
        if last is not None and not silent and now_ms - (case.returned_ms or 0) > STEADY_MS:
            case.phase = "over"
            self.roster.changed.add(number)

    def _settle(self, number: int, case: Case) -> None:
        """Nothing more is expected: the evidence is final."""
        case.correct()
        found = case.evidence()
        lone = case.scope == "site" and found.site_devices == 1
        if lone and found.agent_restarted and not found.booted and not found.rounds:
            case.scope = "device"  # its program stood still; of the link nothing is known
            case.uplink = int(self._fleet.rows["uplink"][case.devices[0]]) + 1
        case.phase = "settled"
        self.roster.release(number)
        self.roster.changed.add(number)

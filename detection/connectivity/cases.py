"""Cases: outages while they can still change, with everything that was learned of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from detection.connectivity.bins import Dark
from detection.connectivity.rounds import (
    BAD,
    BLOCKED,
    GOOD,
    MAINS,
    NEAR,
    NO_MAINS,
    TIER_MARKS,
)
from detection.connectivity.verdict import Verdict
from detection.outages import WHOLE_SITE, Evidence, Outage, OutagePhase, Scope

MERGE_MS = 600_000  # two outages of one scope closer than two bins are one
DRAINED_MS = 180_000  # after the last late round, where the backlog is known to be empty
SETTLE_MS = 900_000  # after the last late round, or the return where none came


@dataclass(slots=True)
class Case:
    """One outage that can still change. Devices by number; marks by device and event time.

    dark: times without a good measurement, the last of them open (end None) while it is live.
    """

    outage: str
    scope: Scope
    site: int
    uplink: int
    devices: list[int]
    interval_ms: int
    known_ms: int
    dark: list[Dark]
    best: list[Dark] = field(default_factory=list)  # the same, corrected; empty: not yet
    measured: bool = False
    backfilled: bool = False
    flapping: bool = False
    by_attribute: bool = False
    phase: OutagePhase = "live"
    returned_ms: int | None = None
    last_late_ms: int = 0
    drained: bool = False
    will: bool = False
    transitions: int = 0
    others_alive: bool = False
    other_uplink_alive: bool = False
    silent: set[int] = field(default_factory=set)
    site_devices: int = 1
    boots_before: dict[int, str | None] = field(default_factory=dict)
    boots_after: dict[int, str | None] = field(default_factory=dict)
    uptime_ms: dict[int, int] = field(default_factory=dict)  # after the return
    agent_uptime_ms: dict[int, int] = field(default_factory=dict)
    boots: int = 1
    restarts: int = 0
    mains_before: bool | None = None  # the newest word on mains power before it
    esno_drop_db: float | None = None
    rsrp_dbm: float | None = None
    sinr_db: float | None = None
    marks: dict[int, dict[int, int]] = field(default_factory=dict)
    told: Outage | None = None
    told_ms: int = 0
    told_extent: str = ""

    @property
    def good_ms(self) -> int:
        """Last good measurement before it began."""
        return self.spans()[0].good_ms

    @property
    def onset_ms(self) -> int:
        """When it began, event time."""
        return self.spans()[0].onset_ms

    @property
    def ended_ms(self) -> int | None:
        """When it ended, event time; None while it lasts."""
        return self.spans()[-1].end_ms

    def spans(self) -> list[Dark]:
        """The times without a good measurement, as corrected by what was measured in them."""
        return self.best or self.dark

    def judge(self, verdict: Verdict) -> None:
        """It is of another scope than was thought."""
        self.scope, self.uplink = verdict.scope, verdict.uplink
        self.dark = [one._replace(uplink=verdict.uplink) for one in self.dark]
        self.others_alive = verdict.others_alive
        self.other_uplink_alive = verdict.other_uplink_alive

    def close(self, end_ms: int, now_ms: int) -> None:
        """It is over: good again at end_ms, which the platform knew at now_ms."""
        last = self.dark[-1]
        self.dark[-1] = last._replace(end_ms=max(end_ms, last.onset_ms))
        self.phase, self.returned_ms, self.best = "over", now_ms, []

    def reopen(self, good_ms: int, onset_ms: int) -> None:
        """It began once more before it was forgotten."""
        end_ms = self.dark[-1].end_ms or onset_ms
        onset_ms = max(onset_ms, end_ms)
        self.dark.append(Dark(self.uplink, max(min(good_ms, onset_ms), end_ms), onset_ms, None))
        self.phase, self.returned_ms, self.drained, self.best = "live", None, False, []

    def learn(self, device: int, at_ms: int, marks: int, received_ms: int, *, late: bool) -> None:
        """A round of one of its devices that may tell of it."""
        if late:
            self.last_late_ms = max(self.last_late_ms, received_ms)
        self.marks.setdefault(device, {})[at_ms] = marks

    def correct(self) -> None:
        """Move onset and end to where measured rounds say that they were.

        A failed round proves that the outage had begun; a good one after all failed rounds, that
        it was over, be the device back in touch or not. What was measured over a backup proves
        neither.
        """
        self.best = list(self.dark)
        if len(self.dark) > 1 or self.flapping or self.by_attribute:
            return
        one = self.dark[0]
        limit = one.end_ms + self.interval_ms if one.end_ms is not None else None
        seen = [
            (at, marks)
            for rounds in self.marks.values()
            for at, marks in rounds.items()
            if at > one.good_ms and (limit is None or at <= limit)
        ]
        bad = [at for at, marks in seen if marks & BAD]
        if not bad:
            return
        good = sorted({one.good_ms, *(at for at, marks in seen if marks & GOOD)})
        first, last = min(bad), max(bad)
        before = max((at for at in good if at < first), default=first)
        after = next((at for at in good if at > last), one.end_ms)
        onset_ms = before + min(self.interval_ms, first - before) // 2
        end_ms = None if one.end_ms is None else after
        self.best = [Dark(self.uplink, before, onset_ms, end_ms)]

    def settle_due_ms(self) -> int:
        """When nothing more is expected to be learned of it, once it is over."""
        last = max(self.last_late_ms, self.returned_ms or 0)
        return last + (DRAINED_MS if self.drained else SETTLE_MS)

    def evidence(self) -> Evidence:
        """What is known of it by now."""
        inside = self._inside()
        failed = {
            tier: sum(1 for marks in inside if marks & mark) for tier, mark in TIER_MARKS.items()
        }
        return Evidence(
            rounds=sum(1 for marks in inside if marks & (GOOD | BAD)),
            failed={tier: n for tier, n in failed.items() if n},
            near=sum(1 for marks in inside if marks & BAD and marks & NEAR),
            booted=self._booted(),
            agent_restarted=self._agent_restarted(),
            mains_lost=self._mains_lost(inside),
            boots=self.boots,
            restarts=self.restarts,
            others_alive=self.others_alive,
            other_uplink_alive=self.other_uplink_alive,
            will=self.will,
            transitions=max(self.transitions, 2 * (len(self.dark) - 1)),
            esno_drop_db=self.esno_drop_db,
            rsrp_dbm=self.rsrp_dbm,
            sinr_db=self.sinr_db,
            blocked=sum(1 for marks in inside if marks & BLOCKED),
            silent_devices=max(len(self.silent), 1),
            site_devices=self.site_devices,
        )

    def outage_of(self, site: str, names: dict[int, str]) -> Outage:
        """It as the rest of the platform sees it."""
        return Outage(
            outage=self.outage,
            scope=self.scope,
            site=site,
            uplink=self.uplink,
            devices=tuple(names[device] for device in self.devices),
            onset_ms=self.onset_ms,
            error_ms=max(self.onset_ms - self.good_ms, 1000),
            known_ms=self.known_ms,
            ended_ms=None if self.phase == "live" else self.ended_ms,
            returned_ms=None if self.phase == "live" else self.returned_ms,
            phase=self.phase,
            measured=self.measured,
            backfilled=self.backfilled,
            flapping=self.flapping,
            evidence=self.evidence(),
        )

    def _inside(self) -> list[int]:
        """Marks of the rounds that were measured during it."""
        start_ms, end_ms = self.good_ms, self.ended_ms
        return [
            marks
            for rounds in self.marks.values()
            for at, marks in rounds.items()
            if at > start_ms and (end_ms is None or at < end_ms)
        ]

    def _booted(self) -> bool | None:
        """Whether any of its devices came back as another boot, or up for less than the gap."""
        told = [
            boot != self.boots_before[device]
            for device, boot in self.boots_after.items()
            if boot is not None and self.boots_before.get(device) is not None
        ]
        told += [uptime < self._gap_ms() for uptime in self.uptime_ms.values()]
        return any(told) if told else None

    def _agent_restarted(self) -> bool | None:
        if not self.agent_uptime_ms:
            return None
        return any(
            agent < self._gap_ms() and self.uptime_ms.get(device, 0) > self._gap_ms()
            for device, agent in self.agent_uptime_ms.items()
        )

    def _gap_ms(self) -> int:
        return (self.returned_ms or self.known_ms) - self.good_ms

    def _mains_lost(self, inside: list[int]) -> bool | None:
        if any(marks & NO_MAINS for marks in inside) or self.mains_before is False:
            return True
        if any(marks & MAINS for marks in inside):
            return False
        return None


def outage_id(site: str, scope: Scope, uplink: int, device: str, onset_ms: int) -> str:
    """The id of an outage: the same wherever it is found at the same time."""
    named = f"{site}/{scope}/{uplink}/{device}/{onset_ms}"
    return "o" + hashlib.sha256(named.encode()).hexdigest()[:16]


def covers(case: Case, uplink: int) -> bool:
    """Whether a case takes away this way (1 or 2) out of its site."""
    return case.scope != "device" and case.uplink in (WHOLE_SITE, uplink)

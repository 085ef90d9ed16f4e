"""Replay: a capture through the whole path in virtual time, without broker, store or waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from detection.alerts import AlertChange
from detection.connectivity import Connectivity
from detection.incidents.changes import IncidentChange
from detection.outages import Bin
from devices.catalogue import Catalogue
from devices.registry import Registry
from devices.topics import DOWN_CHANNELS
from ingest import tally
from ingest.hearing import heard_of, in_time
from ingest.identities import Identities
from ingest.intake import Intake
from ingest.journal import Record
from ingest.judge import TICK_MS, Judge, Verdict

MOST_AT_ONCE = 4000  # messages judged together


class Replay:
    """What ingest would have made of messages that came as their receive times say.

    It judges by the platform's own intake and judge, which look at the time every TICK_MS of the
    messages' time. The same messages give the same, always.
    """

    def __init__(self, registry: Registry, *, without_late: bool = False) -> None:
        """without_late: keep bins too as they would be if no late round had come."""
        self.catalogue = Catalogue()
        self._intake = Intake(registry, self.catalogue)
        self.judge = Judge(registry, self.catalogue)
        self._identities = Identities()
        self._next_tick_ms: int | None = None
        self.counts: Counter[str] = Counter()
        self.alerts: list[AlertChange] = []
        self.incident_of: dict[str, str] = {}  # the last one of which an alert was a part
        self.incidents: list[IncidentChange] = []
        self.bins: dict[tuple[str, int], Bin] = {}
        self._in_time = Connectivity(self.catalogue, registry) if without_late else None
        self.bins_in_time: dict[tuple[str, int], Bin] = {}

    def run(self, records: Iterable[Record]) -> Iterator[int]:
        """Take messages in order of arrival; yields the time, now and then, while it goes on."""
        for tick_ms, group in groupby(from_devices(records, self.counts), tick_after):
            arrived = list(group)
            self.pass_time(tick_ms - TICK_MS)
            for first in range(0, len(arrived), MOST_AT_ONCE):
                self._take(arrived[first : first + MOST_AT_ONCE])
            yield tick_ms

    def pass_time(self, until_ms: int) -> None:
        """Let time pass; every message up to until_ms has been taken."""
        if self._next_tick_ms is None:
            self._next_tick_ms = until_ms // TICK_MS * TICK_MS + TICK_MS
        for now_ms in range(self._next_tick_ms, until_ms + 1, TICK_MS):
            self._note(self.judge.conclude(self.judge.tick(now_ms), now_ms))
            if self._in_time is not None:
                self._in_time.tick(now_ms)
                self._in_time.take_outages()
                _keep(self._in_time.take_bins(), self.bins_in_time)
            self._next_tick_ms = now_ms + TICK_MS

    def summary(self) -> dict[str, int | dict[str, int]]:
        """What became of the messages; refusals are counted by reason, the rest in readings."""
        counts = self.counts
        refused = {
            name.removeprefix("refused_"): count
            for name, count in sorted(counts.items())
            if name.startswith("refused_")
        }
        return {
            "messages": counts["messages"],
            "stored": counts["readings_stored"],
            "duplicates": counts["readings_duplicate"],
            "late": counts["readings_late"],
            "quarantined": refused,
            "alerts_fired": sum(change.state == "firing" for change in self.alerts),
            "incidents": len({change.incident for change in self.incidents}),
            "messages_stored": counts["messages_stored"],
            "messages_duplicate": counts["messages_duplicate"],
            "messages_quarantined": counts["messages_quarantined"],
            "messages_of_platform": counts["messages_of_platform"],
        }

    def _take(self, records: list[Record]) -> None:
        batch = self._intake.take(records)
        new = self._identities.add(batch.readings)
        self.counts.update(tally.totals(batch, new, tally.outcomes(batch, new)))
        heard = heard_of(batch)
        findings = self.judge.hear(heard)
        if self._in_time is not None:
            self._in_time.hear(in_time(heard))
        self._note(self.judge.conclude(findings, records[-1].received_ms))

    def _note(self, verdict: Verdict) -> None:
        self.alerts += verdict.alerts
        self.incident_of.update({c.alert: c.incident for c in verdict.alerts if c.incident})
        self.incident_of.update(verdict.parts)
        self.incidents += verdict.incidents
        _keep(verdict.bins, self.bins)


def _keep(bins: Iterable[Bin], last: dict[tuple[str, int], Bin]) -> None:
    for one in bins:
        last[one.site, one.start_ms] = one


def from_devices(records: Iterable[Record], counts: Counter[str]) -> Iterator[Record]:
    """The messages without those that the platform itself sent while they were captured."""
    for record in records:
        counts["messages"] += 1
        if record.topic.rpartition("/")[2] in DOWN_CHANNELS:
            counts["messages_of_platform"] += 1
        else:
            yield record


def tick_after(record: Record) -> int:
    """The first tick at which a message has arrived: it is judged before that."""
    return -(-record.received_ms // TICK_MS) * TICK_MS

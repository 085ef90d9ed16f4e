"""Telling: outages that are not as they were told, and the dark times of their sites' bins."""

from __future__ import annotations

from collections.abc import Iterator

from detection.connectivity.bins import BinBook, Dark
from detection.connectivity.cases import Case
from detection.connectivity.fleet import Fleet
from detection.connectivity.roster import Roster
from detection.outages import Outage

EVIDENCE_TOLD_MS = 60_000


class Telling:
    """What is told of the cases of a roster. settled: by site, dark times of settled cases."""

    def __init__(self, fleet: Fleet, roster: Roster, bins: BinBook) -> None:
        self._fleet = fleet
        self._roster = roster
        self._bins = bins
        self.settled: dict[int, list[Dark]] = {}
        self.outages: list[Outage] = []

    def take(self) -> list[Outage]:
        """Outages that changed since the last call, each as it is now."""
        outages, self.outages = self.outages, []
        return outages

    def tell(self, now_ms: int) -> None:
        """Tell the outages that are not as they were told, and darken their sites' bins.

        What only adds to the evidence, such as backfill, is told once a minute.
        """
        sites, due = set(), []
        for number in sorted(self._roster.changed):
            case = self._roster.cases[number]
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
                del self._roster.cases[number]
                if case.scope != "device":
                    self.settled.setdefault(case.site, []).extend(case.spans())
        self._roster.changed.difference_update(due)
        for site in sorted(sites):
            self._bins.darken(site, self._dark_of(site))

    def _dark_of(self, site: int) -> list[Dark]:
        oldest_ms = self._bins.oldest_ms
        kept = [d for d in self.settled.get(site, []) if (d.end_ms or oldest_ms) > oldest_ms]
        if site in self.settled:
            self.settled[site] = kept
        return [*kept, *(dark for case in self._cases_of(site) for dark in case.spans())]

    def _cases_of(self, site: int) -> Iterator[Case]:
        for case in self._roster.cases.values():
            if case.site == site and case.scope != "device":
                yield case

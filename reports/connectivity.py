"""The connectivity report of some sites over a time: a document of figures, and nothing else in it.

Minutes are added up and divided once: no figure is a mean of percentages. Formulas:
detection/availability.py and docs/reports.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.availability import MINUTES, Availability, summed, worst
from detection.outages import BIN_MS
from devices.geography import DISTRICTS, PROVINCES
from reports.calendars import CalendarName
from reports.grids import DOT, Grid, SiteTally, tally
from reports.periods import Period, iso, midnight_ms
from reports.planned_work import digest_of_left_out, left_out_until, minutes_by_window, told_of
from reports.quoting import calendar_as_quoted, rules_as_quoted
from reports.rules import Rules
from reports.speeds import Codes, Speed, SpeedColumns, speeds_of
from storage.ledger.inventory import SiteRow
from storage.ledger.report_data import LeftOut, TestDay, WindowFacts, Within
from storage.ledger.speed_tests import PACKED

SCHEMA = 1  # raised with whatever changes the figures or the members and is not in `rules`
WORST, LONGEST = 10, 20
ALL_OUTAGES = 1000  # listed of one site

Document = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What a report is asked about. until_ms: where its data ends, at most at the period's end."""

    within: Within
    period: Period
    calendar: CalendarName
    until_ms: int


@dataclass(frozen=True)
class Sources:
    """What it is made of: sites in the order of the grid's rows, whole local days of bins, tests.

    probes: device to its site and uplink. left_out: bins of the period that windows leave out, in
    order of site and time; windows: these, by id.
    """

    sites: Sequence[SiteRow]
    grid: Grid
    tests: Sequence[TestDay]
    probes: dict[str, tuple[str, int]]
    left_out: Sequence[LeftOut] = ()
    windows: Mapping[str, WindowFacts] = field(default_factory=dict)


@dataclass(frozen=True)
class _Parts:
    tallies: list[SiteTally]
    tests: SpeedColumns
    rules: Rules


def report_of(question: Question, sources: Sources, rules: Rules) -> Document:
    """All of the report but its status, its revision and its digest."""
    counted = _counted(question, rules)
    span = _span(question)
    grid = _cut(sources.grid, question)
    left_out = left_out_until(sources.left_out, question.until_ms)
    reasons = {name: one.reason for name, one in sources.windows.items()}
    tests = _tests(sources, question)
    judged = _judged(tests, sources, question, counted)
    parts = _Parts(tally(grid, counted[span], left_out, reasons), judged, rules)
    by_site = {
        one.site: part.availability for one, part in zip(sources.sites, parts.tallies, strict=True)
    }
    return {
        "kind": "connectivity",
        "schema": SCHEMA,
        "scope": {name: value for name, value in question.within._asdict().items() if value},
        "period": {
            "name": question.period.name,
            "start": iso(question.period.start_ms),
            "end": iso(question.period.end_ms),
        },
        "calendar": _calendar(question, rules, counted),
        "data_until": iso(question.until_ms),
        "rules": rules_as_quoted(rules),
        "total": _total(parts),
        **_groups(sources.sites, parts),
        "worst_sites": [
            {"site": site, "availability": one.availability, "coverage": one.coverage}
            for site, one in worst(by_site, WORST)
            if one.down
        ],
        "outages": _outages(by_site),
        "planned_work": told_of(
            sources.windows, minutes_by_window(left_out, counted[span], question.period.start_ms)
        ),
        "data": {
            "bins": _digest_of_bins(grid),
            "speed_tests": _digest_of_tests(tests),
            "left_out": digest_of_left_out(left_out),
        },
    }


def quoted_of(question: Question, rules: Rules) -> tuple[Document, Document]:
    """The members `rules` and `calendar` alone."""
    return rules_as_quoted(rules), _calendar(question, rules, _counted(question, rules))


def columns_of(question: Question, sources: Sources, rules: Rules) -> SpeedColumns:
    """The speed tests that count, with what is contracted for their links."""
    tests = _tests(sources, question)
    return _judged(tests, sources, question, _counted(question, rules))


def _span(question: Question) -> slice:
    """The bins of the period among those of its whole local days."""
    start_ms = midnight_ms(question.period.days[0])
    period = question.period
    return slice((period.start_ms - start_ms) // BIN_MS, (period.end_ms - start_ms) // BIN_MS)


def _counted(question: Question, rules: Rules) -> NDArray[np.bool_]:
    """bool[bins] of the whole local days: in the calendar and before the data's end."""
    days = question.period.days
    start_ms = midnight_ms(days[0])
    mask = rules.working_hours.mask(days)
    if question.calendar == "24x7":
        mask[:] = True
    mask[max(0, (question.until_ms - start_ms) // BIN_MS) :] = False
    return mask


def _cut(grid: Grid, question: Question) -> Grid:
    """The grid of the period alone, without what was published since its data's end."""
    span = _span(question)
    before = (grid.letters[:, : span.start] != DOT).any(axis=1)
    letters = grid.letters[:, span].copy()
    letters[:, max(0, (question.until_ms - question.period.start_ms) // BIN_MS) :] = DOT
    return Grid(grid.sites, question.period.start_ms, letters, grid.heard | before)


def _calendar(question: Question, rules: Rules, counted: NDArray[np.bool_]) -> Document:
    minutes = int(counted[_span(question)].sum() * MINUTES)
    days = question.period.days
    return calendar_as_quoted(question.calendar, days, rules.working_hours, minutes)


class _Tests(NamedTuple):
    """n tests of the period: device of each as an index into devices; values float64[n, 6]."""

    devices: list[str]
    device: Codes
    values: NDArray[np.float64]

    @property
    def at_ms(self) -> Codes:
        """int64[n]."""
        return self.values[:, 0].astype(np.int64)


def _tests(sources: Sources, question: Question) -> _Tests:
    """Every test of the period up to the data's end, in order of device and time."""
    devices = sorted({device for device, _ in sources.tests})
    number = {device: n for n, device in enumerate(devices)}
    counts = [len(packed) // PACKED.size for _, packed in sources.tests]
    device = np.repeat([number[name] for name, _ in sources.tests], counts).astype(np.int64)
    joined = b"".join(packed for _, packed in sources.tests)
    found = _Tests(devices, device, np.frombuffer(joined, "<f8").reshape(-1, 6))
    end_ms = min(question.until_ms, question.period.end_ms)
    inside = (found.at_ms >= question.period.start_ms) & (found.at_ms < end_ms)
    return _Tests(devices, device[inside], found.values[inside])


def _judged(
    tests: _Tests, sources: Sources, question: Question, counted: NDArray[np.bool_]
) -> SpeedColumns:
    """The tests that count, with what is contracted for their links."""
    rows = {one.site: n for n, one in enumerate(sources.sites)}
    links = np.full((len(tests.devices), 4), np.nan)
    for n, device in enumerate(tests.devices):
        site, uplink = sources.probes[device]
        if site in rows:
            links[n] = rows[site], uplink, *_contracted(sources.sites[rows[site]], uplink)
    place = (tests.at_ms - midnight_ms(question.period.days[0])) // BIN_MS
    of_test, values = links[tests.device], tests.values
    ours = counted[place] & ~np.isnan(of_test[:, 0])
    of_test, values = of_test[ours], values[ours]
    return SpeedColumns(
        site=of_test[:, 0].astype(np.int64),
        uplink=of_test[:, 1].astype(np.int64),
        down_mbps=values[:, 1].copy(),
        up_mbps=values[:, 2].copy(),
        rtt_ms=values[:, 3].copy(),
        sent=values[:, 4].copy(),
        rcvd=values[:, 5].copy(),
        contracted_down_mbps=of_test[:, 2].copy(),
        contracted_up_mbps=of_test[:, 3].copy(),
    )


def _contracted(site: SiteRow, uplink: int) -> tuple[float, float]:
    if uplink > len(site.uplinks):
        return np.nan, np.nan
    way = site.uplinks[uplink - 1]
    down, up = way["contracted_down_mbps"], way["contracted_up_mbps"]
    return np.nan if down is None else down, np.nan if up is None else up


def _total(parts: _Parts) -> Document:
    everything = np.zeros(len(parts.tests), np.int64)
    (speed,) = _speeds(parts, everything, 1)
    return _figures(parts.tallies, speed)


def _groups(sites: Sequence[SiteRow], parts: _Parts) -> Document:
    """The same figures by province, district, agency, provider and site."""
    names: dict[str, Callable[[SiteRow], str]] = {
        "provinces": lambda site: site.province,
        "districts": lambda site: f"{site.province}/{site.district}",
        "agencies": lambda site: site.agency,
        "providers": lambda site: site.uplinks[0]["provider"] if site.uplinks else "",
        "sites": lambda site: site.site,
    }
    found: Document = {}
    for kind, name_of in names.items():
        of_site = [name_of(site) for site in sites]
        ids = sorted(set(of_site))
        row_of = {name: n for n, name in enumerate(ids)}
        codes = np.array([row_of[name] for name in of_site], np.int64)
        members: list[list[SiteTally]] = [[] for _ in ids]
        for code, part in zip(codes.tolist(), parts.tallies, strict=True):
            members[code].append(part)
        group = codes[parts.tests.site] if len(ids) else parts.tests.site
        if kind == "providers":
            group = _provider_of(sites, parts.tests, row_of)
        speeds = _speeds(parts, group, len(ids))
        described = _sites_described(sites) if kind == "sites" else {}
        found[kind] = [
            {"id": name, **described.get(name, _named(kind, name)), **_figures(member, speed)}
            for name, member, speed in zip(ids, members, speeds, strict=True)
        ]
    return found


def _provider_of(sites: Sequence[SiteRow], tests: SpeedColumns, row_of: dict[str, int]) -> Codes:
    """Of each test, the row of the provider of the link that it went over."""
    by_link = {
        (n, uplink): row_of.get(way["provider"], -1)
        for n, site in enumerate(sites)
        for uplink, way in enumerate(site.uplinks, 1)
    }
    pairs = zip(tests.site.tolist(), tests.uplink.tolist(), strict=True)
    return np.array([by_link.get(pair, -1) for pair in pairs], np.int64)


def _speeds(parts: _Parts, group: Codes, groups: int) -> list[Speed]:
    return speeds_of(
        parts.tests,
        group,
        groups,
        floor_pct=parts.rules.floor_pct,
        least_tests=parts.rules.least_tests,
    )


def _named(kind: str, name: str) -> Document:
    if kind == "provinces":
        province = PROVINCES[name]
        return {"name_en": province.name_en, "name_lo": province.name_lo}
    if kind == "districts":
        province_code, _, district = name.partition("/")
        found = DISTRICTS.get((province_code, district))
        name = found.name_en if found else district
        return {"name_en": name, "name_lo": (found.name_lo if found else "") or name}
    return {"name_en": name, "name_lo": name}


def _sites_described(sites: Sequence[SiteRow]) -> dict[str, Document]:
    return {
        site.site: {
            "name_en": site.name_en,
            "name_lo": site.name_lo or site.name_en,
            "province": site.province,
            "district": site.district,
            "agency": site.agency,
            "provider": site.uplinks[0]["provider"] if site.uplinks else "",
        }
        for site in sites
    }


def _figures(members: Sequence[SiteTally], speed: Speed) -> Document:
    one = summed(part.availability for part in members)
    reasons: dict[str, int] = {}
    for part in members:
        for reason, count in part.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return {
        "sites": one.sites,
        **_minutes(one, sum(part.not_started for part in members)),
        "excluded_by_reason": {
            reason or "not stated": int(count * MINUTES) for reason, count in reasons.items()
        },
        "excluded_share": _share(one.excluded, one.scheduled + one.excluded),
        **{name: getattr(one, name) for name in _RATIOS},
        "outages": len(one.outages),
        "outages_open": sum(outage.open for outage in one.outages),
        **{name: getattr(one, name) for name in _MEANS},
        "speed": {
            **{name: getattr(speed, name) for name in Speed.__slots__},
            "share": speed.share,
        },
    }


_RATIOS = ("availability", "lower", "upper", "coverage", "sufficient", "quality_ok")
_MEANS = ("mttr_minutes", "mtbf_minutes", "saifi", "saidi_minutes")


def _minutes(one: Availability, not_started: int) -> Document:
    return {
        "minutes": {
            "up": int(one.up * MINUTES),
            "degraded": int(one.degraded * MINUTES),
            "down": int(one.down * MINUTES),
            "unknown": int(one.unknown * MINUTES),
            "excluded": int(one.excluded * MINUTES),
            "on_backup": int(one.on_backup * MINUTES),
            "not_started": int(not_started * MINUTES),
        }
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _outages(by_site: dict[str, Availability]) -> Document:
    """Those of one site all, of many the longest."""
    every = [(one.minutes, site, one) for site, of in by_site.items() for one in of.outages]
    most = ALL_OUTAGES if len(by_site) == 1 else LONGEST
    every.sort(key=lambda row: (-row[0], row[1], row[2].start_ms))
    return {
        "count": len(every),
        "longest": [
            {
                "site": site,
                "start": iso(one.start_ms),
                "end": iso(one.end_ms),
                "minutes": int(minutes),
                "open": one.open,
            }
            for minutes, site, one in every[:most]
        ],
    }


def _digest_of_bins(grid: Grid) -> str:
    """SHA-256 over, of each site: its id and its letters; a line each."""
    sha = hashlib.sha256()
    for n, site in enumerate(grid.sites):
        sha.update(f"{site} ".encode() + grid.letters[n].tobytes() + b"\n")
    return sha.hexdigest()


def _digest_of_tests(tests: _Tests) -> str:
    """SHA-256 over every test, in order of device and time.

    First each device with the number of its tests, a line each, then the values of all as
    little-endian doubles: at_ms, down_mbps, up_mbps, rtt_ms, sent, rcvd; NaN where nothing was
    measured.
    """
    counts = np.bincount(tests.device, minlength=len(tests.devices)).tolist()
    pairs = zip(tests.devices, counts, strict=True)
    lines = "".join(f"{device} {count}\n" for device, count in pairs if count)
    sha = hashlib.sha256(lines.encode())
    sha.update(tests.values.tobytes())
    return sha.hexdigest()

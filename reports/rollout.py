"""The broadband roll-out: whose measured link reaches the target, and what it can be used for.

Of a link the medians of its speed tests are judged, and its loss over all of them; an office can
do what its best link can. An office without enough tests is unknown: it is counted as such and
stands in no share.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from reports.connectivity import Question, Sources, columns_of
from reports.periods import iso
from reports.rules import Rules
from reports.speeds import Speed, speeds_of
from storage.ledger.inventory import SiteRow

UPLINKS = 2


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a link must reach. loss_pct None: it does not matter."""

    down_mbps: float
    up_mbps: float
    rtt_ms: float
    loss_pct: float | None = None

    def met_by(self, speed: Speed) -> bool | None:
        """Whether a link reaches it; None where too little was measured to say."""
        return all_of(
            None if not speed.enough or value is None else reached
            for value, reached in (
                (speed.down_p50_mbps, (speed.down_p50_mbps or 0.0) >= self.down_mbps),
                (speed.up_p50_mbps, (speed.up_p50_mbps or 0.0) >= self.up_mbps),
                (speed.rtt_p50_ms, (speed.rtt_p50_ms or 0.0) <= self.rtt_ms),
                (
                    0.0 if self.loss_pct is None else speed.loss_pct,
                    self.loss_pct is None or (speed.loss_pct or 0.0) <= self.loss_pct,
                ),
            )
        )


def all_of(verdicts: Any) -> bool | None:
    """False where one is; None where one is not known; else True."""
    found = list(verdicts)
    return False if False in found else None if None in found else True


def any_of(verdicts: Any) -> bool | None:
    """True where one is; None where one is not known, or there is none; else False."""
    found = list(verdicts)
    return True if True in found else None if None in found or not found else False


@cache
def services() -> dict[str, tuple[Threshold, dict[str, str]]]:
    """Service: what it needs, and its names and source."""
    text = (files("reports") / "data" / "services.csv").read_text("utf-8")
    numbers = ("down_mbps", "up_mbps", "rtt_ms", "loss_pct")
    return {
        row["service"]: (
            Threshold(*(float(row[name]) for name in numbers)),
            {name: row[name] for name in ("name_en", "name_lo", "source")},
        )
        for row in csv.DictReader(text.splitlines())
    }


def rollout_of(question: Question, sources: Sources, rules: Rules) -> dict[str, Any]:
    """Counts of offices by agency and province, and every office with its links."""
    target = Threshold(rules.target.down_mbps, rules.target.up_mbps, rules.target.rtt_ms)
    wanted = {"target": target, **{name: needs for name, (needs, _) in services().items()}}
    tests = columns_of(question, sources, rules)
    links = speeds_of(
        tests,
        tests.site * UPLINKS + tests.uplink - 1,
        len(sources.sites) * UPLINKS,
        floor_pct=rules.floor_pct,
        least_tests=rules.least_tests,
    )
    offices = [
        _office(site, links[n * UPLINKS : (n + 1) * UPLINKS], wanted)
        for n, site in enumerate(sources.sites)
    ]
    return {
        "period": {
            "name": question.period.name,
            "start": iso(question.period.start_ms),
            "end": iso(question.period.end_ms),
        },
        "scope": {name: value for name, value in question.within._asdict().items() if value},
        "target": {
            "down_mbps": target.down_mbps,
            "up_mbps": target.up_mbps,
            "rtt_ms": target.rtt_ms,
            "least_tests": rules.least_tests,
        },
        "services": [
            {
                "service": name,
                **described,
                "down_mbps": needs.down_mbps,
                "up_mbps": needs.up_mbps,
                "rtt_ms": needs.rtt_ms,
                "loss_pct": needs.loss_pct,
            }
            for name, (needs, described) in services().items()
        ],
        "total": _counts(offices),
        "agencies": _grouped(offices, "agency"),
        "provinces": _grouped(offices, "province"),
        "agencies_by_province": _grouped(offices, "agency", "province"),
        "sites": offices,
    }


def _office(site: SiteRow, links: Sequence[Speed], wanted: dict[str, Threshold]) -> dict[str, Any]:
    used = list(links[: max(1, len(site.uplinks))])
    tested = [link for link in used if link.tests]
    verdicts = {name: any_of(needs.met_by(link) for link in used) for name, needs in wanted.items()}
    return {
        "site": site.site,
        "name_en": site.name_en,
        "name_lo": site.name_lo or site.name_en,
        "agency": site.agency,
        "province": site.province,
        "meets": verdicts.pop("target"),
        "services": verdicts,
        "links": [
            {
                "tests": link.tests,
                "enough": link.enough,
                "down_p50_mbps": link.down_p50_mbps,
                "up_p50_mbps": link.up_p50_mbps,
                "rtt_p50_ms": link.rtt_p50_ms,
                "loss_pct": link.loss_pct,
            }
            for link in tested
        ],
    }


def _grouped(offices: Sequence[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    keys = sorted({tuple(one[name] for name in names) for one in offices})
    return [
        {
            **dict(zip(names, key, strict=True)),
            **_counts([one for one in offices if tuple(one[name] for name in names) == key]),
        }
        for key in keys
    ]


def _counts(offices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """share: of the offices of which it is known."""
    return {
        "sites": len(offices),
        **_three([one["meets"] for one in offices], "meets", "misses"),
        "services": {
            name: _three([one["services"][name] for one in offices], "can", "cannot")
            for name in services()
        },
    }


def _three(verdicts: Sequence[bool | None], yes: str, no: str) -> dict[str, Any]:
    good, bad = verdicts.count(True), verdicts.count(False)
    share = good / (good + bad) if good + bad else None
    return {yes: good, no: bad, "unknown": verdicts.count(None), "share": share}

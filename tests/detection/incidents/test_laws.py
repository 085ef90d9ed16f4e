"""Laws that hold whatever happens: one open incident for a thing, resolved once, no alert lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.incidents.changes import IncidentChange
from detection.outages import Evidence
from tests.detection.incidents.world import Play, country, registry

EVIDENCE = [
    Evidence(),
    Evidence(booted=True, silent_devices=2, site_devices=2),
    Evidence(rounds=9, failed={"isp": 9, "nat": 9, "int": 9}, booted=False),
    Evidence(rounds=9, failed={"nat": 9, "int": 9}, booted=False),
    Evidence(rounds=9, failed={}, booted=False),
    Evidence(booted=False),
]
ALERTS: list[dict[str, Any]] = [
    {"rule": "stuck", "nature": "data_quality"},
    {"metric": "co2_ppm"},
    {"metric": "dns_ms", "nature": "connectivity"},
    {"metric": "power_mains"},
    {"metric": "", "rule": "silence", "nature": "connectivity"},
    {"metric": "rsrp_dbm", "nature": "connectivity", "severity": "info"},
]
SPELL = st.tuples(
    st.integers(0, 7), st.integers(0, 240), st.integers(1, 120), st.integers(0, 5), st.booleans()
)


def played(spells: list[tuple[int, int, int, int, bool]], restart: list[int]) -> Play:
    """Outages and alerts of eight sites over some hours, all over at the end."""
    sites = [s for s in country() if s.province in ("LA-LP", "LA-SV")][:8]
    play = Play(registry(sites))
    taken: dict[object, list[tuple[int, int]]] = {}
    for n, begin, length, what, is_outage in spells:
        key: object = n if is_outage else (n, what)
        around = taken.setdefault(key, [])
        if any(begin <= end + 4 and start <= begin + length + 4 for start, end in around):
            continue
        around.append((begin, begin + length))
        if is_outage:
            play.outage(sites[n].site, begin, begin + length, evidence=EVIDENCE[what])
        else:
            device = f"{'env0' if what < 2 else 'probe'}-{sites[n].site}"
            play.alert(device, begin, begin + length, **ALERTS[what])
    play.until(480, restart)
    return play


def check_laws(changes: list[IncidentChange]) -> None:
    """What every reader of the changes may rely on."""
    open_now: dict[str, IncidentChange] = {}
    closed: set[str] = set()
    for change in changes:
        assert change.incident not in closed, "said something after it was resolved"
        if change.state == "open":
            assert change.incident not in open_now
        else:
            assert change.incident in open_now
        if change.state == "resolved":
            del open_now[change.incident]
            closed.add(change.incident)
            assert change.ended_ms is not None
            assert change.ended_ms >= change.started_ms
        else:
            open_now[change.incident] = change
        assert change.started_ms <= change.at_ms
        assert change.sites
        assert change.evidence
        assert len(change.evidence) == len(change.evidence_lo)
    assert not open_now, "never resolved"


def check_unique(changes: list[IncidentChange]) -> None:
    """At the end of each step no two open incidents have one scope and cause."""
    open_now: dict[str, IncidentChange] = {}
    for n, change in enumerate(changes):
        open_now[change.incident] = change
        if change.state == "resolved":
            del open_now[change.incident]
        if n + 1 == len(changes) or changes[n + 1].at_ms > change.at_ms:
            seen = Counter((c.scope, c.cause) for c in open_now.values())
            assert not [what for what, times in seen.items() if times > 1]


@settings(max_examples=60, deadline=None)
@given(spells=st.lists(SPELL, max_size=25))
def test_whatever_happens_the_laws_hold(spells: list[tuple[int, int, int, int, bool]]) -> None:
    """Each incident is opened once and resolved once; none is there twice at a time."""
    play = played(spells, [])
    check_laws(play.changes)
    check_unique(play.changes)
    assert not play.book.open_incidents()


@settings(max_examples=20, deadline=None)
@given(spells=st.lists(SPELL, max_size=25))
def test_every_alert_above_info_belongs_to_an_incident(
    spells: list[tuple[int, int, int, int, bool]],
) -> None:
    """It was told its incident at the latest when it was resolved, and that incident exists."""
    play = played(spells, [])
    fired = {a for a in play.fired if play.fired[a].severity != "info"}
    assert fired == set(play.parents)
    assert not play.orphans
    assert set(play.parents.values()) <= set(play.latest())


@settings(max_examples=25, deadline=None)
@given(spells=st.lists(SPELL, max_size=25), restart=st.lists(st.integers(1, 2800), max_size=6))
def test_a_restart_anywhere_changes_nothing(
    spells: list[tuple[int, int, int, int, bool]], restart: list[int]
) -> None:
    """A snapshot taken and restored between any two steps leads to the same changes."""
    assert played(spells, restart).changes == played(spells, []).changes


@pytest.mark.parametrize("seed", range(3))
def test_a_busy_week_of_a_country_keeps_the_laws(seed: int) -> None:
    """Random single outages and cuts of whole provinces over days."""
    rng = np.random.default_rng(seed)
    sites = country()
    play = Play(registry(sites))
    for one in sites:
        minute = float(rng.exponential(1500))
        while minute < 2 * 1440:
            length = float(rng.lognormal(3.5, 1))
            play.outage(one.site, minute, minute + length,
                        evidence=EVIDENCE[rng.integers(len(EVIDENCE))])  # fmt: skip
            minute += length + 30 + float(rng.exponential(1500))
    play.until(2 * 1440 + 600)
    check_laws(play.changes)
    check_unique(play.changes)
    groups = [c for c in play.latest().values() if c.scope.type not in ("site", "device")]
    assert len(groups) <= 1

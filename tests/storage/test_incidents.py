"""Incidents and bins in the ledger: what they are now, how they came to be so, for how long."""

from __future__ import annotations

from typing import Any

from detection.incidents.changes import IncidentChange, IncidentState, Scope
from detection.outages import BIN_MS, Bin
from storage.ledger import bins, events, incidents
from storage.ledger.alerts import get_alert
from storage.ledger.facts import Facts, commit
from storage.ledger.migrations import Ledger
from tests.storage.test_alerts import NOW, apply, change

DAY_MS = 86_400_000


def incident(state: IncidentState, *, at_ms: int = NOW, **other: Any) -> IncidentChange:
    """A change of one incident."""
    facts: dict[str, Any] = {
        "incident": "i1",
        "scope": Scope("province", "LA-LP"),
        "cause": "power",
        "phase": "provisional",
        "confidence": 0.7,
        "started_ms": NOW - 60_000,
        "ended_ms": None,
        "sites": ("site-1", "site-2"),
        "devices": (),
        "evidence": ("2 of 2 sites are dark",),
        "evidence_lo": ("ມືດ 2 ແຫ່ງ",),
    }
    return IncidentChange(at_ms=at_ms, state=state, **{**facts, **other})


def put(ledger: Ledger, *changes: IncidentChange, **facts: Any) -> None:
    """Commit changes of incidents together."""
    commit(ledger, Facts(position=0, incident_changes=list(changes), **facts), now_ms=NOW)


def test_an_incident_is_what_its_last_change_says(ledger: Ledger) -> None:
    """And its timeline holds all of them, in order; each was told as an event."""
    ended_ms = NOW + 5000
    changes = [
        incident("open"),
        incident("updated", at_ms=NOW + 1000, sites=("site-1", "site-2", "site-3")),
        incident("resolved", at_ms=NOW + 9000, ended_ms=ended_ms, phase="final"),
    ]
    put(ledger, *changes[:2])
    put(ledger, changes[2])
    row = incidents.get_incident(ledger, "i1")
    assert row is not None
    assert (row.state, row.phase, row.ended_ms) == ("resolved", "final", ended_ms)
    assert (row.opened_at_ms, row.at_ms) == (NOW, NOW + 9000)
    assert [incidents.change_of(one) for one in incidents.changes_of(ledger, "i1")] == changes
    told = [event for event in events.since(ledger, 0, 99) if event.type == "incident"]
    assert [event.data["state"] for event in told] == ["open", "updated", "resolved"]
    assert told[1].data["sites"] == ["site-1", "site-2", "site-3"]


def test_what_says_nothing_new_leaves_no_trace(ledger: Ledger) -> None:
    """The same change again, a second opening, and anything after the end."""
    put(ledger, incident("open"), incident("updated", confidence=0.9))
    put(ledger, incident("updated", at_ms=NOW + 1, confidence=0.9), incident("open"))
    put(ledger, incident("resolved"), incident("updated", confidence=0.1), incident("resolved"))
    states = [row.state for row in incidents.changes_of(ledger, "i1")]
    assert states == ["open", "updated", "resolved"]
    assert incidents.get_incident(ledger, "nothing") is None


def test_open_ones_are_found(ledger: Ledger) -> None:
    """The oldest first, without those that are resolved."""
    put(ledger, incident("open", incident="i2", at_ms=NOW + 1), incident("open", incident="i3"))
    put(ledger, incident("open"), incident("resolved"))
    assert [row.incident for row in incidents.open_incidents(ledger)] == ["i3", "i2"]


def test_alerts_name_their_incident(ledger: Ledger) -> None:
    """From when they fire, or from when they become a part of it."""
    apply(ledger, change("firing", "a1"), change("firing", "a2", rule="stuck", incident="i1"))
    put(ledger, incident_of={"a1": "i2", "a9": "i2"})
    found = [get_alert(ledger, name) for name in ("a1", "a2")]
    assert [row and row.incident for row in found] == ["i2", "i1"]


def test_an_alert_of_the_past_is_kept_beside_an_open_one(ledger: Ledger) -> None:
    """It opens and closes at once, and is in nobody's way."""
    apply(ledger, change("firing", "a1"))
    past = [change(state, "a2", backfilled=True) for state in ("firing", "resolved")]
    apply(ledger, *past)
    row = get_alert(ledger, "a2")
    assert row is not None
    assert (row.state, row.backfilled) == ("resolved", True)
    row = get_alert(ledger, "a1")
    assert row is not None
    assert (row.state, row.backfilled) == ("firing", False)


def a_bin(start_ms: int, state: Any = "UP", revision: int = 1, site: str = "site-1") -> Bin:
    """Five minutes of a site."""
    return Bin(site, start_ms, state, False, revision)


def test_of_each_bin_the_last_revision_is_kept(ledger: Ledger) -> None:
    """Also where one batch holds several."""
    start = NOW // BIN_MS * BIN_MS
    first = [a_bin(start), a_bin(start, "UNKNOWN", 2), a_bin(start + BIN_MS)]
    put(ledger, bins=first)
    put(ledger, bins=[a_bin(start, "DOWN", 3), a_bin(start, site="site-2")])
    found = bins.bins_of(ledger, "site-1", start, start + BIN_MS + 1)
    assert found == [a_bin(start, "DOWN", 3), a_bin(start + BIN_MS)]
    assert bins.bins_of(ledger, "site-1", start + 1, start + BIN_MS) == []


def test_old_bins_go_an_hour_at_a_time(ledger: Ledger) -> None:
    """Until none is older than it may be; none goes early."""
    start = NOW // BIN_MS * BIN_MS
    put(ledger, bins=[a_bin(start + n * BIN_MS) for n in range(36)])
    now_ms = start + DAY_MS + 20 * BIN_MS
    gone = [bins.trim_bins(ledger, now_ms, keep_days=1) for _ in range(3)]
    assert gone == [12, 8, 0]
    assert len(bins.bins_of(ledger, "site-1", 0, 2 * NOW)) == 16

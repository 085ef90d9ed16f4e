"""What the public status is made from, in both databases."""

from __future__ import annotations

from detection.incidents.changes import Scope
from detection.outages import BIN_MS, Bin
from storage.ledger.facts import Facts, commit
from storage.ledger.migrations import Ledger
from storage.ledger.public import public_facts
from storage.ledger.registry import add_registry
from tests.api.world import NOW_MS, incident, registry


def test_the_newest_bin_of_each_site_within_a_time(ledger: Ledger) -> None:
    """Neither an older bin nor one that begins later; a site without any is there all the same."""
    add_registry(ledger, registry())
    starts = {n: NOW_MS + n * BIN_MS for n in (-4, -2, -1, 1)}
    bins = [
        Bin("office", starts[-2], "UP", False, 1),
        Bin("office", starts[-1], "DOWN", False, 1),
        Bin("office", starts[1], "UP", False, 1),
        Bin("clinic", starts[-4], "UP", False, 1),
    ]
    commit(ledger, Facts(position=1, bins=bins), now_ms=NOW_MS)
    found = public_facts(ledger, bins_from_ms=starts[-2], over_from_ms=0, now_ms=NOW_MS).sites
    assert [(one.site, one.site_class, one.state, one.start_ms) for one in found] == [
        ("clinic", "hospital", None, None),
        ("office", "office", "DOWN", starts[-1]),
    ]


def test_incidents_of_groups_that_are_open_or_were_resolved_lately(ledger: Ledger) -> None:
    """Those of one site or device are left out, and those that were over before."""
    country = Scope("platform", "")
    changes = [
        incident("i1", "open"),
        incident("i2", "open", scope=Scope("site", "clinic")),
        incident("i3", "open", scope=country),
        incident("i3", "resolved", scope=country, ended_ms=NOW_MS, at_ms=NOW_MS),
    ]
    commit(ledger, Facts(position=1, incident_changes=changes), now_ms=NOW_MS)
    for over_from_ms, names in ((NOW_MS, ["i3", "i1"]), (NOW_MS + 1, ["i1"])):
        found = public_facts(ledger, bins_from_ms=0, over_from_ms=over_from_ms, now_ms=NOW_MS)
        assert [one.incident for one in found.groups] == names
    assert not found.groups[0].is_over
    assert found.groups[0].sites == ["clinic", "office"]

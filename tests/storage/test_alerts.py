"""Alerts in the ledger: each state once, one open at a time, acknowledged by people."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from detection.alerts import AlertChange, State
from storage.ledger import events
from storage.ledger.actions import Deed
from storage.ledger.alerts import (
    AlertFilter,
    get_alert,
    list_alerts,
    open_alerts,
)
from storage.ledger.facts import Facts, commit
from storage.ledger.handling import NotPossibleError, acknowledge
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.registry import add_registry
from tests.storage.country import registered

on_sqlite = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)

NOW = 1_790_000_000_000
END_OF_STORY = ("resolved", "dropped")


def change(state: State, alert: str = "a1", at_ms: int = NOW, **other: Any) -> AlertChange:
    """A change of an alert on one metric of one device."""
    facts: dict[str, Any] = {
        "device": "probe-1",
        "site": "site-1",
        "metric": "nat_rtt_p50_ms",
        "rule": "limits",
        "nature": "connectivity",
        "severity": "warning",
        "event_ms": at_ms - 1000,
        "value": 812.0,
        "expected": (0.0, 300.0),
        "text_en": f"{alert} is {state}",
        "text_lo": "ຊ້າ",
    }
    return AlertChange(alert=alert, state=state, at_ms=at_ms, **{**facts, **other})


def apply(ledger: Ledger, *changes: AlertChange) -> None:
    """Commit changes together."""
    commit(ledger, Facts(position=0, alert_changes=list(changes)), now_ms=NOW)


def said(ledger: Ledger) -> list[tuple[str, str]]:
    """(alert, state) of every event so far."""
    return [(event.data["alert"], event.data["state"]) for event in events.since(ledger, 0, 10**6)]


def states(ledger: Ledger) -> dict[str, str]:
    """State of every alert."""
    return {row.alert: row.state for row in list_alerts(ledger, AlertFilter(), limit=10**6)}


def test_an_alert_goes_through_its_states(ledger: Ledger) -> None:
    """Firing keeps what it says; resolving adds when, and when that was known."""
    apply(ledger, change("pending"))
    assert states(ledger) == {"a1": "pending"}
    apply(ledger, change("firing", at_ms=NOW + 5000, severity="critical"))
    apply(ledger, change("resolved", at_ms=NOW + 9000, text_en="over", value=20.0))
    row = get_alert(ledger, "a1")
    assert row is not None
    assert (row.state, row.severity, row.value) == ("resolved", "critical", 812.0)
    assert (row.expected_low, row.expected_high) == (0.0, 300.0)
    assert (row.event_ms, row.at_ms) == (NOW + 4000, NOW + 5000)
    assert (row.resolved_event_ms, row.resolved_at_ms) == (NOW + 8000, NOW + 9000)
    assert row.text_en == "a1 is firing"
    assert said(ledger) == [("a1", "firing"), ("a1", "resolved")]


def test_an_event_says_all_that_the_change_says(ledger: Ledger) -> None:
    """An event holds the alert as JSON, at the time when the platform knew."""
    apply(ledger, change("firing"))
    (event,) = events.since(ledger, 0, 10)
    assert (event.type, event.at_ms) == ("alert", NOW)
    facts = {"expected": [0.0, 300.0], "muted": None}
    assert event.data == {**change("firing")._asdict(), **facts}


@pytest.mark.parametrize("ending", END_OF_STORY)
def test_a_pending_alert_that_ends_leaves_no_trace(ledger: Ledger, ending: State) -> None:
    """What never fired is neither listed nor told."""
    apply(ledger, change("pending"))
    apply(ledger, change(ending))
    assert states(ledger) == {}
    assert said(ledger) == []


@pytest.mark.parametrize("again", ["pending", "firing", "resolved", "dropped"])
def test_a_resolved_alert_stays_as_it_is(ledger: Ledger, again: State) -> None:
    """No change, repeated or late, opens or ends a resolved alert once more."""
    apply(ledger, change("firing"), change("resolved", at_ms=NOW + 1))
    before = get_alert(ledger, "a1")
    apply(ledger, change(again, at_ms=NOW + 2, value=1.0))
    assert get_alert(ledger, "a1") == before
    assert said(ledger) == [("a1", "firing"), ("a1", "resolved")]


def test_an_end_without_a_beginning_is_nothing(ledger: Ledger) -> None:
    """Resolving or dropping an unknown alert changes nothing."""
    apply(ledger, change("resolved"), change("dropped"))
    assert states(ledger) == {}
    assert said(ledger) == []


def test_one_alert_follows_another_in_one_commit(ledger: Ledger) -> None:
    """An alert may open on a metric in the commit that ends the one before, fired or not."""
    apply(ledger, change("firing", "a1"))
    apply(
        ledger,
        change("resolved", "a1"),
        change("pending", "a2"),
        change("dropped", "a2"),
        change("firing", "a3"),
        change("resolved", "a3"),
        change("pending", "a4"),
    )
    assert states(ledger) == {"a1": "resolved", "a3": "resolved", "a4": "pending"}


changes_strategy = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["pending", "firing", "resolved", "dropped"])),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(steps=changes_strategy, cuts=st.sets(st.integers(0, 12)))
def test_commits_may_be_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, State]],
    cuts: set[int],
) -> None:
    """Changes give the same alerts and events, committed together, singly, cut anywhere, twice."""
    made = [
        change(state, f"a{n}", NOW + at, rule=f"rule-{n}") for at, (n, state) in enumerate(steps)
    ]
    singly = [[one] for one in made]
    parts = [made[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(made)], strict=True)]
    outcomes = []
    for batches in (singly, [made], parts):
        path = tmp_path_factory.mktemp("alerts") / "ledger.db"
        ledger = open_ledger(f"sqlite:///{path}")
        for batch in batches:
            apply(ledger, *batch)
        rows = list_alerts(ledger, AlertFilter(), limit=100)
        outcomes.append((rows, events.since(ledger, 0, 100)))
        ledger.close()
    assert outcomes[0] == outcomes[1] == outcomes[2]
    fired = [e.data["alert"] for e in outcomes[0][1] if e.data["state"] == "firing"]
    ended = [e.data["alert"] for e in outcomes[0][1] if e.data["state"] == "resolved"]
    assert len(set(fired)) == len(fired)
    assert len(set(ended)) == len(ended)
    assert set(ended) <= set(fired)


def test_a_second_open_alert_stays_out(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    """One alert is open for a device, metric and rule; what came with a second one is kept."""
    apply(ledger, change("firing", "a1"))
    apply(ledger, change("firing", "b1", rule="shift"), change("pending", "a2"))
    assert "alert a2 stays out: another one is open for probe-1" in caplog.text
    apply(ledger, change("firing", "a2"), change("resolved", "a2"), change("firing", "a3"))
    assert states(ledger) == {"a1": "firing", "b1": "firing"}
    assert said(ledger) == [("a1", "firing"), ("b1", "firing")]


def test_concurrent_writers_open_one_alert(tmp_path: Path) -> None:
    """Of many processes that open an alert on one metric at once, one succeeds, and none fails."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledgers = [open_ledger(url) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: apply(ledgers[n], change("firing", f"a{n}")), range(8)))
    assert len(open_alerts(ledgers[0])) == len(said(ledgers[0])) == 1
    for ledger in ledgers:
        ledger.close()


def test_acknowledging_is_kept_and_told(ledger: Ledger) -> None:
    """Who has seen an alert, when and what they say is in the alert and in an event."""
    apply(ledger, change("firing"))
    deed = Deed("me", "me", NOW + 60_000)
    acknowledge(ledger, "a1", deed, by="S. Vong", comment="on the way")
    row = get_alert(ledger, "a1")
    assert row is not None
    assert (row.state, row.acknowledged_by, row.comment) == (
        "acknowledged",
        "S. Vong",
        "on the way",
    )
    assert row.acknowledged_at_ms == NOW + 60_000
    event = events.since(ledger, 0, 10)[-1]
    assert (event.at_ms, event.data["state"], event.data["comment"]) == (
        NOW + 60_000,
        "acknowledged",
        "on the way",
    )
    apply(ledger, change("firing"))
    assert states(ledger) == {"a1": "acknowledged"}
    apply(ledger, change("resolved"))
    assert states(ledger) == {"a1": "resolved"}
    assert [state for _, state in said(ledger)] == ["firing", "acknowledged", "resolved"]


@pytest.mark.parametrize("state", ["pending", "acknowledged", "resolved"])
def test_only_a_firing_alert_can_be_acknowledged(ledger: Ledger, state: str) -> None:
    """Any other state is refused by name, and nothing is written."""
    apply(ledger, change("pending" if state == "pending" else "firing"))
    if state == "acknowledged":
        acknowledge(ledger, "a1", Deed("me", "me", NOW), by="first", comment="")
    if state == "resolved":
        apply(ledger, change("resolved"))
    before = (get_alert(ledger, "a1"), said(ledger))
    with pytest.raises(NotPossibleError, match=f"alert a1 is {state}"):
        acknowledge(ledger, "a1", Deed("me", "me", NOW), by="second", comment="")
    assert (get_alert(ledger, "a1"), said(ledger)) == before


def test_an_unknown_alert_cannot_be_acknowledged(ledger: Ledger) -> None:
    """There is nothing to acknowledge."""
    with pytest.raises(KeyError):
        acknowledge(ledger, "nowhere", Deed("me", "me", NOW), by="x", comment="")
    assert get_alert(ledger, "nowhere") is None


def test_an_alert_is_acknowledged_once(ledger: Ledger) -> None:
    """Of many who acknowledge at once, one is told that they did."""
    apply(ledger, change("firing"))

    def attempt(number: int) -> bool:
        try:
            acknowledge(ledger, "a1", Deed("me", "me", NOW), by=f"operator {number}", comment="")
        except NotPossibleError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, range(8))).count(True) == 1
    assert said(ledger) == [("a1", "firing"), ("a1", "acknowledged")]


FILTERS: list[tuple[AlertFilter, set[str]]] = [
    (AlertFilter(), {"p0", "p1", "t0", "t1"}),
    (AlertFilter(state="open"), {"p1", "t0", "t1"}),
    (AlertFilter(state="firing"), {"p1", "t0"}),
    (AlertFilter(state="acknowledged"), {"t1"}),
    (AlertFilter(state="resolved"), {"p0"}),
    (AlertFilter(severity="critical"), {"t0", "t1"}),
    (AlertFilter(province="LA-LP"), {"p1", "t1"}),
    (AlertFilter(site="s0"), {"p0", "t0"}),
    (AlertFilter(device="tank-s1"), {"t1"}),
    (AlertFilter(kind="water-level"), {"t0", "t1"}),
    (AlertFilter(from_ms=NOW + 2), {"t0", "t1"}),
    (AlertFilter(to_ms=NOW + 2), {"p0", "p1"}),
    (AlertFilter(province="LA-LP", kind="connectivity-probe", state="open"), {"p1"}),
    (AlertFilter(province="LA-LP", site="s0"), set()),
]


@pytest.mark.parametrize(("which", "wanted"), FILTERS)
def test_alerts_are_filtered(ledger: Ledger, which: AlertFilter, wanted: set[str]) -> None:
    """Filters hold together; province and kind are those of the registry."""
    add_registry(
        ledger, registered([("s0", "LA-VT", "naxaithong"), ("s1", "LA-LP", "luangprabang")])
    )
    apply(
        ledger,
        change("firing", "p0", NOW, device="probe-s0", site="s0"),
        change("firing", "p1", NOW + 1, device="probe-s1", site="s1"),
        change("firing", "t0", NOW + 2, device="tank-s0", site="s0", severity="critical"),
        change("firing", "t1", NOW + 3, device="tank-s1", site="s1", severity="critical"),
        change("resolved", "p0", NOW + 4, device="probe-s0", site="s0"),
    )
    acknowledge(ledger, "t1", Deed("me", "me", NOW + 5), by="x", comment="")
    assert {row.alert for row in list_alerts(ledger, which, limit=10)} == wanted


def test_pages_of_alerts_follow_each_other(ledger: Ledger) -> None:
    """Newest first, equal times by id, no alert twice and none left out."""
    made = [change("firing", f"a{n:02}", NOW + n // 4, rule=f"rule-{n}") for n in range(19)]
    apply(ledger, *made)
    found: list[tuple[int, str]] = []
    before = None
    while page := list_alerts(ledger, AlertFilter(), before=before, limit=5):
        found += [(row.at_ms, row.alert) for row in page]
        before = found[-1]
    assert found == sorted(((one.at_ms, one.alert) for one in made), reverse=True)


def test_a_list_says_where_the_alert_is(ledger: Ledger) -> None:
    """Province and kind come from the registry; None for what is no longer registered."""
    add_registry(ledger, registered([("s1", "LA-LP", "luangprabang")]))
    apply(
        ledger,
        change("firing", "a1", device="tank-s1", site="s1"),
        change("firing", "a2", device="gone", site="gone"),
    )
    rows = {row.alert: row for row in open_alerts(ledger)}
    assert (rows["a1"].province, rows["a1"].kind) == ("LA-LP", "water-level")
    assert (rows["a2"].province, rows["a2"].kind) == (None, None)


@on_sqlite
def test_an_index_serves_each_list(ledger: Ledger) -> None:
    """Listing alerts never sorts the whole table."""
    with ledger.read() as connection:
        plan = connection.execute(
            text("EXPLAIN QUERY PLAN SELECT * FROM alerts ORDER BY at_ms DESC, alert DESC LIMIT 5")
        ).all()
    assert "alerts_by_time" in str(plan)
    assert "TEMP B-TREE" not in str(plan)

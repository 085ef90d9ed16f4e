"""Years of alerts: each page is read from an index, wherever in the past it lies."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, insert, text

from storage.ledger.alerts import AlertFilter, list_alerts
from storage.ledger.incidents import IncidentFilter, list_incidents
from storage.ledger.migrations import Ledger
from storage.ledger.schema import alerts
from storage.ledger.windows import WindowFilter, list_windows

NOW_MS, COUNT = 1_790_000_000_000, 20_000


def fill(ledger: Ledger) -> None:
    """Alerts of 200 sites and 40 rules over three years."""
    rows: list[dict[str, Any]] = [
        {
            "alert": f"a{n:06d}", "state": "resolved", "device": f"p{n % 200}", "metric": "",
            "site": f"s{n % 200}", "rule": f"rule-{n % 40}", "nature": "connectivity",
            "severity": ("info", "warning", "critical")[n % 3], "event_ms": NOW_MS - n * 4_700_000,
            "at_ms": NOW_MS - n * 4_700_000, "text_en": f"number {n}", "text_lo": "",
            "backfilled": False, "incident": f"i{n % 5000}",
        }
        for n in range(COUNT)
    ]  # fmt: skip
    with ledger.begin() as connection:
        connection.execute(insert(alerts), rows)
        connection.execute(text("ANALYZE"))


class Plans:
    """What the database says of how it answers the queries that are made within it."""

    def __init__(self, ledger: Ledger) -> None:
        self._engine = ledger.engine
        self.said = ""

    def __enter__(self) -> Plans:
        event.listen(self._engine, "before_cursor_execute", self._explain)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._explain)

    def _explain(self, connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.startswith("SELECT"):
            return
        word = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        probe = connection.connection.cursor()
        probe.execute(f"{word} {statement}", values)
        self.said += "\n".join(str(row) for row in probe.fetchall())
        probe.close()


@pytest.mark.parametrize(
    ("which", "index"),
    [
        (AlertFilter(), "alerts_by_time"),
        (AlertFilter(from_ms=NOW_MS - 10**10, to_ms=NOW_MS), "alerts_by_time"),
        (AlertFilter(site="s7"), "alerts_by_site"),
        (AlertFilter(rule="rule-7"), "alerts_by_rule"),
        (AlertFilter(severity="critical"), "alerts_by_"),
        (AlertFilter(state="firing"), "alerts_by_state"),
        (AlertFilter(incident="i7"), "alerts_by_incident"),
    ],
)
def test_a_page_of_alerts_is_read_from_an_index(
    ledger: Ledger, which: AlertFilter, index: str
) -> None:
    """The first one and one that lies two years back; no page sorts or reads the whole past."""
    fill(ledger)
    for before in (None, (NOW_MS - 14_000 * 4_700_000, "a014000")):
        with Plans(ledger) as plans:
            list_alerts(ledger, which, before=before, limit=100)
        assert index in plans.said, plans.said
        for bad in ("SCAN alerts\n", "Seq Scan on alerts", "USE TEMP B-TREE FOR ORDER BY"):
            assert bad not in plans.said + "\n", plans.said


def test_every_alert_is_on_one_page(ledger: Ledger) -> None:
    """Going from page to page brings each once, the newest first, with any filter."""
    fill(ledger)
    for which, count in ((AlertFilter(site="s7"), 100), (AlertFilter(text="NUMBER 19"), 1111)):
        seen: list[str] = []
        before = None
        while page := list_alerts(ledger, which, before=before, limit=90):
            seen += [row.alert for row in page]
            before = (page[-1].at_ms, page[-1].alert)
        assert len(seen) == len(set(seen)) == count
        assert seen == sorted(seen)


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_incidents_and_windows_are_read_from_an_index(ledger: Ledger) -> None:
    """By time, and an incident by its site."""
    with Plans(ledger) as plans:
        list_incidents(ledger, IncidentFilter(site="s1"), before=(NOW_MS, "i1"), limit=10)
        list_windows(ledger, WindowFilter(NOW_MS), before=(NOW_MS, "w1"), limit=10)
    assert "incidents_by_time" in plans.said
    assert "windows_by_time" in plans.said
    assert "TEMP B-TREE" not in plans.said
    assert "SCAN incident_sites" not in plans.said

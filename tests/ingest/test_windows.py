"""Windows in ingest: taken up while it runs and after a kill, and the account is the same."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from detection.outages import BIN_MS, Bin
from ingest.journal import Entry
from ingest.processor import Processor
from storage.ledger import events
from storage.ledger.actions import Deed, Subject
from storage.ledger.alerts import AlertFilter, list_alerts
from storage.ledger.bins import bins_of
from storage.ledger.handling import close
from storage.ledger.windows import Plan, Terms, WindowRow, approve, end, propose
from tests.ingest.stores import P0, T0_MS, Stores
from tests.path.platform import reading

MINUTE_MS = 60_000
FIRST_MS = (T0_MS // BIN_MS + 1) * BIN_MS  # the first bin that is heard as a whole
GOOD = {"nat_sent": 10, "nat_rcvd": 10, "nat_rtt_p50_ms": 20.0}


class Office:
    """p0 of the office, minute by minute, and the processor that hears it."""

    def __init__(self, directory: Path) -> None:
        self.stores = Stores(directory)
        self.minute = 0
        self.processor = self.stores.processor()

    def live(self, minutes: int, *, killed_at: int = -1, loss_pct: float = 0.0) -> None:
        """Rounds that arrive as time passes. killed_at: after so many ingest is another process."""
        for n in range(minutes):
            at_ms = T0_MS + self.minute * MINUTE_MS
            payload = reading(at_ms, self.minute, nat_loss_pct=loss_pct, **GOOD)
            self.stores.arrive([Entry(at_ms + 500, P0, payload)])
            self.minute += 1
            for late_ms in (1000, 31_000):
                self.stores.now_ms = at_ms + late_ms
                self.stores.writer.head.beat(connection=1, monotonic_ns=time.monotonic_ns())
                self.look(self.processor)
            if n == killed_at:
                self.processor = self.stores.processor()

    def look(self, processor: Processor) -> None:
        """What the loop does: its chores, what has come, and the time."""
        processor.reload_windows()
        processor.step()
        processor.step()

    def window(
        self, start_ms: int, end_ms: int, *, kind: str = "maintenance", late: bool = False,
        national: bool = False,
    ) -> WindowRow:  # fmt: skip
        """One of the office, or of the country."""
        reach = ("country", "") if national else ("site", "office")
        plan = Plan(kind, *reach, start_ms, end_ms, "a router")
        terms = Terms("LA-LP", "Interior", start_ms, late, national)
        return propose(self.stores.ledger, plan, terms, self.deed("Vong"))

    def deed(self, name: str) -> Deed:
        """An act of somebody now."""
        return Deed(name, name, self.stores.now_ms)

    def bins(self) -> list[Bin]:
        """What is published from the first whole bin on."""
        return bins_of(self.stores.ledger, "office", FIRST_MS, 2 * T0_MS)

    def told(self) -> list[tuple[str, str | None]]:
        """(state, why nobody is told) of what ingest said of alerts of loss."""
        said = [one.data for one in events.since(self.stores.ledger, 0, 1000)]
        return [
            (one["state"], one["muted"])
            for one in said
            if one.get("metric") == "nat_loss_pct" and "action" not in one
        ]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An office that is heard from now on."""
    return Office(tmp_path)


@pytest.mark.parametrize("killed_at", [-1, 0, 4, 11, 18])
def test_announced_work_is_left_out_whenever_ingest_is_killed(
    office: Office, killed_at: int
) -> None:
    """Its bins are published once, as EXCLUDED, with the window that says why."""
    office.live(3)
    work = office.window(FIRST_MS + BIN_MS, FIRST_MS + 3 * BIN_MS)
    office.live(25, killed_at=killed_at)
    assert [(b.state, b.excluded_by) for b in office.bins()[:4]] == [
        ("UP", None),
        ("EXCLUDED", work.window),
        ("EXCLUDED", work.window),
        ("UP", None),
    ]
    assert {b.revision for b in office.bins()} == {1}


def test_work_that_is_told_late_is_a_new_revision_and_so_is_taking_it_back(office: Office) -> None:
    """Also where ingest was away when it was told."""
    office.live(20)
    assert {b.state for b in office.bins()} == {"UP"}
    work = office.window(FIRST_MS, FIRST_MS + BIN_MS, late=True)
    office.processor = office.stores.processor()
    office.live(1)
    first, second = office.bins()[:2]
    assert (first.state, first.revision, first.excluded_by) == ("EXCLUDED", 2, work.window)
    assert (second.state, second.revision) == ("UP", 1)
    end(office.stores.ledger, work.window, office.deed("Boss"), text="wrong", may_rewrite=True)
    office.live(1)
    first, second = office.bins()[:2]
    assert (first.state, first.revision, first.excluded_by) == ("UP", 3, None)
    assert (second.state, second.revision) == ("UP", 1)


def test_a_silence_mutes_while_it_lasts_and_the_alert_lives_on(office: Office) -> None:
    """It fires and is resolved as ever; what it was when it changed is said with the change."""
    office.live(2)
    silence = office.window(office.stores.now_ms, T0_MS + 10**8, kind="silence")
    office.live(8, loss_pct=80.0, killed_at=4)
    assert office.told() == [("firing", "silenced")]
    end(office.stores.ledger, silence.window, office.deed("Phom"), text="in", may_rewrite=False)
    office.live(12)
    states = [state for state, _ in office.told()]
    assert states == ["firing", "resolved"]
    assert office.told()[1][1] != "silenced"
    assert [b.state for b in office.bins()].count("EXCLUDED") == 0


def test_a_national_window_begins_when_a_second_person_has_approved_it(office: Office) -> None:
    """Before that it neither mutes nor leaves out."""
    office.live(2)
    work = office.window(office.stores.now_ms, FIRST_MS + 4 * BIN_MS, national=True)
    office.live(11)
    approve(office.stores.ledger, work.window, office.deed("Phom"), text="yes")
    office.live(16)
    states = [b.state for b in office.bins()[:4]]
    assert states == ["UP", "UP", "EXCLUDED", "EXCLUDED"]
    assert {b.revision for b in office.bins()} == {1}


def test_what_was_closed_does_not_fire_again_before_it_is_over(office: Office) -> None:
    """Whatever ingest hears of it, and whether or not it is killed; then it is resolved once."""
    office.live(2)
    office.live(8, loss_pct=80.0)
    found = list_alerts(office.stores.ledger, AlertFilter(device="p0", state="open"), limit=9)
    (alert,) = [row for row in found if row.metric == "nat_loss_pct"]
    subject = Subject("alert", alert.alert)
    close(office.stores.ledger, subject, office.deed("Vong"), reason="known-problem", text="x")
    office.live(8, loss_pct=80.0, killed_at=3)
    rows = list_alerts(office.stores.ledger, AlertFilter(rule=alert.rule), limit=9)
    assert [(row.alert, row.state) for row in rows] == [(alert.alert, "closed")]
    office.live(12)
    rows = list_alerts(office.stores.ledger, AlertFilter(rule=alert.rule), limit=9)
    assert [(row.alert, row.state) for row in rows] == [(alert.alert, "resolved")]
    assert [state for state, _ in office.told()] == ["firing", "resolved"]

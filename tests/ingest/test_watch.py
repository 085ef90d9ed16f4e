"""The watch: each trouble of the platform is one alert, and one end, whatever happens between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from detection.findings import PLATFORM
from detection.rules import read_platform
from ingest.journal import Head, JournalWriter, Shortage
from ingest.watch import WELL_S, Moment, Places, Watch
from storage.ledger import events
from storage.ledger.actions import Deed
from storage.ledger.alerts import AlertFilter, list_alerts
from storage.ledger.handling import acknowledge
from storage.ledger.migrations import Ledger, open_ledger

START_MS = 1_790_000_000_000
PLACES = Places("broker:1883", "/data/journal", "/data/spool.db", "/data/series.db", "/data/l.db")


class World:
    """A ledger, a receiver's head, and a clock that a test moves."""

    def __init__(self, directory: Path) -> None:
        self.ledger: Ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
        self.writer = JournalWriter(directory / "journal", max_bytes=2**24)
        self.head = Head(directory / "journal", create=False)
        self.s = 1000.0
        self.connection = 1
        self.shortage = Shortage.NONE
        self.drainer: dict[str, Any] | None = None
        self.spool_full = False
        self.restart()

    def restart(self) -> None:
        """Another process watches from now on."""
        self.watch = Watch(self.ledger, PLACES, now=self.now)

    def now(self) -> Moment:
        """The instant."""
        return Moment(self.s, START_MS + round((self.s - 1000) * 1000))

    def run(self, seconds: float) -> None:
        """Look once a second for so long."""
        until = self.s + seconds
        while self.s < until:
            self.s += 1
            self.look()
            self.watch.tell()

    def look(self) -> None:
        """What the processor does each second."""
        self.writer.head.beat(
            connection=self.connection,
            monotonic_ns=round(self.s * 1e9),
            shortage=self.shortage,
        )
        self.watch.look_at_stores()
        self.watch.look_at_receiver(self.head)
        beat = (self.now().ms, self.drainer) if self.drainer else None
        self.watch.look_at_sink(beat, spool_full=self.spool_full)

    def alerts(self) -> list[tuple[str, str]]:
        """Rule and state of all alerts, the oldest first."""
        rows = list_alerts(self.ledger, AlertFilter(device=PLATFORM), limit=100)
        return [(row.rule, row.state) for row in reversed(rows)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.head.close()
    world.writer.close()
    world.ledger.close()


def test_the_broker_is_missed_after_a_minute(world: World) -> None:
    """A minute without the broker is one alert with the time at which it began."""
    world.run(3)
    world.connection = 0
    world.run(60)
    assert world.alerts() == []
    world.run(1)
    assert world.alerts() == [("broker-away", "firing")]
    (row,) = list_alerts(world.ledger, AlertFilter(), limit=9)
    assert (row.event_ms, row.at_ms) == (START_MS + 4_000, START_MS + 64_000)
    assert "broker:1883 for 60 s" in row.text_en
    assert "60 ວິນາທີ" in row.text_lo
    world.run(600)
    assert world.alerts() == [("broker-away", "firing")]


def test_a_trouble_that_flickers_is_one_alert(world: World) -> None:
    """It is over only when it was not seen for some seconds; then there is one event of each."""
    world.shortage = Shortage.BOUND
    world.run(3)
    for _ in range(5):
        world.shortage = Shortage.NONE
        world.run(WELL_S - 1)
        world.shortage = Shortage.BOUND
        world.run(1)
    assert world.alerts() == [("journal-full", "firing")]
    world.shortage = Shortage.NONE
    world.run(WELL_S + 1)
    assert world.alerts() == [("journal-full", "resolved")]
    said = [event.data["state"] for event in events.since(world.ledger, 0, 100)]
    assert said == ["firing", "resolved"]


def test_an_alert_lives_through_a_restart(world: World) -> None:
    """Another process neither fires it again nor forgets to resolve it, seen by people or not."""
    world.drainer = {"state": "misconfigured", "problem": "401: no", "lines_waiting": 7}
    world.look()  # the last word to a process before
    world.run(1)
    (row,) = list_alerts(world.ledger, AlertFilter(), limit=9)
    assert "401: no" in row.text_en
    assert "influx.write_token_file" in row.text_lo
    acknowledge(world.ledger, row.alert, Deed("me", "me", START_MS), by="S. Vong", comment="on it")
    world.restart()
    world.run(30)
    assert world.alerts() == [("sink-misconfigured", "acknowledged")]
    world.restart()
    world.drainer = {"state": "idle", "problem": "", "lines_waiting": 0}
    world.run(WELL_S + 2)
    assert world.alerts() == [("sink-misconfigured", "resolved")]


def test_what_the_ledger_did_not_take_is_told_later(world: World) -> None:
    """A trouble that begins and ends while the ledger takes nothing is in it afterwards, once."""
    broken = "CREATE TRIGGER broken BEFORE INSERT ON alerts BEGIN SELECT RAISE(ABORT, 'full'); END"
    with world.ledger.begin() as connection:
        connection.execute(text(broken))
    world.watch.refused("full", "database or disk is full", by_ledger=True)
    world.look()
    for _ in range(2):
        with pytest.raises(DBAPIError):
            world.watch.tell()
    world.watch.stores_answer()
    for _ in range(round(WELL_S) + 1):
        world.s += 1
        world.look()
    assert world.alerts() == []
    with world.ledger.begin() as connection:
        connection.execute(text("DROP TRIGGER broken"))
    world.watch.tell()
    world.watch.tell()
    assert world.alerts() == [("disk-full", "resolved")]
    assert len(events.since(world.ledger, 0, 100)) == 2
    (row,) = list_alerts(world.ledger, AlertFilter(), limit=9)
    assert (row.event_ms, row.resolved_event_ms) == (START_MS, START_MS + 1000)
    assert "/data/l.db" in row.text_en


def test_every_rule_fires_and_ends(world: World) -> None:
    """Each rule of the table has a trouble that raises it, words for it, and an end."""
    world.drainer = {"state": "idle", "problem": "", "lines_waiting": 0}
    world.run(2)
    world.connection, world.spool_full = 0, True
    world.drainer = {"state": "waiting", "problem": "500: timeout", "lines_waiting": 7}
    world.watch.refused("away", "database is locked", by_ledger=False)
    world.run(62)
    world.shortage = Shortage.BOUND
    world.drainer = {"state": "misconfigured", "problem": "404: no bucket", "lines_waiting": 7}
    world.run(1)
    world.shortage = Shortage.DISK
    world.run(1)
    assert {rule for rule, state in world.alerts() if state == "firing"} == set(read_platform())
    world.watch.stores_answer()
    world.connection, world.spool_full, world.shortage = 1, False, Shortage.NONE
    world.drainer = {"state": "draining", "problem": "", "lines_waiting": 0}
    world.run(WELL_S + 2)
    assert sorted(world.alerts()) == [(rule, "resolved") for rule in sorted(read_platform())]


def test_a_receiver_without_a_pulse_says_nothing_of_its_room(world: World) -> None:
    """A journal that was full stays so until a living receiver says otherwise."""
    world.shortage = Shortage.BOUND
    world.run(2)
    for _ in range(30):
        world.s += 1
        world.watch.look_at_receiver(world.head)
        world.watch.tell()
    assert world.alerts() == [("journal-full", "firing")]

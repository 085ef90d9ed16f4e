"""The life of alerts, from readings to the ledger and to who is told, as a state machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from detection.alerts import AlertBook, AlertChange
from detection.engine import Engine
from detection.muting import Reach, Window, may_notify
from detection.past import SETTLE_MS, Past
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from storage.ledger.actions import Deed, Subject
from storage.ledger.alerts import AlertFilter, list_alerts
from storage.ledger.facts import Facts, commit
from storage.ledger.handling import NotPossibleError, acknowledge, close
from storage.ledger.migrations import Ledger, open_ledger
from tests.cases import LONGEST_S, cases
from tests.detection.feed import START_MS, device

MINUTE_MS = 60_000
GOOD, BETWEEN, BAD = 25.0, 44.5, 50.0  # °C of a room; it is too warm above 45, well below 44
NEED = 3  # bad readings that fire, and good ones in a row that end it
DEVICES = count()


class Room:
    """What the table of limits says of one thermometer, told once more and simply."""

    def __init__(self) -> None:
        self.state, self.bad, self.good = "closed", 0, 0

    def read(self, value: float) -> str | None:
        """The step that a reading brings."""
        self.good = self.good + 1 if value == GOOD else 0
        if self.state == "closed":
            if value == BAD:
                self.state, self.bad = "pending", 1
                return "pending"
        elif value == BAD:
            self.bad += 1
            if self.state == "pending" and self.bad == NEED:
                self.state = "firing"
                return "firing"
        elif value == GOOD and (self.state == "pending" or self.good >= NEED):
            before, self.state = self.state, "closed"
            return "dropped" if before == "pending" else "resolved"
        return None


class Life(RuleBasedStateMachine):
    """Readings in time and late, restarts, people who acknowledge, and windows that mute."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        self.name = f"room-{next(DEVICES)}"
        self.catalogue = Catalogue()
        metric = KINDS["environment"].metrics["temperature_c"]
        self.number = self.catalogue.add(device(self.name), metric)
        self._parts()
        self.room = Room()
        self.now_ms = START_MS
        self.past_ms = START_MS - 86_400_000
        self.said: list[tuple[int, float]] = []
        self.resent = False
        self.windows: list[Window] = []
        self.states: dict[str, str] = {}  # what the ledger must hold, by alert
        self.current = ""
        self.public = 0
        self.told: list[tuple[str, str]] = []
        self.muted = 0

    def _parts(self) -> None:
        self.engine = Engine(self.catalogue, rules={"limits"})
        self.past = Past(self.catalogue)
        self.book = AlertBook()

    @rule(value=st.sampled_from([GOOD, BETWEEN, BAD]), n=st.integers(1, 4))
    def readings(self, value: float, n: int) -> None:
        """Live ones, a minute apart."""
        for _ in range(n):
            self.now_ms += MINUTE_MS
            found = self.engine.score(self.batch([self.now_ms], [value]))
            changes = self.book.apply(found, self.now_ms, lambda _: "s1")
            self.said.append((self.now_ms, value))
            step = self.room.read(value)
            assert [c.state for c in changes] == ([step] if step else [])
            self.follow(changes)

    @rule(n=st.integers(1, 6))
    def late(self, n: int) -> None:
        """Too warm for some minutes, a day ago: an alert of the past if it lasted."""
        times = [self.past_ms + k * 1000 for k in range(n + 1)]
        self.past_ms += MINUTE_MS
        changes = self.told_late(self.batch(times, [BAD] * n + [GOOD]))
        if not self.resent:
            assert [c.state for c in changes] == ["firing", "resolved"] * (n >= NEED)

    @rule(n=st.integers(1, 30))
    def again(self, n: int) -> None:
        """What was judged when it was live comes once more, because a receipt was lost."""
        self.resent = True  # what is older than this is not judged any more
        times, values = ([said[k] for said in self.said[-n:]] for k in (0, 1))
        assert not self.told_late(self.batch([int(t) for t in times], values))

    def told_late(self, late: Readings) -> list[AlertChange]:
        """What late readings change: no alert that is open, and nobody is told."""
        before, told = self.book.open_alerts(), len(self.told)
        self.past.hear(late)
        episodes = self.past.tick(self.now_ms + SETTLE_MS)
        changes = self.book.correct(episodes, self.now_ms, lambda _: "s1")
        assert self.book.open_alerts() == before
        assert all(c.backfilled for c in changes)
        self.follow(changes)
        assert len(self.told) == told, "late readings have paged"
        return changes

    @rule()
    def restart(self) -> None:
        """Everything goes on from its snapshot."""
        kept = self.engine.snapshot(), self.past.snapshot(), self.book.snapshot()
        self._parts()
        self.engine.restore(kept[0])
        self.past.restore(kept[1])
        self.book.restore(kept[2])

    @rule(kind=st.sampled_from(["maintenance", "silence"]), minutes=st.integers(1, 9))
    def window(self, kind: str, minutes: int) -> None:
        """Somebody does not want to be told for some minutes."""
        scope = Reach("device", self.name)
        end_ms = self.now_ms + minutes * MINUTE_MS
        self.windows.append(Window("w", kind, scope, self.now_ms, end_ms, "a", "b"))  # type: ignore[arg-type]

    @precondition(lambda self: self.current)
    @rule()
    def acknowledge(self) -> None:
        """Somebody has seen the last alert, which is possible once, while it fires."""
        first, second = Deed("me", "me", self.now_ms), Deed("you", "you", self.now_ms)
        if self.states.get(self.current) == "firing":
            acknowledge(self.ledger, self.current, first, by="me", comment="")
            self.states[self.current] = "acknowledged"
        else:
            with pytest.raises((NotPossibleError, KeyError)):
                acknowledge(self.ledger, self.current, second, by="you", comment="")

    @precondition(lambda self: self.states.get(self.current) in ("firing", "acknowledged"))
    @rule()
    def close(self) -> None:
        """Somebody puts the last alert away; its room may go on being too warm."""
        deed = Deed("me", "me", self.now_ms)
        close(self.ledger, Subject("alert", self.current), deed, reason="known", text="")
        self.states[self.current] = "closed"

    @invariant()
    def the_ledger_says_what_was_told(self) -> None:
        """Every alert in its state; at most one is open, and it is the book's and the room's."""
        rows = list_alerts(self.ledger, AlertFilter(device=self.name), limit=100)
        assert {row.alert: row.state for row in rows} == self.states
        opened = [row.alert for row in rows if row.state != "resolved"]
        assert opened == [change.alert for change in self.book.open_alerts()]
        assert bool(opened) == (self.room.state != "closed")

    @invariant()
    def muting_hides_and_nothing_else(self) -> None:
        """Each change that is public is told once or muted; none is told outside its order."""
        assert len(self.told) + self.muted == self.public
        assert len(set(self.told)) == len(self.told)

    def batch(self, at_ms: list[int], values: list[float]) -> Readings:
        """Readings of the room that come now."""
        n = len(at_ms)
        numbers, received = np.full(n, self.number, np.int32), np.full(n, self.now_ms)
        return Readings(numbers, np.array(at_ms, np.int64), received, np.array(values))

    def follow(self, changes: list[AlertChange]) -> None:
        """What becomes of changes: the ledger, and who is told."""
        if not changes:
            return
        commit(self.ledger, Facts(position=0, alert_changes=changes), now_ms=self.now_ms)
        for change in changes:
            if not change.backfilled:
                self.current = change.alert
            if change.state == "dropped":
                del self.states[change.alert]
            else:
                self.states[change.alert] = change.state
            scopes = {Reach("device", self.name)}
            why = may_notify(change, self.windows, self.now_ms, scopes=scopes)
            muted = any(w.start_ms <= self.now_ms < w.end_ms for w in self.windows)
            if change.state not in ("firing", "resolved") or change.backfilled:
                assert why in ("not-public", "backfilled")
                continue
            self.public += 1
            assert (why in ("maintenance", "silenced")) == muted
            if why == "part-of-incident":  # then that tells
                self.told.append((change.alert, change.state))
            else:
                self.muted += 1


@pytest.fixture(scope="module", autouse=True)
def _ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One ledger for all cases; each has a device of its own."""
    Life.ledger = open_ledger(f"sqlite:///{tmp_path_factory.mktemp('life') / 'ledger.db'}")
    yield
    Life.ledger.close()


TestLife = pytest.mark.timeout(LONGEST_S)(Life.TestCase)
TestLife.settings = settings(max_examples=cases(60, 2_000), stateful_step_count=20, deadline=None)

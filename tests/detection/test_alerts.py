"""The alert book as a state machine, its ids and its snapshots."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from detection.alerts import AlertBook, AlertChange, alert_id
from detection.findings import Finding, Phase
from tests.cases import LONGEST_S, cases

KEYS = st.sampled_from(
    [("d1", "temperature_c", "limits"), ("d1", "temperature_c", "stuck"), ("d2", "", "silence")]
)
FACTS: dict[str, Any] = {
    "kind": "environment",
    "held_s": 60.0,
    "readings": 3,
    "run": 9,
    "longest": 2,
    "interval_s": 60.0,
}


def finding(key: tuple[str, str, str], phase: Phase, at_ms: int, onset_ms: int) -> Finding:
    """A finding of that rule."""
    return Finding(
        *key,
        phase=phase,
        nature="condition",
        severity="warning",
        onset_ms=onset_ms,
        at_ms=at_ms,
        value=None if key[2] == "silence" else 50.0,
        expected=(0.0, 45.0) if key[2] == "limits" else None,
        facts=FACTS,
    )


def site_of(device: str) -> str:
    """The site of a device."""
    return f"site-of-{device}"


class Book(RuleBasedStateMachine):
    """Any findings in any order, with restarts in between."""

    def __init__(self) -> None:
        super().__init__()
        self.book = AlertBook()
        self.now_ms = 1_790_000_000_000
        self.onsets: dict[tuple[str, str, str], int] = {}
        self.state: dict[str, str] = {}  # what a reader of the changes believes
        self.key_of: dict[str, tuple[str, str, str]] = {}
        self.begun: dict[str, int] = {}
        self.spans: dict[tuple[str, str, str], list[tuple[int, int]]] = {}

    def apply(self, key: tuple[str, str, str], phase: Phase) -> None:
        """One finding, as a detector would number its onset."""
        self.now_ms += 60_000
        onset_ms = self.onsets.setdefault(key, self.now_ms)
        if phase == "clear":
            del self.onsets[key]
        for change in self.book.apply(
            [finding(key, phase, self.now_ms, onset_ms)], self.now_ms, site_of
        ):
            self.follow(change)

    def follow(self, change: AlertChange) -> None:
        """Each change must be one that its alert can make."""
        before = self.state.get(change.alert)
        assert (
            before
            in {
                "pending": (None,),
                "firing": (None, "pending"),
                "resolved": ("firing",),
                "dropped": ("pending",),
            }[change.state]
        )
        if change.state == "resolved":
            key = (change.device, change.metric, change.rule)
            self.spans.setdefault(key, []).append((self.begun[change.alert], change.event_ms))
        self.state[change.alert] = change.state
        self.key_of[change.alert] = (change.device, change.metric, change.rule)
        assert self.began(change) <= change.event_ms
        assert change.site == site_of(change.device)
        assert change.at_ms == self.now_ms
        assert change.text_en
        assert change.text_lo

    def began(self, change: AlertChange) -> int:
        """The onset of a change's alert."""
        if change.state in ("pending", "firing"):
            self.begun[change.alert] = change.event_ms
        return self.begun[change.alert]

    @rule(key=KEYS)
    def pending(self, key: tuple[str, str, str]) -> None:
        """A detector sees the condition."""
        self.apply(key, "pending")

    @rule(key=KEYS)
    def firing(self, key: tuple[str, str, str]) -> None:
        """A detector is sure."""
        self.apply(key, "firing")

    @rule(key=KEYS)
    def clear(self, key: tuple[str, str, str]) -> None:
        """A detector sees the end."""
        self.apply(key, "clear")

    @rule(key=KEYS)
    def same_onset(self, key: tuple[str, str, str]) -> None:
        """A detector forgets that this episode was over, and finds it once more."""
        spans = self.spans.get(key)
        if spans and key not in self.onsets:
            self.onsets[key] = spans[-1][0]
            self.apply(key, "firing")

    @rule(key=KEYS, back=st.integers(0, 40), length=st.integers(0, 10))
    def late(self, key: tuple[str, str, str], back: int, length: int) -> None:
        """Late readings tell of an episode in the past."""
        begin_ms = self.now_ms - back * 60_000 + 7
        end_ms = min(begin_ms + length * 60_000, self.now_ms)
        if end_ms < begin_ms:
            return
        before = self.book.open_alerts()
        firing = finding(key, "firing", begin_ms, begin_ms)
        clear = finding(key, "clear", end_ms, begin_ms)
        changes = self.book.correct([(firing, clear)], self.now_ms, site_of)
        assert self.book.open_alerts() == before
        assert [c.state for c in changes] in ([], ["firing", "resolved"])
        for change in changes:
            assert change.backfilled
            assert self.state.get(change.alert) in (None, "firing", "resolved")
        told = [(c.event_ms, self.now_ms) for c in before if self.key_of[c.alert] == key]
        told += self.spans.get(key, [])
        assert bool(changes) != any(a <= end_ms and begin_ms <= b for a, b in told)

    @rule()
    def restart(self) -> None:
        """The book goes on from its snapshot."""
        state = self.book.snapshot()
        before = self.book.open_alerts()
        self.book = AlertBook()
        self.book.restore(state)
        assert self.book.open_alerts() == before

    @invariant()
    def one_open_for_each_key(self) -> None:
        """What is open is what its readers believe is open, once for each key."""
        believed = {a for a, state in self.state.items() if state in ("pending", "firing")}
        assert {change.alert for change in self.book.open_alerts()} == believed
        assert len({self.key_of[alert] for alert in believed}) == len(believed)


TestBook = pytest.mark.timeout(LONGEST_S)(Book.TestCase)
TestBook.settings = settings(max_examples=cases(300), stateful_step_count=20, deadline=None)


def test_ids_depend_on_key_and_onset_alone() -> None:
    """The same alert has the same id in every run; another onset or key has another."""
    key = ("d1", "temperature_c", "limits")
    assert alert_id(key, 5) == alert_id(key, 5) == "a6b585c4b8f63"
    others = [alert_id(key, 6), alert_id(("d1", "temperature_c", "stuck"), 5)]
    assert alert_id(key, 5) not in others


def test_times_of_a_change() -> None:
    """Firing carries the onset, resolved the end; both carry when the platform knew."""
    book = AlertBook()
    key = ("d1", "temperature_c", "limits")
    (fired,) = book.apply([finding(key, "firing", 2000, 1000)], 2500, site_of)
    (resolved,) = book.apply([finding(key, "clear", 9000, 1000)], 9500, site_of)
    assert (fired.event_ms, fired.at_ms) == (1000, 2500)
    assert (resolved.alert, resolved.event_ms, resolved.at_ms) == (fired.alert, 9000, 9500)


def test_an_open_alert_keeps_its_onset() -> None:
    """A finding of another onset for the same key goes to the open alert and its times."""
    book = AlertBook()
    key = ("d1", "temperature_c", "limits")
    (pending,) = book.apply([finding(key, "pending", 1000, 1000)], 1500, site_of)
    (fired,) = book.apply([finding(key, "firing", 3000, 2000)], 3500, site_of)
    assert (fired.alert, fired.event_ms) == (pending.alert, 1000)


def test_late_readings_repeat_no_alert_that_was_told_before_the_last_one() -> None:
    """Every alert of a key counts that was over within the time that late readings may tell of."""
    key = ("d1", "temperature_c", "limits")
    book = AlertBook()
    for at_ms in (1000, 5000, 9000):
        book.apply([finding(key, "firing", at_ms, at_ms)], at_ms, site_of)
        book.apply([finding(key, "clear", at_ms + 1000, at_ms)], at_ms, site_of)
    restored = AlertBook()
    restored.restore(book.snapshot())
    for at_ms, told in ((1000, True), (5500, True), (9000, True), (3000, False)):
        episode = finding(key, "firing", at_ms, at_ms), finding(key, "clear", at_ms, at_ms)
        assert bool(restored.correct([episode], 10_000, site_of)) is not told
    book.forget_before(6000)
    first = finding(key, "firing", 1000, 1000), finding(key, "clear", 1500, 1000)
    assert restored.correct([first], 10_000, site_of) == []
    assert len(book.correct([first], 10_000, site_of)) == 2


def test_what_was_expected_is_told_in_digits_that_mean_something() -> None:
    """Sums of floats leave traces that a reader of the API should not meet."""
    fired = finding(("d1", "temperature_c", "limits"), "firing", 1, 1)
    fired = fired._replace(expected=(0.1 + 0.2, 3.7 * 3))
    (change,) = AlertBook().apply([fired], 1, site_of)
    assert change.expected == (0.3, 11.1)

"""Silence: deadlines by receive time, onsets by event time, grace after our own absence."""

from __future__ import annotations

import numpy as np
import pytest

from detection.engine import Engine
from detection.findings import Finding
from detection.rules import read_silence
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from tests.detection.feed import START_MS, device

MINUTE = 60_000
TIMEOUT = 3 * MINUTE + 5000  # of a device that reports once a minute


class Ears:
    """An engine with some devices, heard at times counted from the start."""

    def __init__(self, *kinds: str) -> None:
        self.catalogue = Catalogue()
        for number, kind in enumerate(kinds or ("environment",)):
            metric = next(iter(KINDS[kind].metrics.values()))
            self.catalogue.add(device(f"d{number}", kind), metric)
        self.engine = Engine(self.catalogue)

    def hear(self, at_ms: int, number: int = 0, late_ms: int = 0) -> list[Finding]:
        """A message that arrives now, measured late_ms ago, and what follows at once."""
        received = np.array([START_MS + at_ms])
        self.engine.heard(np.array([number], np.int32), received - late_ms, received)
        return self.engine.score(Readings.of([], [], [], []))

    def tick(self, at_ms: int) -> list[Finding]:
        """A tick at that time."""
        return self.engine.tick(START_MS + at_ms)


def test_three_intervals_and_a_grace() -> None:
    """Silent is who was not heard for three intervals and five seconds, and not a moment before."""
    ears = Ears()
    ears.hear(0)
    assert ears.tick(TIMEOUT) == []
    (fired,) = ears.tick(TIMEOUT + 1)
    assert (fired.device, fired.metric, fired.rule) == ("d0", "", "silence")
    assert (fired.phase, fired.nature) == ("firing", "connectivity")
    assert fired.onset_ms == START_MS + MINUTE
    assert ears.tick(10 * TIMEOUT) == []


def test_a_broken_session_shortens_the_wait_until_the_device_speaks_again() -> None:
    """After the broker's word the time to reconnect is enough; a message takes it back."""
    ears = Ears()
    ears.hear(0)
    ears.engine.broke(0, START_MS + 100_000)
    assert ears.tick(170_000) == []
    ears.hear(170_000)
    assert ears.tick(170_000 + 170_001) == []
    ears.engine.broke(0, START_MS + 340_001)
    (fired,) = ears.tick(340_001)
    assert fired.phase == "firing"


def test_a_device_never_heard_is_not_silent() -> None:
    """A device in the catalogue that has not said anything yet is not missed."""
    assert Ears().tick(10**9) == []


@pytest.mark.parametrize("late_ms", [0, 5 * 3_600_000])
def test_ends_with_the_first_message_live_or_late(late_ms: int) -> None:
    """Any message proves life when it arrives, whenever its readings were measured."""
    ears = Ears()
    ears.hear(0)
    (fired,) = ears.tick(TIMEOUT + 1)
    (cleared,) = ears.hear(TIMEOUT + 7, late_ms=late_ms)
    assert (cleared.phase, cleared.onset_ms) == ("clear", fired.onset_ms)
    assert cleared.at_ms == START_MS + TIMEOUT + 7
    assert ears.hear(TIMEOUT + 8) == []


def test_an_end_that_no_batch_has_told_is_told_by_the_tick() -> None:
    """Whichever of score and tick comes first reports the end, once."""
    ears = Ears()
    ears.hear(0)
    ears.tick(TIMEOUT + 1)
    now = np.array([START_MS + TIMEOUT + 2])
    ears.engine.heard(np.array([0], np.int32), now, now)
    assert [f.phase for f in ears.tick(TIMEOUT + 3)] == ["clear"]
    assert ears.tick(TIMEOUT + 4) == []


def test_onset_is_the_last_measurement_and_one_interval() -> None:
    """The outage began when the next measurement was due, not when the last message came in."""
    ears = Ears()
    ears.hear(50_000, late_ms=40_000)
    (fired,) = ears.tick(50_000 + TIMEOUT + 1)
    assert fired.onset_ms == START_MS + 10_000 + MINUTE


def test_a_clock_ahead_of_ours_does_not_move_the_onset_into_the_future() -> None:
    """The last measurement counts as made when it arrived at the latest."""
    ears = Ears()
    ears.hear(0, late_ms=-4 * MINUTE)
    (fired,) = ears.tick(TIMEOUT + 1)
    assert fired.onset_ms == START_MS + MINUTE


def test_two_silences_never_share_an_onset() -> None:
    """A device that only delivers old data between two silences gets two alerts, not one."""
    ears = Ears()
    ears.hear(0)
    (first,) = ears.tick(TIMEOUT + 1)
    ears.hear(10 * MINUTE, late_ms=9 * 3_600_000)
    (second,) = ears.tick(10 * MINUTE + TIMEOUT + 1)
    assert first.onset_ms < second.onset_ms


def test_time_that_we_were_away_counts_for_nobody() -> None:
    """After our own restart every device has its whole timeout again."""
    ears = Ears("environment", "connectivity-probe")
    ears.hear(0, 0)
    ears.hear(0, 1)
    back = 8 * 3_600_000
    ears.engine.resumed(START_MS + back)
    assert ears.tick(back + TIMEOUT) == []
    assert ears.hear(back + TIMEOUT, 1) == []
    (fired,) = ears.tick(back + TIMEOUT + 1)
    assert fired.device == "d0"
    assert fired.onset_ms == START_MS + MINUTE


def test_a_snapshot_remembers_that_we_were_away() -> None:
    """The grace after our absence holds over a snapshot."""
    ears = Ears()
    ears.hear(0)
    back = 8 * 3_600_000
    ears.engine.resumed(START_MS + back)
    state = ears.engine.snapshot()
    ears.engine = Engine(ears.catalogue)
    ears.engine.restore(state)
    assert ears.tick(back + TIMEOUT) == []
    assert len(ears.tick(back + TIMEOUT + 1)) == 1


def test_a_silence_that_was_open_stays_open_over_our_absence() -> None:
    """Coming back neither ends a silence nor tells it again."""
    ears = Ears()
    ears.hear(0)
    ears.tick(TIMEOUT + 1)
    ears.engine.resumed(START_MS + 3_600_000)
    assert ears.tick(4_000_000) == []
    assert [f.phase for f in ears.hear(4_000_001)] == ["clear"]


def test_a_batch_of_messages_counts_as_one_after_the_other() -> None:
    """Several messages of several devices in one call: one end each, newest times kept."""
    ears = Ears("environment", "environment")
    ears.hear(0, 0)
    ears.hear(0, 1)
    assert len(ears.tick(TIMEOUT + 1)) == 2
    times = START_MS + TIMEOUT + np.array([10, 20, 30, 40])
    ears.engine.heard(np.array([0, 1, 0, 1], np.int32), times, times)
    cleared = ears.engine.score(Readings.of([], [], [], []))
    assert [(f.device, f.at_ms - START_MS - TIMEOUT) for f in cleared] == [("d0", 10), ("d1", 20)]
    assert ears.tick(2 * TIMEOUT + 30) == []
    assert [f.device for f in ears.tick(2 * TIMEOUT + 31)] == ["d0"]
    assert [f.device for f in ears.tick(2 * TIMEOUT + 41)] == ["d1"]


def test_severity_is_the_kind_s() -> None:
    """A probe or a vaccine fridge that falls silent is critical; a thermometer is not."""
    rules = read_silence()
    assert set(rules) == set(KINDS)
    assert rules["connectivity-probe"].severity == rules["cold-chain"].severity == "critical"
    assert rules["environment"].severity == "warning"

"""A power meter whose current and counter contradict each other, and meters that do not."""

from __future__ import annotations

import itertools

import pytest

from detection.engine import Engine
from detection.findings import Finding
from detection.seasons import HOUR_MS
from tests.detection.feed import START_MS, Talk, steps

STEP_S = 300.0
ROUNDS = 12  # an hour


class Site:
    """A meter and what it measures: amperes at 230 V, counted in steps of so many kWh."""

    def __init__(self, amps: float, step: float = 0.001, volts: float | None = 230) -> None:
        self.talk = Talk("power", interval_s=STEP_S)
        self.talk.at_ms = START_MS // HOUR_MS * HOUR_MS - round(STEP_S * 1000)
        self.amps, self.step, self.volts, self.kwh, self.held = amps, step, volts, 1000.0, 0.0

    def run(self, hours: float, *, rounds: int = 0, **said: float) -> list[Finding]:
        """Findings of so many hours; said: what the meter says instead of what is so."""
        found = []
        for _ in range(rounds or round(hours * ROUNDS)):
            self.kwh += self.amps * (self.volts or 230) / 1000 / ROUNDS
            counted = self.kwh // self.step * self.step
            told = {"current_a": self.amps, "energy_kwh": counted, "mains_on": 1.0}
            volts = {} if self.volts is None else {"mains_v": self.volts}
            found += self.talk.say(**volts | told | said)
        return found


def told(found: list[Finding]) -> list[tuple[str, str]]:
    """Rule and phase of the findings of the two rules."""
    return [(f.rule, f.phase) for f in found if f.rule in ("counter-still", "current-lost")]


def frozen(site: Site) -> float:
    """What its counter stands at."""
    return site.kwh // site.step * site.step


def test_a_counter_that_stands_is_found_after_three_hours() -> None:
    """5 A at 230 V make 1.15 kWh an hour: owed after two hours, told after three; and its end."""
    site = Site(5)
    assert told(site.run(6)) == []
    still = frozen(site)
    assert told(site.run(3, energy_kwh=still)) == []
    (fired,) = [f for f in site.run(1, energy_kwh=still) if f.rule == "counter-still"]
    assert (fired.metric, fired.nature, fired.phase) == ("energy_kwh", "data_quality", "firing")
    assert fired.value == still
    assert fired.expected is not None
    assert fired.expected[0] == pytest.approx(still + 3 * 1.15, abs=0.01)
    assert fired.onset_ms == fired.at_ms - 3 * HOUR_MS
    assert told(site.run(3, energy_kwh=still)) == []
    assert told(site.run(2)) == [("counter-still", "clear")]


def test_what_is_owed_counts_and_not_the_hours() -> None:
    """1 A makes 2 kWh in nine hours."""
    site = Site(1)
    site.run(6)
    still = frozen(site)
    assert told(site.run(9, energy_kwh=still)) == []
    assert told(site.run(1, energy_kwh=still)) == [("counter-still", "firing")]


@pytest.mark.parametrize("volts", [115.0, None])
def test_what_is_owed_follows_the_voltage(volts: float | None) -> None:
    """At 115 V 5 A take four hours to make 2 kWh; without a voltage it is 230 V."""
    site = Site(5, volts=volts)
    site.run(6)
    still = frozen(site)
    assert told(site.run(4, energy_kwh=still)) == ([] if volts else [("counter-still", "firing")])
    assert told(site.run(1, energy_kwh=still)) == ([("counter-still", "firing")] if volts else [])


def test_a_voltage_that_is_none_is_not_believed() -> None:
    """0 V with 5 A is a lost voltage: it owes as before."""
    site = Site(5)
    site.run(6)
    still = frozen(site)
    found = site.run(5, energy_kwh=still, mains_v=0)
    assert told(found) == [("counter-still", "firing")]


def test_a_counter_that_falls_for_a_moment_made_no_current() -> None:
    """One wrong reading of it is no kWh that was counted."""
    site = Site(5)
    site.run(6)
    site.amps = 0
    found = site.run(2) + site.run(0, rounds=1, energy_kwh=0) + site.run(5)
    assert told(found) == []


@pytest.mark.parametrize(
    ("step", "amps", "at_first"), [(1.0, 1.0, []), (10.0, 10.0, ["firing", "clear"])]
)
def test_a_coarse_counter_stands_between_its_steps(
    step: float, amps: float, at_first: list[str]
) -> None:
    """One that counts whole kWh must owe five, one of ten kWh fifty, once it has made a step."""
    site = Site(amps, step)
    assert steps(site.run(30), "counter-still") == at_first
    assert told(site.run(20)) == []
    still = frozen(site)
    hours = (still + 5 * step - site.kwh) / (amps * 0.23)
    assert told(site.run(hours - 1, energy_kwh=still)) == []
    assert told(site.run(4, energy_kwh=still)) == [("counter-still", "firing")]


def test_a_counter_that_never_moved_must_owe_twice_as_much() -> None:
    """One that is not known to count at all owes 4 kWh before it is told."""
    site = Site(5)
    assert told(site.run(4.5, energy_kwh=77)) == []
    assert told(site.run(1, energy_kwh=77)) == [("counter-still", "firing")]


@pytest.mark.parametrize("amps", [5.0, 0.0])
def test_a_power_cut_owes_nothing(amps: float) -> None:
    """A counter stands while the power is off, whatever the current says."""
    site = Site(5)
    site.run(6)
    still = frozen(site)
    assert told(site.run(24, energy_kwh=still, current_a=amps, mains_on=0)) == []
    assert told(site.run(24)) == []


def test_a_meter_that_was_hardly_heard_owes_what_was_heard() -> None:
    """Five minutes an hour owe a twelfth of it."""
    site = Site(5)
    site.run(6)
    still = frozen(site)
    for _ in range(10):
        assert told(site.run(0, rounds=1, energy_kwh=still)) == []
        site.talk.pause(55 * 60)


def test_a_counter_that_was_reset_is_not_still() -> None:
    """What was owed by the old one is forgotten, and an alert goes on until the new one counts."""
    site = Site(5)
    site.run(6)
    still = frozen(site)
    site.run(2, energy_kwh=still)
    assert told(site.run(3, energy_kwh=3)) == []
    assert told(site.run(3, energy_kwh=3)) == [("counter-still", "firing")]
    assert told(site.run(2, energy_kwh=0)) == []
    assert told(site.run(1, energy_kwh=1) + site.run(1)) == [("counter-still", "clear")]


def test_a_lost_current_is_found_after_an_hour() -> None:
    """The clamp says zero for an hour in which 1.15 kWh are counted; and its end."""
    site = Site(5)
    site.run(6)
    assert told(site.run(1, current_a=0)) == []
    (fired,) = [f for f in site.run(1, current_a=0) if f.rule == "current-lost"]
    assert (fired.metric, fired.nature, fired.value) == ("current_a", "data_quality", 0)
    assert fired.expected is not None
    assert fired.expected[0] == pytest.approx(5, rel=0.1)
    assert told(site.run(5, current_a=0)) == []
    assert told(site.run(2)) == [("current-lost", "clear")]


def test_a_current_that_is_zero_for_less_than_an_hour_is_not_lost() -> None:
    """55 minutes are no whole hour."""
    site = Site(5)
    site.run(6)
    assert told(site.run(0, rounds=11, current_a=0) + site.run(3)) == []


def test_a_little_that_is_counted_is_no_current() -> None:
    """40 W are below what a clamp sees; the counter counts them all the same."""
    site = Site(0.18)
    assert told(site.run(48, current_a=0)) == []


def test_two_steps_of_a_coarse_counter_are_a_lost_current() -> None:
    """One kWh may have been owed from before; the second one was made meanwhile."""
    site = Site(0.5 / 0.23, step=1.0)
    site.kwh += 0.25
    site.run(24)
    assert told(site.run(3, current_a=0)) == []
    assert told(site.run(2, current_a=0)) == [("current-lost", "firing")]


def test_a_small_current_is_lost_after_two_hours() -> None:
    """0.07 kWh an hour make a tenth in the second hour."""
    site = Site(0.3)
    site.run(6)
    assert told(site.run(2, current_a=0)) == []
    assert told(site.run(1, current_a=0)) == [("current-lost", "firing")]


def test_hours_without_current_count_in_a_row() -> None:
    """What was counted while the meter was silent, or said of the current too little, is none."""
    site = Site(0.3)
    site.run(6)
    for _ in range(6):
        assert told(site.run(0, rounds=4, current_a=0)) == []
        site.talk.pause(40 * 60)
        site.kwh += 0.05
    assert told(site.run(1)) == []
    site.run(1, current_a=0)
    site.talk.pause(5 * 3600)
    site.kwh += 5
    assert told(site.run(1, current_a=0) + site.run(1)) == []


def test_nothing_is_lost_in_a_power_cut() -> None:
    """A counter that goes on while the mains are off is another matter."""
    site = Site(5)
    site.run(6)
    assert told(site.run(5, current_a=0, mains_on=0)) == []


def test_a_load_that_is_off_is_no_contradiction() -> None:
    """No current and no count."""
    site = Site(5)
    site.run(6)
    site.amps = 0
    assert told(site.run(48)) == []
    site.amps = 5
    assert told(site.run(6)) == []


def test_the_order_within_a_round_does_not_matter() -> None:
    """The hours of a meter end together, whichever metric it says first."""
    owed = set()
    for names in itertools.permutations(("energy_kwh", "current_a", "mains_v")):
        site = Talk("power", interval_s=STEP_S)
        site.at_ms = START_MS // HOUR_MS * HOUR_MS - round(STEP_S * 1000)
        found = []
        for hour in range(8):
            values = {"energy_kwh": 9.0, "current_a": 5.0, "mains_v": 200.0 + 10 * hour}
            found += site.say(ROUNDS, **{name: values[name] for name in names})
        assert steps(found, "counter-still") == ["firing"], names
        owed |= {f.expected for f in found if f.rule == "counter-still"}
    assert len(owed) == 1


def test_a_snapshot_goes_on() -> None:
    """What is owed, and what fires, is kept."""
    site = Site(5)
    site.run(6)
    still = frozen(site)
    for hours, expected in ((2.5, []), (1, ["firing"]), (2, [])):
        assert steps(site.run(hours, energy_kwh=still), "counter-still") == expected
        state, site.talk.engine = site.talk.engine.snapshot(), Engine(site.talk.catalogue)
        site.talk.engine.restore(state)
    assert told(site.run(2)) == [("counter-still", "clear")]

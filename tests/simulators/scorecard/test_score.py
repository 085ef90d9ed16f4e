"""The evaluator on hand-made worlds: every figure has an answer that can be counted by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulators.scorecard.evaluation import score_of
from simulators.scorecard.files import BIN_MS, Dark, Scope
from simulators.scorecard.page import page
from simulators.scorecard.tallies import Score
from simulators.scorecard.verdict import figures
from tests.simulators.scorecard.worlds import (
    HOUR,
    MINUTE,
    START,
    World,
    alert,
    bins,
    cut,
    fault,
    incident,
    world,
)


def faulty() -> World:
    """A spike, a cut of one site, and a cut of three sites of a province."""
    made = world()
    made.faults = [
        fault("spike", 2 * HOUR, 2 * HOUR + 5 * MINUTE),
        cut("one", 6 * HOUR, 8 * HOUR, "s4"),
        cut("three", 20 * HOUR, 22 * HOUR, "s1", "s2", "s3"),
    ]
    return made


def perfect() -> World:
    """The same with everything said as it should be."""
    made = faulty()
    made.alerts = [
        *alert("a1", 2 * HOUR, 2 * HOUR + 5 * MINUTE, incident="i0"),
        *alert("a2", 6 * HOUR + 3 * MINUTE, 8 * HOUR, device="p4", site="s4", metric="",
               rule="silence", nature="connectivity", severity="critical", incident="i1",
               event_time=START + 6 * HOUR),
    ]  # fmt: skip
    made.incidents = [
        *incident("i0", 2 * HOUR, 3 * HOUR, "s1", cause="sensor", devices=("e1",),
                  scope=Scope("device", "e1")),
        *incident("i1", 6 * HOUR, 8 * HOUR, "s4", cause="last-mile"),
        *incident("i2", 20 * HOUR, 22 * HOUR, "s1", "s2", "s3", cause="backbone"),
    ]  # fmt: skip
    down = {"s4": [(START + 6 * HOUR, START + 8 * HOUR)]}
    down |= {site: [(START + 20 * HOUR, START + 22 * HOUR)] for site in ("s1", "s2", "s3")}
    made.bins = bins(made, down)
    made.bins_without_backfill = made.bins
    return made


def test_a_perfect_detector_meets_everything() -> None:
    """Where everything was said in time and nothing else, each target is met."""
    score = score_of(perfect())
    score.row("lifecycle", "alerts").add(backfill_judged=1)
    total = score.of("total", "all faults")
    assert (total["faults"], total["found"], total["duplicates"]) == (3, 3, 0)
    assert score.of("level", "everything")["false"] == 0
    verdict = page(score).partition("## Targets")[2].partition("\n## ")[0]
    assert "**no**" not in verdict
    assert "not measured" not in verdict
    assert verdict.count("| yes |") == len(figures(score))


def test_silence_finds_nothing() -> None:
    """A detector that says nothing has no recall, no precision, no delay; bins are all missed."""
    score = score_of(faulty())
    total = score.of("total", "all faults")
    assert (total["found"], total["any"], total.quantile("delay_s", 0.5)) == (0, 0, None)
    measured = figures(score)
    assert measured["hard outage of a site: recall"] == 0
    assert measured["group faults: recall"] == 0
    assert measured["precision of critical pages, after correlation"] is None
    assert measured["bins wrong per outage, after backfill"] == 24
    assert score.of("bins", "after backfill")["wrong"] == 4 * 24


def test_delays_are_those_of_the_platform() -> None:
    """A delay runs from the fault's start to when the platform knew, in seconds and intervals."""
    made = faulty()
    made.alerts = alert("a1", 2 * HOUR + 10 * MINUTE, None, event_time=START + 2 * HOUR)
    row = score_of(made).of("type", "spike")
    assert row.quantile("delay_s", 0.5) == 600
    assert row.quantile("delay_intervals", 0.95) == 2


def test_a_hard_outage_is_timed_by_its_probe() -> None:
    """Three minutes after the cut is three intervals of a probe that reports each minute."""
    row = score_of(perfect()).of("outage", "three intervals or longer")
    assert (row["outages"], row["found"]) == (4, 4)
    assert row.quantile("delay_intervals", 1.0) == 3


def test_false_alarms_are_counted_as_episodes() -> None:
    """Alarms of one device within an hour are one false episode; of another device, another."""
    made = world()
    made.alerts = [
        *alert("a1", 10 * HOUR, 10 * HOUR + MINUTE),
        *alert("a2", 10 * HOUR + 50 * MINUTE, 11 * HOUR, rule="drift"),
        *alert("a3", 13 * HOUR, 13 * HOUR + MINUTE),
        *alert("a4", 10 * HOUR, 10 * HOUR + MINUTE, device="e2", site="s2"),
    ]
    score = score_of(made)
    row = score.of("level", "everything")
    assert (row["alarms"], row["true"], row["false"]) == (4, 0, 3)
    assert score.of("rule", "drift (warning)")["false"] == 1
    assert figures(score)["false episodes per device-day, everything"] == 3 / 16


@pytest.mark.parametrize(
    ("at", "facts", "found", "near", "false"),
    [
        (2 * HOUR + MINUTE, {}, 1, 1, 0),
        (2 * HOUR + MINUTE, {"metric": "humidity_pct"}, 0, 1, 1),
        (2 * HOUR + MINUTE, {"metric": ""}, 1, 1, 0),
        (2 * HOUR + MINUTE, {"device": "e2", "site": "s2"}, 0, 0, 1),
        (2 * HOUR + MINUTE, {"device": "p1"}, 0, 0, 1),
        (2 * HOUR - 12 * MINUTE, {}, 0, 0, 1),
        (3 * HOUR + 4 * MINUTE, {}, 1, 1, 0),
        (3 * HOUR + 6 * MINUTE, {}, 0, 0, 1),
    ],
)
def test_an_alarm_matches_in_scope_and_time(
    at: int, facts: dict[str, str], found: int, near: int, false: int
) -> None:
    """Same device, from two intervals before the fault to an hour after; same metric to be found
    and to be true.

    The spike lasts from 2:00 to 2:05.
    """
    made = world()
    made.faults = [fault("spike", 2 * HOUR, 2 * HOUR + 5 * MINUTE)]
    made.alerts = alert("a1", at, at + MINUTE, **facts)
    score = score_of(made)
    row = score.of("type", "spike")
    assert (row["found"], row["any"]) == (found, near)
    assert score.of("level", "everything")["false"] == false


@pytest.mark.parametrize(
    ("said", "true"),
    [
        ({"rule": "silence", "metric": None, "nature": "connectivity"}, 1),
        ({"rule": "shift", "metric": "co2_ppm", "nature": "data_quality"}, 0),
    ],
)
def test_consequences_of_a_site_fault_are_not_false(said: dict[str, Any], true: int) -> None:
    """While a site is cut off its devices are silent; the air in its rooms stays as it is."""
    made = faulty()
    made.alerts = alert("a1", 7 * HOUR, 8 * HOUR, device="e4", site="s4", **said)
    assert score_of(made).of("level", "everything")["true"] == true


def test_an_alarm_of_a_device_that_the_fault_spares_is_false() -> None:
    """While a site lacks the world beyond, its sensor reports: a false shift there is false."""
    made = world()
    far = cut("far", 6 * HOUR, 8 * HOUR, "s1", cause="international", devices=("p1",), down=False)
    made.faults = [far]
    made.alerts = alert("a1", 7 * HOUR, 8 * HOUR, incident="i1")
    made.incidents = incident("i1", 7 * HOUR, 8 * HOUR, "s1", cause="sensor", devices=("e1",))
    score = score_of(made)
    assert score.of("level", "everything")["false"] == 1
    assert score.of("incident", "all")["unmatched"] == 1
    assert score.of("cause_total", "all incidents")["incidents"] == 0


@pytest.mark.parametrize(
    ("began", "ended", "facts", "judged", "wrong"),
    [
        (6 * HOUR, 8 * HOUR, {}, 1, 1),
        (6 * HOUR, 8 * HOUR, {"metric": "humidity_pct"}, 0, 0),
        (6 * HOUR, 8 * HOUR, {"metric": ""}, 1, 1),
        (6 * HOUR, 8 * HOUR, {"metric": "humidity_pct", "nature": "condition"}, 1, 1),
        (5 * HOUR + 43 * MINUTE, 8 * HOUR, {}, 1, 1),
        (5 * HOUR + 41 * MINUTE, 8 * HOUR, {}, 0, 0),
        (9 * HOUR + 14 * MINUTE, 10 * HOUR, {}, 1, 1),
        (9 * HOUR + 16 * MINUTE, 10 * HOUR, {}, 0, 0),
    ],
)
def test_an_incident_is_judged_against_the_fault_that_it_is_about(
    began: int, ended: int, facts: dict[str, str], judged: int, wrong: int
) -> None:
    """Same device, a quarter of an hour apart at most, and what a sensor's fault does.

    The sensor e1 is sick from 6:00 to 9:00; the incident says that the power failed.
    """
    made = world()
    nature = facts.get("nature", "data_quality")
    made.faults = [fault("f1", 6 * HOUR, 9 * HOUR, type="drift", nature=nature)]
    metric = facts.get("metric", "temperature_c")
    made.alerts = alert("a1", began, ended, incident="i1", metric=metric)
    made.incidents = incident("i1", began, ended, "s1", cause="power", devices=("e1",))
    row = score_of(made).of("cause_total", "all incidents")
    assert (row["incidents"], row["wrong"]) == (judged, wrong)


@pytest.mark.parametrize(("told", "judged"), [(14 * HOUR, 1), (16 * HOUR, 0)])
def test_what_is_told_long_after_a_fault_is_not_about_it(told: int, judged: int) -> None:
    """Six hours after; the onset that it gives may lie in the fault."""
    made = world()
    made.faults = [fault("f1", 6 * HOUR, 9 * HOUR, type="drift")]
    opened, *rest = incident("i1", 6 * HOUR, 20 * HOUR, "s1", cause="power", devices=("e1",))
    late = msgspec.structs.replace(opened, at=opened.at + told - 6 * HOUR)
    made.incidents = [late, *rest]
    assert score_of(made).of("cause_total", "all incidents")["incidents"] == judged


def test_a_decoy_that_fires_is_false() -> None:
    """An alarm on a decoy counts against precision, and in the table of decoys."""
    made = world()
    made.decoys = [fault("d1", HOUR, 2 * HOUR, type="door-open"), fault("d2", 9 * HOUR, 10 * HOUR)]
    made.alerts = alert("a1", HOUR + MINUTE, 2 * HOUR)
    score = score_of(made)
    assert score.of("level", "everything")["false"] == 1
    assert score.of("level", "everything")["on_decoy"] == 1
    assert (score.of("decoy", "door-open")["fired"], score.of("decoy", "spike")["fired"]) == (1, 0)


def test_what_was_found_late_is_not_found_live_and_not_false() -> None:
    """An alert opened and closed in the past is a late hit; it pages nobody, so is never false."""
    made = faulty()
    made.alerts = alert("a1", 2 * HOUR, 2 * HOUR + MINUTE, backfilled=True)
    made.alerts += alert("a2", 40 * HOUR, 41 * HOUR, backfilled=True)
    score = score_of(made)
    row = score.of("type", "spike")
    assert (row["found"], row["late"]) == (0, 1)
    assert score.of("level", "everything")["false"] == 0


def test_the_same_said_again_is_a_repeat() -> None:
    """A second alert of one rule within one fault is a duplicate; of another rule it is not."""
    made = faulty()
    made.alerts = [
        *alert("a1", 2 * HOUR, 2 * HOUR + MINUTE),
        *alert("a2", 2 * HOUR + 2 * MINUTE, 3 * HOUR),
        *alert("a3", 2 * HOUR + 2 * MINUTE, 3 * HOUR, rule="drift"),
    ]
    assert score_of(made).of("type", "spike")["duplicates"] == 1


def lifecycle(made: World) -> dict[str, int]:
    """The counts of a world's alerts opened and closed."""
    return dict(score_of(made).of("lifecycle", "alerts").counts)


def test_alerts_out_of_turn_are_counted() -> None:
    """Fired twice, resolved twice, resolved without firing, two open for one key."""
    made = world()
    once, other = alert("a1", HOUR, 2 * HOUR), alert("a2", HOUR + MINUTE, 2 * HOUR)
    made.alerts = [*once, once[1], once[0]]
    assert lifecycle(made)["resolved_twice"] == 1
    assert lifecycle(made)["fired_twice"] == 1
    made.alerts = once[1:]
    assert lifecycle(made)["resolved_without_firing"] == 1
    made.alerts = [once[0], other[0], once[1], other[1]]
    assert lifecycle(made)["two_open"] == 1
    made.alerts = [*once, *other]
    assert lifecycle(made)["two_open"] == 0


def test_an_alert_may_last_as_long_as_its_fault() -> None:
    """An alert that still fires at the end is never resolved, unless its fault lasts."""
    made = world()
    made.faults = [fault("f1", HOUR, 48 * HOUR)]
    made.alerts = alert("a1", 2 * HOUR, None)
    assert lifecycle(made)["never_resolved"] == 0
    made.faults = [fault("f1", HOUR, 20 * HOUR)]
    assert lifecycle(made)["never_resolved"] == 1


def group(score: Score) -> tuple[int, ...]:
    """faults, found, right scope, one incident, incidents of all group faults."""
    row = score.of("group", "all groups")
    return tuple(row[name] for name in ("faults", "found", "right", "one", "incidents"))


def test_a_group_needs_one_incident_of_its_scope() -> None:
    """One group incident is right; a scope of the same sites too; single sites are no group."""
    made = perfect()
    assert group(score_of(made)) == (1, 1, 1, 1, 1)
    wide = {"scope": Scope("feeder", "F1")}
    made.incidents = incident("i", 20 * HOUR, 22 * HOUR, "s1", "s2", "s3", cause="power", **wide)
    assert group(score_of(made)) == (1, 1, 1, 1, 1)
    other = {"scope": Scope("provider", "LTC")}
    made.incidents = incident("i", 20 * HOUR, 22 * HOUR, "s1", "s2", "s3", cause="power", **other)
    assert group(score_of(made)) == (1, 1, 0, 1, 1)
    made.incidents = [
        line
        for site in ("s1", "s2", "s3")
        for line in incident(f"i{site}", 20 * HOUR, 22 * HOUR, site, cause="last-mile")
    ]
    assert group(score_of(made)) == (1, 0, 0, 0, 3)


def test_an_incident_that_was_merged_is_not_one_more() -> None:
    """A single site's incident that the group has taken in is not counted beside it."""
    made = perfect()
    merged = incident(
        "i9", 20 * HOUR, 21 * HOUR, "s1", cause="unknown", evidence=("Merged into i2.",)
    )
    made.incidents += merged
    assert group(score_of(made)) == (1, 1, 1, 1, 1)
    assert score_of(made).of("level", "everything")["true"] == 3
    made.incidents = made.incidents[:-2] + incident("i9", 20 * HOUR, 21 * HOUR, "s1", cause="power")
    assert group(score_of(made)) == (1, 1, 1, 0, 2)


def test_a_group_without_a_common_fault_is_false() -> None:
    """Sites that failed each for its own reason are no group."""
    made = world()
    made.faults = [cut(f"f{s}", 6 * HOUR, 8 * HOUR, s) for s in ("s1", "s2", "s3")]
    made.incidents = incident("i", 6 * HOUR, 8 * HOUR, "s1", "s2", "s3", cause="backbone")
    score = score_of(made)
    assert score.of("false_group", "province")["false"] == 1
    assert figures(score)["false groups a month"] == 15


def test_causes_are_right_wrong_or_unknown() -> None:
    """The last cause of each incident that a fault explains; the others have no truth."""
    made = perfect()
    made.incidents = [
        *incident("i1", 6 * HOUR, 8 * HOUR, "s4", cause="power"),
        *incident("i2", 20 * HOUR, 22 * HOUR, "s1", "s2", "s3", cause="unknown"),
        *incident("i3", 40 * HOUR, 41 * HOUR, "s2", cause="probe"),
    ]
    score = score_of(made)
    row = score.of("cause_total", "all incidents")
    assert [row[name] for name in ("incidents", "right", "wrong", "unknown")] == [2, 0, 1, 1]
    assert score.of("cause", "last-mile")["power"] == 1


def test_an_incident_belongs_to_what_began_with_it() -> None:
    """A cut at a site with a sick sensor is the cut's incident, though the sensor fits as well."""
    made = world()
    made.faults = [
        fault("old", HOUR, 30 * HOUR, type="drift"),
        cut("cut", 6 * HOUR, 8 * HOUR, "s1", "s2", "s3"),
    ]
    made.incidents = incident("i", 6 * HOUR, 8 * HOUR, "s1", cause="backbone")
    assert score_of(made).of("cause", "backbone")["backbone"] == 1


def test_critical_pages_are_counted_after_correlation() -> None:
    """Forty critical alerts of one incident are one page; it is true when one of them is."""
    made = faulty()
    facts = {"nature": "connectivity", "severity": "critical", "metric": "", "rule": "silence"}
    for number in (1, 2, 3):
        made.alerts += alert(f"a{number}", 20 * HOUR, 22 * HOUR, device=f"p{number}",
                             site=f"s{number}", incident="i2", **facts)  # fmt: skip
    made.alerts += alert("a9", 40 * HOUR, 41 * HOUR, device="p1", **facts)
    row = score_of(made).of("page", "critical")
    assert (row["pages"], row["true"], row["false"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("start", "end", "state", "wrong"),
    [
        (0, 2 * HOUR, "DOWN", 0),
        (0, 2 * HOUR - BIN_MS, "DOWN", 1),
        (-BIN_MS, 2 * HOUR, "DOWN", 1),
        (-BIN_MS, 2 * HOUR + 2 * BIN_MS, "DOWN", 3),
    ],
)
def test_bins_are_wrong_by_the_bin(start: int, end: int, state: str, wrong: int) -> None:
    """A bin within the outage must be DOWN, one outside must not; the cut is from 6:00 to 8:00."""
    made = world()
    made.faults = [cut("one", 6 * HOUR, 8 * HOUR, "s4")]
    made.bins = bins(made, {"s4": [(START + 6 * HOUR + start, START + 6 * HOUR + end)]})
    row = score_of(made).of("bins", "after backfill")
    assert (row["wrong"], row["near"], row["outages"]) == (wrong, wrong, 1)


def test_a_bin_that_a_cut_touches_in_part_may_be_either() -> None:
    """A cut from 6:02 to 8:00 leaves open what the bin of 6:00 is."""
    made = world()
    made.faults = [cut("one", 6 * HOUR + 2 * MINUTE, 8 * HOUR, "s4")]
    for begin in (6 * HOUR, 6 * HOUR + BIN_MS):
        made.bins = bins(made, {"s4": [(START + begin, START + 8 * HOUR)]})
        assert score_of(made).of("bins", "after backfill")["wrong"] == 0


def test_a_bin_that_is_not_there_is_wrong() -> None:
    """Bins of an outage that were never published are counted as missed."""
    made = world()
    made.faults = [cut("one", 6 * HOUR, 8 * HOUR, "s4")]
    made.bins = [row for row in bins(made) if row.site != "s4"]
    row = score_of(made).of("bins", "after backfill")
    assert (row["absent"], row["wrong"]) == (24, 24)


def test_scores_of_worlds_add_up() -> None:
    """Two worlds have twice the faults, days and delays of one; a score survives as JSON."""
    one = score_of(perfect())
    both = Score()
    both.merge(one)
    both.merge(Score.from_json(one.as_json()))
    assert (both.worlds, both.days, both.device_days) == (2, 4, 32)
    row = both.of("total", "all faults")
    assert (row["faults"], len(row.values["delay_s"])) == (6, 6)
    assert both.of("total", "all faults").quantile("delay_s", 0.5) == one.of(
        "total", "all faults"
    ).quantile("delay_s", 0.5)


def test_a_fault_may_say_when_each_site_was_dark() -> None:
    """What the truth says of each site counts; between its dark times a bin may be either."""
    made = world()
    spans = [(6 * HOUR, 6 * HOUR + 20 * MINUTE), (7 * HOUR, 7 * HOUR + 20 * MINUTE)]
    dark = tuple(Dark("s4", START + start, START + end) for start, end in spans)
    made.faults = [cut("flapping", 6 * HOUR, 8 * HOUR, "s4", dark=dark)]
    score = score_of(made)
    assert score.of("bins", "after backfill")["missed"] == 8
    assert score.of("outage", "all outages")["outages"] == 2
    made.bins = bins(made, {"s4": [(START + 6 * HOUR, START + 8 * HOUR)]})
    assert score_of(made).of("bins", "after backfill")["wrong"] == 0

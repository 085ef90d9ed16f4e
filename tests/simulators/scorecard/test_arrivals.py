"""What arrived, as the evaluator reads it from a capture, and what late rounds brought about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from simulators.scorecard.alarms import alarms_of
from simulators.scorecard.arrivals import Arrival, Late, Round, arrivals
from simulators.scorecard.files import EvaluationError
from tests.simulators.scorecard.worlds import HOUR, MINUTE, START, alert, fault, incident, world

DEVICES = world().devices


def line(at: int, channel: str, payload: object, device: str = "e1") -> str:
    """A line of a capture."""
    topic = f"gov/v1/LA-LP/{device}/{channel}"
    return json.dumps({"at": START + at, "topic": topic, "payload": json.dumps(payload)}) + "\n"


def test_rounds_are_those_of_known_devices(tmp_path: Path) -> None:
    """Single rounds and batches, live and backfill; no status, no stranger, no other encoding."""
    capture = tmp_path / "C.jsonl"
    capture.write_text(
        line(0, "status", {"state": "online"})
        + line(1, "telemetry", {"v": 1, "ts": 5, "m": {"co2_ppm": 600}})
        + line(2, "backfill", {"v": 1, "r": [{"ts": 6, "m": {}}, {"ts": 7, "m": {}}]})
        + line(3, "telemetry", {"v": 1, "m": {"co2_ppm": 700}}, device="stranger")
        + line(5, "telemetry", ["not", "a", "round"])
    )
    found = [
        (a.at_ms - START, a.channel, [r.ts for r in a.rounds]) for a in arrivals(capture, DEVICES)
    ]
    assert found == [(1, "telemetry", [5]), (2, "backfill", [6, 7])]


def test_a_line_that_is_no_message_is_named(tmp_path: Path) -> None:
    """The error says which line of which file it is."""
    capture = tmp_path / "C.jsonl"
    capture.write_text(line(1, "telemetry", {"m": {}}) + "{}\n")
    with pytest.raises(EvaluationError, match=r"C\.jsonl:2: "):
        list(arrivals(capture, DEVICES))


@pytest.mark.parametrize(
    ("facts", "pages"),
    [
        ({}, 1),
        ({"backfilled": True}, 0),
        ({"severity": "info"}, 0),
        ({"device": "e2", "site": "s2"}, 0),
        ({"event_time": START + 3 * HOUR}, 0),
        ({"at": 4 * HOUR + 2 * MINUTE}, 0),
        ({"at": 4 * HOUR - MINUTE}, 0),
    ],
)
def test_a_page_by_backfill_is_of_a_time_that_only_late_rounds_told_of(
    facts: dict[str, int | str], pages: int
) -> None:
    """The sensor e1 sends at 4:00 what it measured from 1:00 to 2:00; the alert is of 1:30."""
    made = world()
    times = range(START + HOUR, START + 2 * HOUR, 5 * MINUTE)
    late = Late(DEVICES)
    sent = Arrival(START + 4 * HOUR, "e1", "backfill", [Round(ts=at) for at in times])
    assert list(late.watching([sent])) == [sent]
    usual = {"at": 4 * HOUR + MINUTE, "event_time": START + HOUR + 30 * MINUTE}
    said: dict[str, Any] = usual | facts
    made.alerts = alert("a1", said.pop("at"), None, **said)
    assert late.pages(alarms_of(made), made) == pages


def test_rounds_within_the_lateness_bound_page_as_live_ones_do() -> None:
    """Three intervals of five minutes are not late; an incident of old rounds is told late."""
    made = world()
    late = Late(DEVICES)
    fresh = Arrival(START + HOUR, "e1", "backfill", [Round(ts=START + 45 * MINUTE)])
    list(late.watching([fresh]))
    made.alerts = alert("a1", HOUR, None, event_time=START + 44 * MINUTE)
    assert late.pages(alarms_of(made), made) == 0
    mixed = Arrival(START + HOUR, "e1", "backfill", [Round(ts=START + 44 * MINUTE), *fresh.rounds])
    list(late.watching([mixed]))
    made.alerts = alert("a1", HOUR + MINUTE, None, event_time=START + 45 * MINUTE)
    assert late.pages(alarms_of(made), made) == 0
    old = Arrival(START + 4 * HOUR, "p2", "backfill", [Round(ts=START + 2 * HOUR)])
    list(late.watching([old]))
    made.alerts = []
    opened = incident("i1", 2 * HOUR, None, "s2", cause="international")[0]
    made.incidents = [replace(opened, at=START + 4 * HOUR + MINUTE)]
    assert late.pages(alarms_of(made), made) == 1


@pytest.mark.parametrize(("hit", "pages"), [("e1", 0), ("e2", 1)])
def test_what_a_wrong_clock_calls_old_is_not_late(hit: str, pages: int) -> None:
    """It came live, and an alert on it is about now; the wrong clock of another is no excuse."""
    made = world()
    made.faults = [fault("f1", 0, 8 * HOUR, type="clock-step", devices=(hit,), cause="clock")]
    late = Late(DEVICES)
    list(late.watching([Arrival(START + 4 * HOUR, "e1", "telemetry", [Round(ts=START + HOUR)])]))
    made.alerts = alert("a1", 4 * HOUR, None, event_time=START + HOUR)
    assert late.pages(alarms_of(made), made) == pages

"""The command that makes the scorecard: which worlds it takes, and what it leaves out of them."""

from __future__ import annotations

import json
from pathlib import Path

from bench.scorecard import (
    FULL,
    NATIONAL,
    REPORTING,
    Job,
    heading,
    jobs_of,
    judged,
    lateness_of,
    options,
    strip,
)
from simulators.scorecard.tallies import Score


def test_published_worlds_are_of_the_reporting_seeds() -> None:
    """Ten worlds of the full size and a national one, all from seeds that nobody tunes on."""
    jobs = jobs_of(options([]))
    assert [job.size for job in jobs] == [FULL] * 10 + [NATIONAL]
    assert {job.seed for job in jobs} <= set(REPORTING)
    assert len({job.seed for job in jobs}) == 11


def test_seeds_may_be_named() -> None:
    """A range, or one; then there is no national world."""
    assert [job.seed for job in jobs_of(options(["--seeds", "3-5"]))] == [3, 4, 5]
    assert [job.seed for job in jobs_of(options(["--seeds", "7"]))] == [7]


def test_the_page_names_its_worlds_and_its_command() -> None:
    """Sizes with their seeds, and how many were replayed twice."""
    text = heading(
        [Job(100, FULL, True), Job(101, FULL, False), Job(110, NATIONAL, False)],
        ["--x", "1", "--keep", "D"],
    )
    assert "`python -m bench.scorecard --x 1`" in text
    assert "100 sites, 400 devices, 14 days (seeds 100, 101); 300 sites" in text
    assert "\n1 of them" in text


def message(channel: str, *times: int) -> bytes:
    """A line of a capture that arrived at 600,000 ms with rounds of these times."""
    payload = json.dumps({"v": 1, "r": [{"ts": at, "m": {"x": "/backfill"}} for at in times]})
    topic = f"gov/v1/LA-LP/p1/{channel}"
    return json.dumps({"at": 600_000, "topic": topic, "payload": payload}).encode() + b"\n"


def test_late_rounds_are_left_out(tmp_path: Path) -> None:
    """Of a backfill what is older than three intervals goes; live messages stay as they are."""
    (tmp_path / "devices.csv").write_text("device,interval_s\np1,60\nq1,10\n")
    bounds = lateness_of(tmp_path)
    assert bounds == {"p1": 180_000, "q1": 120_000}
    old = message("telemetry", 1)
    (tmp_path / "C.jsonl").write_bytes(
        old + message("backfill", 1, 2) + message("backfill", 419_999, 420_000)
    )
    strip(tmp_path / "C.jsonl", tmp_path / "D.jsonl", bounds)
    assert (tmp_path / "D.jsonl").read_bytes() == old + message("backfill", 420_000)


def test_a_world_that_was_judged_is_not_judged_again(tmp_path: Path) -> None:
    """Its score is kept beside its files, and a run that was interrupted goes on from there."""
    score = Score()
    score.worlds, score.days = 1, 14.0
    (tmp_path / "seed-100").mkdir()
    (tmp_path / "seed-100" / "score.json").write_text(json.dumps(score.as_json()))
    assert judged(Job(100, FULL, late=False), tmp_path).as_json() == score.as_json()

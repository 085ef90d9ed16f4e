"""The command that makes the scorecard: which worlds it takes, and what it leaves out of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.scorecard import (
    FULL,
    NATIONAL,
    REPORTING,
    Job,
    heading,
    jobs_of,
    judged,
    options,
    scores_of,
)
from simulators.scorecard.tallies import Score


def test_published_worlds_are_of_the_reporting_seeds() -> None:
    """Ten worlds of the full size and a national one, all from seeds that nobody tunes on."""
    jobs = jobs_of(options([]))
    assert [job.size for job in jobs] == [NATIONAL] + [FULL] * 10
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
    assert "those of 1 of them" in text


def test_a_world_that_was_judged_is_not_judged_again(tmp_path: Path) -> None:
    """Its score is kept beside its files, and a run that was interrupted goes on from there."""
    score = Score()
    score.worlds, score.days = 1, 14.0
    (tmp_path / "seed-100").mkdir()
    (tmp_path / "seed-100" / "score.json").write_text(json.dumps(score.as_json()))
    assert judged(Job(100, FULL, late=False), tmp_path).as_json() == score.as_json()


def test_a_page_without_all_worlds_says_so() -> None:
    """Worlds that failed, or were not begun, are named as missing and not as judged."""
    jobs = [Job(100, FULL, True), Job(101, FULL, False)]
    text = heading(jobs, ["--within", "50"], {jobs[1]})
    assert "(seeds 101)." in text
    assert "not in the figures: seeds 100.\n" in text
    assert "Bins before backfill are those of 0 of them" in text
    assert "--within" not in text
    assert "Not judged" not in heading(jobs, [])


def test_one_world_that_fails_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its error is told with its seed; what was judged comes; no world is begun after the time."""
    score = Score()
    score.worlds = 1
    for seed, text in ((100, json.dumps(score.as_json())), (101, "{")):
        (tmp_path / f"seed-{seed}").mkdir()
        (tmp_path / f"seed-{seed}" / "score.json").write_text(text)
    jobs = [Job(seed, FULL, late=False) for seed in (100, 101)]
    args = options(["--keep", str(tmp_path), "--processes", "1"])
    assert [job.seed for job, _ in scores_of(jobs, args)] == [100]
    said = capsys.readouterr().err
    assert "seed 101: FAILED" in said
    assert "2 of 2 worlds" in said
    args.within = -1
    assert list(scores_of(jobs, args)) == []
    assert "not begun" in capsys.readouterr().err

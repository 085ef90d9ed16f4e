"""The command that makes the scorecard: which worlds it takes, and what it leaves out of them."""

from __future__ import annotations

from pathlib import Path

from bench.scorecard import FULL, NATIONAL, REPORTING, Job, heading, jobs_of, options, strip

TELEMETRY = b'{"at":1,"topic":"gov/v1/LA-LP/p1/telemetry","payload":"{\\"x\\":\\"/backfill\\"}"}\n'
BACKFILL = b'{"at":2,"topic":"gov/v1/LA-LP/p1/backfill","payload":"{}"}\n'


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
        [Job(100, FULL, True), Job(101, FULL, False), Job(110, NATIONAL, False)], "--x 1"
    )
    assert "`python -m bench.scorecard --x 1`" in text
    assert "100 sites, 400 devices, 14 days (seeds 100, 101); 300 sites" in text
    assert "\n1 of them" in text


def test_late_messages_are_left_out(tmp_path: Path) -> None:
    """What came on the backfill channel goes; what only speaks of it stays."""
    (tmp_path / "C.jsonl").write_bytes(TELEMETRY + BACKFILL + TELEMETRY)
    strip(tmp_path / "C.jsonl", tmp_path / "D.jsonl")
    assert (tmp_path / "D.jsonl").read_bytes() == TELEMETRY * 2

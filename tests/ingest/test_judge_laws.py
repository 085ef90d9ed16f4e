"""Laws of the judge as a whole: batches, restarts, order of arrival, repetition."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devices.registry_files import write_registry
from ingest.captures import capture_line
from ingest.replay import Replay
from tests.cases import LONGEST_S, cases
from tests.ingest.worlds import (
    Broken,
    World,
    delayed,
    event_time_alerts,
    played,
    stored,
    told,
    without_late,
    write_world,
)

SMALL = 3000  # messages
LARGE = cases(5000, 10**9)
pytestmark = pytest.mark.timeout(LONGEST_S)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("world"))


def test_a_restart_at_any_batch_changes_nothing(world: World) -> None:
    """A judge that goes on from its snapshot tells the same alerts, incidents and bins."""
    part = world.first(LARGE)
    straight = told(played(part))
    assert all(straight.values())
    broken = Broken(world.registry, most=20, restarts=0.02, seed=5)
    assert told(played(part, broken)) == straight
    assert broken.restarts > 30


def test_bins_without_backfill_are_those_of_a_capture_without_it(world: World) -> None:
    """A replay can keep, beside its bins, those that it would give had nothing late come."""
    part = world.first(LARGE)
    both = played(part, Replay(world.registry, without_late=True))
    assert told(both) == told(played(part))
    assert both.bins_in_time == played(without_late(part)).bins
    assert both.bins_in_time != both.bins


def test_one_batch_of_n_equals_n_of_one(world: World) -> None:
    """However messages are cut into batches, what is told is the same."""
    small = world.first(SMALL)
    straight = told(played(small))
    assert all(straight.values())
    singles = Broken(world.registry, most=1, restarts=0, seed=1)
    assert told(played(small, singles)) == straight
    parts = Broken(world.registry, most=9, restarts=0, seed=2)
    assert told(played(small, parts)) == straight


def test_the_order_of_arrival_within_the_lateness_window_changes_nothing(world: World) -> None:
    """Messages that overtake each other: same rows, same alerts of the same event times."""
    small = world.first(SMALL)
    straight = event_time_alerts(played(small))
    assert {alert.state for alert in straight} >= {"firing", "resolved"}
    late = delayed(small, seed=3)
    payloads = [(a.payload, b.payload) for a, b in zip(small.records, late.records, strict=True)]
    assert sum(a != b for a, b in payloads) > SMALL // 2
    assert stored(late) == stored(small)
    assert event_time_alerts(played(late)) == straight
    broken = Broken(world.registry, most=5, restarts=0.02, seed=4)
    assert event_time_alerts(played(late, broken)) == straight


def test_a_capture_gives_the_same_files_in_every_process(world: World, tmp_path: Path) -> None:
    """Alerts, incidents and bins to the last byte, whatever the order of sets."""
    small = world.first(SMALL)
    write_registry(world.registry, tmp_path)
    lines = [
        capture_line(r.received_ms, r.topic, r.payload, retained=r.retained) for r in small.records
    ]
    (tmp_path / "C.jsonl").write_bytes(b"".join(lines))
    last_ms = small.records[-1].received_ms + 7_200_000
    first, second = (_files(tmp_path, seed, last_ms) for seed in ("1", "271"))
    assert all(len(file) > 1000 for file in first)
    assert first == second


def _files(directory: Path, seed: str, until_ms: int) -> list[bytes]:
    """What a process of its own writes, with that seed of Python's hashes."""
    d = directory
    names = [f"A{seed}.jsonl", f"I{seed}.jsonl", f"B{seed}.csv"]
    call = [sys.executable, "-m", "runtime", "replay", d / "C.jsonl", "--until", until_ms]
    call += ["--sites", d / "sites.csv", "--devices", d / "devices.csv"]
    for option, name in zip(("--alerts", "--incidents", "--bins"), names, strict=True):
        call += [option, d / name]
    env = os.environ | {"PYTHONHASHSEED": seed}
    subprocess.run([*map(str, call)], check=True, capture_output=True, env=env)
    return [(d / name).read_bytes() for name in names]

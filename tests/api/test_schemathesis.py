"""Schemathesis over the whole OpenAPI document, with a key and without: what it says is so.

All its checks, all its phases: examples, coverage, fuzzing, and sequences of requests. /events is
an operation like the others; as it never ends, a case of it is over with its first event, and there
is one every 100 ms. `HYPOTHESIS_PROFILE=thorough ./test
tests/api/test_schemathesis.py -s` makes 200 cases an operation of each phase that has no number of
its own, and says how many there were.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.ledger.events import Event, add_events
from tests.api.schemathesis_hooks import KEY
from tests.api.world import NOW_MS, World, world_in
from tests.cases import LONGEST_S, cases

CONFIG = Path(__file__).with_name("schemathesis.toml")
COMMAND = Path(sys.executable).with_name("schemathesis")
EXAMPLES = cases(2, 200)  # an operation
PHASES = ("examples", "coverage", "fuzzing", "stateful")
QUICK = ("examples", "fuzzing", "stateful")  # coverage has its own number of cases, some thousands


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world that nobody asks too often, nor with too many wrong keys."""
    monkeypatch.setattr("api.rights.FAILURES_PER_MINUTE", 10**9)
    for name in ("PER_S", "BURST", "ALL_PER_S", "ALL_BURST"):
        monkeypatch.setattr(f"api.routes.public.{name}", 10**9)
    with world_in(tmp_path) as world, happening(world):
        yield world


@contextmanager
def happening(world: World) -> Iterator[None]:
    """Something does, all the time."""
    over = threading.Event()

    def happen() -> None:
        while not over.wait(0.1):
            with world.ledger.begin() as connection:
                add_events(
                    connection, [Event(NOW_MS, "device", {"device": "p0", "state": "online"})]
                )

    thread = threading.Thread(target=happen)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.timeout(LONGEST_S)
@pytest.mark.parametrize(
    ("who", "phases"), [("admin", PHASES), ("nobody", PHASES if cases(0, 1) else QUICK)]
)
def test_the_document_is_true(
    world: World, tmp_path: Path, who: str, phases: tuple[str, ...]
) -> None:
    """No 5xx, no answer and no refusal that the document does not say, on any operation."""
    report = run(world, tmp_path, world.key("admin") if who == "admin" else "", phases)
    paths = world.get("/openapi.json")["paths"]
    count = sum(len(methods) for methods in paths.values())
    assert report["complete"]
    assert report["operations"]["total"] == report["operations"]["tested"] == count
    for phase in phases:
        assert report["phases"][phase]["status"] == "success", report["phases"]
    assert report["test_cases"]["generated"] > count
    print(f"\n{report['test_cases']['generated']} cases of {count} operations for {who}")


def run(world: World, directory: Path, key: str, phases: tuple[str, ...]) -> dict[str, Any]:
    """The report of a run with a key, or with none; its failures are the test's."""
    file = directory / "report.json"
    command = [
        *(str(COMMAND), "--config-file", str(CONFIG), "--no-color", "run"),
        f"{world.client.base_url}/api/v1/openapi.json",
        *("--checks", "all", "--phases", ",".join(phases), "--max-examples", str(EXAMPLES)),
        *("--report", "json", "--report-json-path", str(file)),
        # With a key, none that is drawn goes in its place; without, those must not hold.
        *("--generation-with-security-parameters", "false" if key else "true"),
        *(("--header", f"Authorization: Bearer {key}") if key else ()),
    ]
    environment = {**os.environ, KEY: key, "PYTHONPATH": str(CONFIG.parents[2])}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    report: dict[str, Any] = json.loads(file.read_text())
    return report

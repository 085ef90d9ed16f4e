"""The first ten minutes of docs/api.md, as they stand, against a real `govsense api`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.ledger.keys import create_key
from storage.ledger.migrations import open_ledger
from storage.series.sqlite import SqliteSeries
from tests.api.test_command import get, running
from tests.api.world import NOW, fill
from tests.project.broker import ROOT
from tests.project.documents import section, text_of

TUTORIAL = section(text_of(Path("docs/api.md")), "## The first ten minutes")


def blocks(language: str) -> list[str]:
    """The blocks of the tutorial in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", TUTORIAL, re.M | re.S)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where the commands find the API over the small world, whose present it lives in."""
    directory = tmp_path_factory.mktemp("tutorial")
    ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
    series = SqliteSeries.open(directory / "series.db")
    fill(ledger, series)
    made_ms = time.time_ns() // 1_000_000
    made = create_key(ledger, name="me", role="viewer", days=1, now_ms=made_ms, by="test")
    series.close()
    ledger.close()
    with running(directory, GOVSENSE_CLOCK__START=NOW) as (url, _):
        get(f"{url}/api/v1/health")
        inherited = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        yield {
            **inherited,
            "GOVSENSE_URL": url,
            "GOVSENSE_KEY": made.text,
            "PYTHONPATH": str(ROOT),
        }


def said(command: list[str], text: str, environment: dict[str, str]) -> str:
    """What a program that reads its text from standard input prints; it must succeed."""
    done = subprocess.run(
        command,
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_answer_what_the_text_says(environment: dict[str, str]) -> None:
    """Every line runs, none of those that should not fail is answered with a problem."""
    script = "\n".join(blocks("sh"))
    lines = said(["bash", "-euo", "pipefail"], script, environment).splitlines()
    asked = [line for line in script.splitlines() if re.match(r"ask |curl ", line)]
    answers = [line for line in lines if line.startswith("{")]
    assert len(answers) == len(asked) - 1  # the stream is no object
    problems = [line for line in answers if '"type": "about:blank"' in line]
    assert len(problems) == 1
    assert "did you mean severity?" in problems[0]
    everything = "\n".join(answers)
    for part in ('"status":"ok"', '"device":"p0"', '"mean":100.0', '"incident":"i1"', '"too-few"'):
        assert part in everything
    assert '"availability":' in everything


def test_the_client_does_the_same(environment: dict[str, str]) -> None:
    """The Python of the tutorial prints alerts, means, and what was wrong with a request."""
    (program,) = blocks("python")
    lines = said([sys.executable, "-"], program, environment).splitlines()
    assert any("too slow" in line for line in lines)
    assert any(line.endswith(" 100.0") for line in lines)
    assert "no-such-device" in lines[-1]
    assert "check the name" in lines[-1]

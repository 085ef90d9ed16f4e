"""Commands of docs/api.md against a real `govsense api`; its first ten minutes as they stand."""

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
from storage.ledger.windows import WindowFilter, list_windows
from storage.series.sqlite import SqliteSeries
from tests.api.test_command import get, running
from tests.api.world import NOW, NOW_MS, fill
from tests.project.broker import ROOT
from tests.project.documents import section, text_of

DOCUMENT = text_of(Path("docs/api.md"))
TUTORIAL = section(DOCUMENT, "## The first ten minutes")


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
    window = list_windows(ledger, WindowFilter(now_ms=NOW_MS), limit=1)[0].window
    keys = {
        role: create_key(ledger, name="me", role=role, days=1, now_ms=made_ms, by="test").text
        for role in ("viewer", "admin")
    }
    series.close()
    ledger.close()
    with running(directory, GOVSENSE_CLOCK__START=NOW) as (url, _):
        get(f"{url}/api/v1/health")
        inherited = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        yield {
            **inherited,
            "GOVSENSE_URL": url,
            "GOVSENSE_KEY": keys["viewer"],
            "ADMIN_KEY": keys["admin"],
            "WINDOW": window,
            "DIRECTORY": str(directory),
            "PYTHONPATH": str(ROOT),
        }


def said(command: list[str], text: str, environment: dict[str, str]) -> str:
    """What a program that reads its text from standard input prints; it must succeed."""
    done = subprocess.run(
        command,
        input=text,
        env=environment,
        cwd=environment["DIRECTORY"],
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
    asked = [line for line in script.splitlines() if re.match(r"ask (?!--output)|curl ", line)]
    answers = [line for line in lines if line.startswith("{")]
    assert len(answers) == len(asked) - 1  # the stream is no object
    problems = [line for line in answers if '"type": "about:blank"' in line]
    assert len(problems) == 1
    assert "did you mean severity?" in problems[0]
    everything = "\n".join(answers)
    for part in ('"status":"ok"', '"device":"p0"', '"mean":100.0', '"incident":"i1"', '"too-few"'):
        assert part in everything
    assert '"availability":' in everything
    directory = Path(environment["DIRECTORY"])
    readings = (directory / "readings.csv").read_text(encoding="utf-8")
    assert readings.startswith("\ufeff")
    assert "nat_rtt_p50_ms" in readings
    assert "<html" in (directory / "report.html").read_text(encoding="utf-8")


def test_the_client_does_the_same(environment: dict[str, str]) -> None:
    """The Python of the tutorial prints alerts, means, and what was wrong with a request."""
    (program,) = blocks("python")
    lines = said([sys.executable, "-"], program, environment).splitlines()
    assert any("too slow" in line for line in lines)
    assert any(line.endswith(" 100.0") for line in lines)
    readings = Path(environment["DIRECTORY"], "readings.csv").read_text(encoding="utf-8")
    assert "nat_rtt_p50_ms" in readings
    assert "no-such-device" in lines[-1]
    assert "check the name" in lines[-1]


NAMES = {  # of the document: of the small world
    "a1b2c3d4e5f6": "a001",
    "probe-0042": "p0",
    "probe-0043": "n0",
    "lp-hospital-01": "clinic",
    "lp-health-01": "office",
}


def test_the_examples_of_all_other_sections_succeed(environment: dict[str, str]) -> None:
    """Each command, with an administrator's key and the ids of a platform that has them."""
    examples = DOCUMENT.replace(TUTORIAL, "")
    commands = []
    for block in re.findall(r"^```\n(.*?)^```", examples, re.M | re.S):
        commands += re.findall(r"^(?:ask|curl) .*?(?<!\\)\n(?=ask |\{|\S+,|\Z)", block, re.M | re.S)
    assert len(commands) == len(re.findall(r"^(?:ask|curl) ", examples, re.M)) > 10
    (ask,) = re.findall(r"^ask\(\).*$", TUTORIAL, re.M)
    for command in commands:
        text = command.replace("w4c1b2a9f00d3e57", environment["WINDOW"])
        for written, real in NAMES.items():
            text = text.replace(written, real)
        as_admin = {**environment, "GOVSENSE_KEY": environment["ADMIN_KEY"]}
        answer = said(["bash", "-euo", "pipefail"], f"{ask}\n{text}", as_admin)
        assert "about:blank" not in answer, text + answer
        assert answer.strip() or ">" in command
    for file in ("september.json", "lp.csv", "office.html"):
        assert "about:blank" not in Path(environment["DIRECTORY"], file).read_text(encoding="utf-8")

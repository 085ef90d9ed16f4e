"""`govsense up`: what it takes, and that its report is of this run only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtime import cli, up_command, up_key, up_report
from runtime.settings import load
from runtime.stores import open_ledger
from runtime.up_key import Api
from storage.ledger.keys import create_key, find_key, has_admin_key
from tests.project.broker import free_port

ALERT = {
    "at": "2026-10-05T01:30:00.000Z", "severity": "warning", "state": "firing",
    "metric": "mains_v", "text_en": "Seen: 184.9 V.",
}  # fmt: skip
API = Api("http://127.0.0.1:1", "")


class Said:
    """What the API would say: totals since the first start, and every alert."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.total = 1000
        self.alerts = [{"alert": "a1", "device": "power-1", **ALERT}]
        monkeypatch.setattr(up_report, "read_stats", lambda api: self.stats())
        monkeypatch.setattr(up_report, "_fired", lambda api: list(self.alerts))

    def stats(self) -> dict[str, Any]:
        """As /api/v1/stats."""
        unmeasured = {"p50": None, "p99": None, "count": 0}
        none = dict.fromkeys(up_report.GROWING, 0)
        totals = {"messages_received": self.total, "messages_stored": self.total,
                  "readings_stored": 3 * self.total}  # fmt: skip
        return none | totals | dict.fromkeys(up_report.SPANS.values(), unmeasured)


def truth_of(directory: Path, *devices: str) -> Path:
    """The file of faults of one kind in these devices."""
    file = directory / "truth.jsonl"
    file.write_text(json.dumps({"type": "stuck", "devices": devices, "metric": "mains_v"}))
    return file


def test_an_earlier_run_on_the_same_data_does_not_make_this_one_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readings and alerts that were there before are not counted."""
    api = Said(monkeypatch)
    before = up_report.read_before(API)
    assert not up_report.print_report(API, truth_of(tmp_path, "power-1"), before, healthy=True)
    said = capsys.readouterr().out
    assert "readings stored      0" in said
    assert "alerts raised        0; 0 of 1" in said
    assert "NO   readings arrived" in said
    assert "NO   an injected fault was detected" in said
    assert "publish to alert     p50 unknown, p99 unknown of 0" in said
    api.total += 5
    api.alerts.append({"alert": "a2", "device": "power-1", **ALERT})
    assert up_report.print_report(API, truth_of(tmp_path, "power-1"), before, healthy=True)
    said = capsys.readouterr().out
    assert "readings stored      15" in said
    assert "messages received    5 = 5 stored" in said
    assert "power-1: Seen: 184.9 V." in said  # an alert without its device helps nobody
    api.alerts += [{"alert": f"b{n}", "device": "power-2", **ALERT} for n in range(400)]
    up_report.print_report(API, truth_of(tmp_path, "power-1"), before, healthy=True)
    said = capsys.readouterr().out
    assert said.count("power-2: ") == up_report.SHOWN_ALERTS - 1
    assert f"and {401 - up_report.SHOWN_ALERTS} more" in said


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "inf", "soon"])
def test_a_length_that_is_none_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not run for ever, nor for no time."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(["up", "--seconds", seconds])
    assert stopped.value.code == 2
    assert f"argument --seconds: '{seconds}' is not a number above 0" in capsys.readouterr().err


def test_one_port_for_two_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker and the API cannot share a port."""
    call = ["up", "--broker-port", "29999", "--http-port", "29999", "--data-dir", str(tmp_path)]
    assert cli.main(call) == 1
    assert "port 29999 is wanted for the MQTT broker and for the API" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (("--interval-s", "60"), "perhaps a shorter --interval-s fits"),
        (("--scenario", "nowhere"), "built in: first-minute"),
    ],
)
def test_a_scenario_that_cannot_be_played_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str], why: str
) -> None:
    """Nothing is started that would only be started again and again."""
    call = ["up", "--simulate", "--broker-port", "0", "--http-port", "0", *option]
    assert cli.main([*call, "--data-dir", str(tmp_path / "data")]) == 1
    assert why in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "call", [["--data-dir", "there", "up"], ["up", "--data-dir", "there"]], ids=["before", "after"]
)
def test_the_data_directory_is_taken_before_and_after_the_command(call: list[str]) -> None:
    """`./run --data-dir DIR` puts it after."""
    args = cli.build_parser().parse_args(call)
    assert args.data_dir == Path("there")
    assert args.settings is None


def test_progress_goes_on_while_the_api_is_being_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An API that was killed is no reason to end with a traceback."""

    def refused(api: Api) -> dict[str, Any]:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(up_command, "read_stats", refused)
    assert up_command._short(API) == "the API does not answer"
    assert not up_command._is_drained(API)


@pytest.mark.parametrize("is_file", [False, True], ids=["in use", "a file"])
def test_a_data_directory_that_cannot_be_had_is_explained(
    is_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second platform over the same data would serve the first one's readings as its own."""
    directory = tmp_path / "data"
    if is_file:
        directory.write_text("")
    else:
        held = up_command._lock(directory)
        assert held is not None
    call = ["up", "--broker-port", "0", "--http-port", "0", "--data-dir", str(directory)]
    assert cli.main(call) == 1
    said = capsys.readouterr().err
    assert ("File exists" if is_file else "another govsense up runs over") in said
    assert str(directory) in said
    assert "--data-dir DIR" in said


def test_one_that_is_stopped_while_it_starts_blames_nobody(tmp_path: Path) -> None:
    """It was not given its 60 s, so nothing is late."""
    ports = ["--broker-port", str(free_port()), "--http-port", str(free_port())]
    command = [sys.executable, "-m", "runtime", "up", "--data-dir", str(tmp_path), *ports]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        while "broker on" not in said:
            said = process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)
        rest = process.stdout.read()
    assert process.returncode == 0, rest
    assert "govsense: stopping" in rest
    assert "does not answer" not in rest


def test_its_own_key_ends_with_the_run(tmp_path: Path) -> None:
    """It may only read, is no first administrator's, and none that a killed run left holds on."""
    settings = load(environ={"GOVSENSE_PLATFORM__DATA_DIR": str(tmp_path)})
    ledger = open_ledger(settings)
    now_ms = time.time_ns() // 1_000_000
    left = create_key(
        ledger, name=up_key.NAME, role="viewer", days=1, now_ms=now_ms, by="an earlier run"
    )
    with up_key.api_with_own_key(settings, API.url, 60) as api:
        key = find_key(ledger, api.key)
        assert key is not None
        assert (key.role, key.state(now_ms)) == ("viewer", "valid")
        assert key.expires_ms < now_ms + 3_600_000
        before = find_key(ledger, left.text)
        assert before is not None
        assert before.revoked_ms is not None
    after = find_key(ledger, api.key)
    assert after is not None
    assert after.revoked_ms is not None
    assert not has_admin_key(ledger)
    ledger.close()

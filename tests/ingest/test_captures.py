"""Replaying a capture: what the path makes of it, in virtual time, with nothing else running."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devices.registry_files import write_registry
from ingest.captures import CaptureError, capture_line, read_capture
from tests.path.platform import one_office, reading

T0_MS = 1_790_000_000_000
P0 = "gov/v1/LA-LP/p0/telemetry"


class Desk:
    """A directory with a registry, in which captures are written and replayed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        write_registry(one_office(), directory)

    def write(self, lines: Sequence[bytes]) -> Path:
        """A capture of these lines."""
        file = self.directory / "C.jsonl"
        file.write_bytes(b"".join(lines))
        return file

    def replay(self, *more: str, name: str = "1") -> subprocess.CompletedProcess[str]:
        """Run the command over the capture; files are named A1.jsonl and so on."""
        d = self.directory
        files = ["--alerts", d / f"A{name}.jsonl", "--incidents", d / f"I{name}.jsonl"]
        files += ["--bins", d / f"B{name}.csv"]
        return self.run("C.jsonl", *map(str, files), *more)

    def run(self, capture: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the command over a capture with these arguments besides the registry."""
        d = self.directory
        registry = ["--sites", d / "sites.csv", "--devices", d / "devices.csv"]
        call = [sys.executable, "-m", "runtime", "replay", d / capture, *registry, *more]
        return subprocess.run(list(map(str, call)), capture_output=True, text=True, check=False)

    def outputs(self, name: str = "1") -> list[bytes]:
        """The contents of the three files."""
        names = (f"A{name}.jsonl", f"I{name}.jsonl", f"B{name}.csv")
        return [(self.directory / file).read_bytes() for file in names]

    def alerts(self, name: str = "1") -> list[dict[str, Any]]:
        """The lines of the alerts file."""
        return [json.loads(line) for line in self.outputs(name)[0].splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def line(at_ms: int, payload: bytes, topic: str = P0, *, retained: bool = False) -> bytes:
    return capture_line(at_ms, topic, payload, retained=retained)


def minutes(first: int, last: int, **values: float) -> list[bytes]:
    """Live rounds of p0, one a minute, each 200 ms under way."""
    return [
        line(at_ms + 200, reading(at_ms, n, **(values or {"nat_rtt_p50_ms": 20.0 + n % 7})))
        for n in range(first, last)
        for at_ms in [T0_MS + n * 60_000]
    ]


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_last_line_says_what_became_of_every_message(desk: Desk) -> None:
    """Stored and duplicate readings, and refusals by reason."""
    round_1 = reading(T0_MS, 1, nat_rtt_p50_ms=20.0, dns_ms=9.0)
    desk.write(
        [
            line(T0_MS, b'{"v":1,"state":"online"}', "gov/v1/LA-LP/p0/status", retained=True),
            line(T0_MS + 100, round_1),
            line(T0_MS + 200, round_1),
            line(T0_MS + 300, reading(T0_MS + 300, 2, nat_rtt_p50_ms=20.0, no_such_metric=1.0)),
            line(T0_MS + 400, b"\xff\xfe"),
            line(T0_MS + 500, round_1, "gov/v1/LA-LP/nobody/telemetry"),
            line(T0_MS + 600, b'{"boot":"b","seq":2}', "gov/v1/LA-LP/p0/receipt", retained=True),
        ]
    )
    said = summary(desk.replay())
    assert (said["messages"], said["stored"], said["duplicates"]) == (7, 3, 2)
    assert said["quarantined"] == {"bad-utf8": 1, "unknown-device": 1, "unknown-metric": 1}
    assert said["alerts_fired"] == said["incidents"] == 0
    assert said["messages_of_platform"] == 1


def test_the_same_capture_gives_the_same_files(desk: Desk) -> None:
    """Twice the same, byte for byte."""
    desk.write(minutes(0, 40) + minutes(60, 90))
    until = str(T0_MS + 200 * 60_000)
    first = summary(desk.replay("--until", until, name="1"))
    assert first == summary(desk.replay("--until", until, name="2"))
    assert desk.outputs("1") == desk.outputs("2")
    assert first["alerts_fired"] == 2


def test_time_passes_between_messages_and_after_the_last(desk: Desk) -> None:
    """A device that stops is silent in virtual time, and heard again with its next message."""
    desk.write(minutes(0, 10) + minutes(60, 70))
    summary(desk.replay("--until", str(T0_MS + 120 * 60_000)))
    silences = [a for a in desk.alerts() if a["rule"] == "silence"]
    assert [a["state"] for a in silences] == ["firing", "resolved", "firing"]
    last_ms = T0_MS + 9 * 60_000
    assert last_ms + 3 * 60_000 < silences[0]["at"] < last_ms + 5 * 60_000
    assert silences[1]["at"] == T0_MS + 60 * 60_000 + 200
    assert silences[2]["metric"] is None
    summary(desk.replay(name="2"))
    assert len([a for a in desk.alerts("2") if a["rule"] == "silence"]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"at":1,"topic":"t","payload":""}\n', "line 2: at is 1; allowed: milliseconds"),
        (b"nonsense\n", "line 2: 'nonsense'"),
        (b'{"at":1790000000000,"topic":"t"}\n', "line 2: no payload; allowed: one of"),
        (b'{"at":1790000000000,"topic":"t","payload_b64":"?"}\n', "line 2: payload_b64"),
        (b'{"at":1790000000000,"topic":"t","payload":"","payload_b64":""}', "line 2: payload and"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(desk: Desk, text: bytes, said: str) -> None:
    """Which line, what is there, what may be."""
    desk.write([*minutes(0, 1), text])
    done = desk.replay()
    assert done.returncode == 1
    assert said in done.stderr
    assert not (desk.directory / "A1.jsonl").exists()


@pytest.mark.parametrize(
    ("option", "file", "owner"),
    [
        ("--alerts", "C.jsonl", "CAPTURE"),
        ("--incidents", "link", "CAPTURE"),
        ("--bins", "sites.csv", "--sites"),
        ("--bins-without-backfill", "devices.csv", "--devices"),
        ("--alerts", "here/C.jsonl", "CAPTURE"),
        ("--bins", "here/new", "--incidents"),
    ],
)
def test_an_output_overwrites_no_other_file_of_the_call(
    desk: Desk, option: str, file: str, owner: str
) -> None:
    """By whatever name: both are said, and every file is as it was."""
    d = desk.directory
    (d / "link").symlink_to(desk.write(minutes(0, 2)))
    (d / "here").symlink_to(d, target_is_directory=True)
    before = {one.name: one.read_bytes() for one in d.iterdir() if one.is_file()}
    others = () if option == "--incidents" else ("--incidents", str(d / "new"))
    done = desk.run("C.jsonl", option, str(d / file), *others)
    assert done.returncode == 2
    assert f"{option} {d / file}: the same file as {owner} {d}" in done.stderr
    assert {one.name: one.read_bytes() for one in d.iterdir() if one.is_file()} == before


def test_an_output_in_no_folder_is_said_before_the_replay(desk: Desk) -> None:
    """Nobody waits for an hour to read that."""
    desk.write(minutes(0, 2))
    done = desk.run("C.jsonl", "--alerts", str(desk.directory / "none" / "A.jsonl"))
    assert done.returncode == 2
    assert f"no folder {desk.directory / 'none'}; make it first" in done.stderr


@pytest.mark.parametrize("name", ["nothing.jsonl", "."])
def test_a_capture_that_cannot_be_read_is_named(desk: Desk, name: str) -> None:
    """What was asked for, what is wrong with it, and what may be there."""
    done = desk.run(name)
    assert done.returncode == 1
    assert f"{desk.directory / name}: cannot be read: " in done.stderr
    assert "; allowed: a file that `govsense capture` wrote" in done.stderr


def test_a_time_that_is_not_in_milliseconds_is_refused(desk: Desk) -> None:
    """Seconds would be a time before every message."""
    desk.write(minutes(0, 2))
    done = desk.run("C.jsonl", "--until", str(T0_MS // 1000))
    assert done.returncode == 2
    assert f"'{T0_MS // 1000}' is not milliseconds since 1970 UTC" in done.stderr


@pytest.mark.parametrize(("minute", "warns"), [(-60, True), (5, True), (10, False)])
def test_time_that_ends_before_the_last_message_is_said(
    desk: Desk, minute: int, warns: bool
) -> None:
    """Every message counts all the same."""
    desk.write(minutes(0, 10))
    until_ms = T0_MS + minute * 60_000
    done = desk.run("C.jsonl", "--until", str(until_ms))
    assert summary(done)["messages"] == 10
    assert (f"--until {until_ms} is before the last message" in done.stderr) == warns


def test_outputs_that_nobody_wants_may_go_to_one_device(desk: Desk) -> None:
    """There is nothing that one could overwrite of another."""
    desk.write(minutes(0, 2))
    summary(desk.run("C.jsonl", "--alerts", "/dev/null", "--bins", "/dev/null"))


def test_time_does_not_run_backwards(desk: Desk) -> None:
    """A message recorded after the clock was set back counts as received with the one before."""
    at_ms = [T0_MS, T0_MS - 5000, T0_MS + 1]
    file = desk.write([line(at, reading(T0_MS, n, dns_ms=9.0)) for n, at in enumerate(at_ms)])
    assert [r.received_ms for r in read_capture(file)] == [T0_MS, T0_MS, T0_MS + 1]


def test_any_payload_is_read_back_as_it_was(desk: Desk) -> None:
    """Also one that is not UTF-8, and whether it was retained."""
    file = desk.write([line(T0_MS, b"\xff\x00", retained=True), line(T0_MS, "ລາວ".encode())])
    first, second = read_capture(file)
    assert (first.payload, first.retained) == (b"\xff\x00", True)
    assert (second.payload, second.retained) == ("ລາວ".encode(), False)
    with pytest.raises(CaptureError, match="line 1"):
        list(read_capture(desk.write([b"{}\n"])))

"""The scripts: checks pass, credentials are made with care, CI runs the tests and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.broker import ROOT, SCRIPT, program


def add(passwords: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run scripts/add-device-credentials on a password file."""
    command = [sys.executable, SCRIPT, "--passwords", passwords, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)
def test_lint_format_and_types_are_clean(tmp_path: Path) -> None:
    """scripts/check passes, from any directory."""
    done = subprocess.run(
        [ROOT / "scripts/check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_passwords_are_printed_once_and_kept_as_hashes(tmp_path: Path) -> None:
    """The output is CSV with a password each; the file has user names and salted hashes only."""
    file = tmp_path / "passwords"
    lines = add(file, "probe-1", "tank-2").stdout.splitlines()
    assert lines[0] == "device,password"
    passwords = dict(line.split(",") for line in lines[1:])
    assert passwords.keys() == {"probe-1", "tank-2"}
    assert len(set(passwords.values())) == 2
    assert all(len(password) == 32 for password in passwords.values())
    kept = file.read_text()
    assert [line.split("$")[0] for line in kept.splitlines()] == ["probe-1:", "tank-2:"]
    assert not any(password in kept for password in passwords.values())


def test_the_devices_of_a_registry_file_get_passwords(tmp_path: Path) -> None:
    """--devices takes the column `device`, in any place, with a byte order mark."""
    registry = tmp_path / "devices.csv"
    registry.write_text("\ufeffsite,device\noffice,probe-1\noffice,probe-2\n", encoding="utf-8")
    done = add(tmp_path / "passwords", "--devices", registry)
    assert [line.split(",")[0] for line in done.stdout.splitlines()[1:]] == ["probe-1", "probe-2"]


def test_a_known_name_keeps_its_password_unless_told(tmp_path: Path) -> None:
    """A second call is refused as a whole; --replace changes that one line and keeps the inode."""
    file = tmp_path / "passwords"
    add(file, "probe-1", "probe-2")
    before, inode = file.read_text().splitlines(), file.stat().st_ino
    refused = add(file, "probe-3", "probe-1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "probe-1" in refused.stderr
    assert file.read_text().splitlines() == before
    assert add(file, "--replace", "probe-1").returncode == 0
    after = file.read_text().splitlines()
    assert before[1] in after
    assert before[0] not in after
    assert (len(after), file.stat().st_ino) == (2, inode)


@pytest.mark.parametrize("name", ["ingest", "Probe", "a/b", "+", "#", "", "a:b", "x" * 64])
def test_a_name_that_is_no_device_is_refused(tmp_path: Path, name: str) -> None:
    """Wildcards, separators and the platform's own name never become a device's user."""
    done = add(tmp_path / "passwords", "probe-1", name)
    assert done.returncode == 1
    assert not (tmp_path / "passwords").exists()


@pytest.mark.parametrize("code", [0, 3])
def test_ci_hands_on_what_the_tests_say(tmp_path: Path, code: int) -> None:
    """.ci/run runs ./test strictly, without standard input, and ends with its exit code."""
    for needed in ("mosquitto", "mosquitto_sub", "openssl", "chromium"):
        program(needed)
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/run").write_bytes((ROOT / ".ci/run").read_bytes())
    test = tmp_path / "test"
    test.write_text(f'#!/bin/sh\nread -r line && exit 9\necho "CI=$CI here"\nexit {code}\n')
    test.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    done = subprocess.run(
        ["bash", ".ci/run"], cwd=tmp_path, env=environment, input="typed\n", capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[-1] == "CI=true here"


@pytest.mark.parametrize("script", ["run", "test", ".ci/run", "scripts/check", "scripts/setup"])
def test_a_script_can_be_run(script: str) -> None:
    """Scripts are executable, stop at the first error, and are sound Bash."""
    file = ROOT / script
    assert os.access(file, os.X_OK)
    assert "set -euo pipefail" in file.read_text()
    subprocess.run(["bash", "-n", file], check=True)

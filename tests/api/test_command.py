"""`govsense api` as a process."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

STARTS_WITHIN_S = 15.0


def command(directory: Path, *arguments: str) -> list[str]:
    """The call of `govsense api` over a data directory."""
    return [sys.executable, "-m", "runtime", "--data-dir", str(directory), "api", *arguments]


def key_in(directory: Path) -> dict[str, str]:
    """The header with a new key, made by the command."""
    call = [sys.executable, "-m", "runtime", "--data-dir", str(directory), "keys", "create"]
    made = subprocess.run([*call, "--name", "test"], capture_output=True, text=True, check=True)
    return {"Authorization": f"Bearer {made.stdout.strip()}"}


@contextmanager
def running(directory: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, int]]:
    """The process on a free port: its URL and process id. What it says goes to `directory`/log."""
    directory.mkdir(exist_ok=True)
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            command(directory, "--port", "0", *arguments),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **environment},
        )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        yield url, process.pid
        if process.poll() is None:
            process.terminate()
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def get(url: str) -> httpx.Response:
    """A GET that waits until the port is served."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            return httpx.get(url, timeout=5, trust_env=False)
        except httpx.ConnectError:
            if time.monotonic() > deadline:
                raise


def test_it_prints_and_writes_the_port_that_it_took(tmp_path: Path) -> None:
    """Port 0 takes a free one; an empty data directory is enough to answer."""
    with running(tmp_path / "new") as (url, _):
        port = (tmp_path / "new" / "api.port").read_text().strip()
        assert url == f"http://127.0.0.1:{port}"
        assert get(f"{url}/api/v1/health").json() == {"status": "ok"}
        assert get(f"{url}/api/v1/ready").status_code == 503
    assert not (tmp_path / "new" / "api.port").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_seconds_while_streams_are_open(
    tmp_path: Path, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT end it with 0 within five seconds, and open streams with their end."""
    with running(tmp_path) as (url, pid):
        get(f"{url}/api/v1/health")
        with httpx.stream(
            "GET", f"{url}/api/v1/events", headers=key_in(tmp_path), timeout=10, trust_env=False
        ) as stream:
            assert stream.status_code == 200
            began = time.monotonic()
            os.kill(pid, number)
            assert b"".join(stream.iter_bytes()) == b": listening\r\n\r\n"
            assert time.monotonic() - began < 5
    assert "ERROR" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_does_not_listen_beyond_this_machine(tmp_path: Path, host: str) -> None:
    """Keys do not travel in clear unless one says so, and how is said."""
    refused = subprocess.run(
        command(tmp_path, "--host", host, "--port", "0"),
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "http.allow_cleartext" in refused.stderr
    assert not (tmp_path / "api.port").exists()


def test_it_listens_anywhere_when_told_to(tmp_path: Path) -> None:
    """http.allow_cleartext is for a private way, or a proxy with TLS in front."""
    told = {"GOVSENSE_HTTP__ALLOW_CLEARTEXT": "true"}
    with running(tmp_path, "--host", "0.0.0.0", **told) as (url, _):
        local = url.replace("0.0.0.0", "127.0.0.1")
        assert get(f"{local}/api/v1/health").status_code == 200
        foreign = httpx.get(f"{local}/", headers={"host": "10.1.2.3"}, trust_env=False)
        assert foreign.status_code == 421


def test_a_port_in_use_is_a_clear_sentence(tmp_path: Path) -> None:
    """The address is named, and the exit code is 1."""
    with running(tmp_path / "one") as (url, _):
        get(f"{url}/api/v1/health")
        port = url.rpartition(":")[2]
        second = subprocess.run(
            command(tmp_path / "two", "--port", port),
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in second.stderr


@contextmanager
def at_a_terminal(directory: Path) -> Iterator[Callable[[str], str]]:
    """The process with a terminal of its own; what reads its screen until that is there."""
    ours, theirs = pty.openpty()
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command(directory, "--port", "0"), stdout=theirs, stderr=log)
    os.close(theirs)
    screen = ""

    def shows(text: str) -> str:
        nonlocal screen
        while text not in screen:
            assert select.select([ours], [], [], STARTS_WITHIN_S)[0], screen
            screen += os.read(ours, 4096).decode()
        return screen

    try:
        yield shows
        process.terminate()
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_the_first_key_is_shown_once_at_a_terminal(tmp_path: Path) -> None:
    """An administrator's, which works, and which no log holds; the second start shows none."""
    with at_a_terminal(tmp_path) as shows:
        screen = shows("Lost it?")
        (key,) = re.findall(r"gvs_[0-9a-f]{8}_[\w-]{43}", screen)
        url = screen.split()[0]
        get(f"{url}/api/v1/health")
        headers = {"Authorization": f"Bearer {key}"}
        me = httpx.get(f"{url}/api/v1/me", headers=headers, trust_env=False).json()
        assert (me["role"], me["provinces"], me["agencies"]) == ("admin", None, None)
    with at_a_terminal(tmp_path) as shows:
        url = shows("\n").strip()
        get(f"{url}/api/v1/health")
        assert "gvs_" not in shows("http")
    assert "gvs_" not in (tmp_path / "log").read_text()


def test_without_a_terminal_no_key_is_made(tmp_path: Path) -> None:
    """A pipe may lead to a log, which would keep it; the log says how to make one."""
    with running(tmp_path) as (url, _):
        get(f"{url}/api/v1/health")
        log = (tmp_path / "log").read_text()
        assert "govsense keys create --role admin" in log
        assert "gvs_" not in log
        assert httpx.get(f"{url}/api/v1/me", trust_env=False).status_code == 401


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("GOVSENSE_LIMITS__PAGE_ITEMS", "viewer=5", "must name each of"),
        ("GOVSENSE_LIMITS__PAGE_ITEMS", "viewer=0", "is not like viewer=600"),
        ("GOVSENSE_HTTP__ALLOWED_ORIGINS", "*", "is not like https://"),
        ("GOVSENSE_OIDC__ISSUER", "https://id.gov.la", "belong together"),
    ],
)
def test_a_setting_of_rights_that_is_wrong_is_named(
    variable: str, value: str, complaint: str, tmp_path: Path
) -> None:
    """It does not start with less protection than one meant."""
    refused = subprocess.run(
        command(tmp_path, "--port", "0"), capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, variable: value},
    )  # fmt: skip
    assert refused.returncode == 2
    assert complaint in refused.stderr

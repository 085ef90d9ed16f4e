"""`govsense api` as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

STARTS_WITHIN_S = 15.0


def command(directory: Path, *arguments: str) -> list[str]:
    """The call of `govsense api` over a data directory."""
    return [sys.executable, "-m", "runtime", "--data-dir", str(directory), "api", *arguments]


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
        with httpx.stream("GET", f"{url}/api/v1/events", timeout=10, trust_env=False) as stream:
            assert stream.status_code == 200
            began = time.monotonic()
            os.kill(pid, number)
            assert list(stream.iter_bytes()) == []
            assert time.monotonic() - began < 5
    assert "ERROR" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_does_not_listen_beyond_this_machine(tmp_path: Path, host: str) -> None:
    """Without a login an address that others reach is refused, and the way out is said."""
    refused = subprocess.run(
        command(tmp_path, "--host", host, "--port", "0"),
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "http.allow_unauthenticated" in refused.stderr
    assert not (tmp_path / "api.port").exists()


def test_it_listens_anywhere_when_told_to(tmp_path: Path) -> None:
    """http.allow_unauthenticated is for those who have a proxy in front."""
    told = {"GOVSENSE_HTTP__ALLOW_UNAUTHENTICATED": "true"}
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

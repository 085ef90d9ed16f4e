"""A real PostgreSQL for tests, on loopback, in a directory of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.project.broker import free_port, wait_for

OWNER = "postgres"  # the server refuses to run as root


@contextmanager
def server() -> Iterator[str]:
    """The URL of a running server, without a database; it is gone at the end."""
    binaries = _binaries()
    directory = Path(tempfile.mkdtemp(prefix="govsense-postgresql-"))
    owner = OWNER if os.getuid() == 0 else None
    if owner:
        os.chown(directory, pwd.getpwnam(owner).pw_uid, -1)
    port = free_port()
    data = directory / "data"
    initdb: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "govsense",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    subprocess.run(
        [*initdb, "--no-sync"], user=owner, check=True, capture_output=True, cwd=directory
    )
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory}"
    options += " -c fsync=off"  # no test here cuts the power
    process = subprocess.Popen(
        [binaries / "postgres", "-D", data, *options.split()],
        user=owner,
        cwd=directory,
        stderr=subprocess.DEVNULL,
    )
    url = f"postgresql://govsense@127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(url), "PostgreSQL answers", 30)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(directory)


@contextmanager
def database(server_url: str, name: str) -> Iterator[str]:
    """The SQLAlchemy URL of a new, empty database."""
    with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield f"{server_url}/{name}".replace("postgresql://", "postgresql+psycopg://")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    if os.environ.get("CI") == "true":
        pytest.fail("postgresql is not installed")
    pytest.skip("postgresql is not installed")


def _answers(url: str) -> bool:
    try:
        psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True

"""A real PostgreSQL for tests, on loopback, in a directory of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.project.broker import free_port, wait_for

OWNER = "postgres"  # the server refuses to run as root
SUPERUSER = "govsense"


class Postgresql:
    """A server with a directory of its own, on loopback, that a test may kill.

    password: of the superuser; without one nobody needs a password.
    """

    def __init__(self, *, superuser: str = SUPERUSER, password: str = "") -> None:
        self.binaries = _binaries()
        self.directory = Path(tempfile.mkdtemp(prefix="govsense-postgresql-"))
        self.port = free_port()
        self.url = f"postgresql://{superuser}@127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._password = password
        self._owner = OWNER if os.getuid() == 0 else None
        if self._owner:
            os.chown(self.directory, pwd.getpwnam(self._owner).pw_uid, -1)
        rights = ["-A", "trust"]
        if password:  # as the image does: https://hub.docker.com/_/postgres
            (self.directory / "password").write_text(password)
            rights = ["-A", "scram-sha-256", f"--pwfile={self.directory / 'password'}"]
        subprocess.run(
            [self.binaries / "initdb", "-D", self.directory / "data", "-U", superuser, *rights,
             "-E", "UTF8", "--no-sync"],
            user=self._owner, check=True, capture_output=True, cwd=self.directory,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1"
        options += f" -c unix_socket_directories={self.directory}"
        options += " -c fsync=off"  # no test here cuts the power
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.directory / "data", *options.split()],
                user=self._owner, cwd=self.directory, stderr=log,
            )  # fmt: skip
        wait_for(self._answers, "PostgreSQL answers", 30)

    def kill(self) -> None:
        """End it as `kill -9` does; its children end when they notice."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=10)
        self.process = None

    def stop(self) -> None:
        """Stop it in order, without waiting for clients."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
            self.process = None

    def remove(self) -> None:
        """Stop it and delete its directory."""
        self.stop()
        shutil.rmtree(self.directory)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of the superuser, which commits every statement."""
        return psycopg.connect(
            f"{self.url}/postgres", password=self._password, connect_timeout=2, autocommit=True
        )

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running(*, superuser: str = SUPERUSER, password: str = "") -> Iterator[Postgresql]:
    """A server of one's own, gone at the end."""
    postgresql = Postgresql(superuser=superuser, password=password)
    try:
        postgresql.start()
        yield postgresql
    finally:
        postgresql.remove()


@contextmanager
def server() -> Iterator[str]:
    """The URL of a running server, without a database; it is gone at the end."""
    with running() as postgresql:
        yield postgresql.url


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

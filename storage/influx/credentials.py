"""Credentials with the least rights: one that may only write, one that may only read."""

from __future__ import annotations

import os
import secrets
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from storage.influx import questions
from storage.influx.server import NO_ANSWER, Address, InfluxError, Server
from storage.influx.setup import UnsupportedError, bucket_ids, organisation_id, put
from storage.series.levels import LEVELS_MS, RAW

# Files, as Address.token_file names; each in a directory of its own, that can be given away alone.
WRITER, READER = "writer/influx_write_token", "reader/influx_read_token"


NO_LINE = b"no line"  # of line protocol: nobody stores it, who may not write is told that first


class Right(NamedTuple):
    """Who may do what, and the file that says with which secret."""

    file: str
    user: str
    action: str


RIGHTS = (
    Right(WRITER, "govsense_writer", "write"),
    Right(READER, "govsense_reader", "read"),
)


def grant(server: Server, directory: Path, *, renew: bool = False) -> list[Path]:
    """Make those credentials that are not there, do not work any more or, with `renew`, both.

    Returns the files of what was made, below `directory`. An old credential of the same name ends
    with that. Raises UnsupportedError where the server has no such rights, and InfluxError.
    """
    major, _ = server.version()
    if major > 2:
        raise UnsupportedError(
            "InfluxDB 3 Core has no rights but those of an administrator: put an admin token into"
            f" {WRITER} and {READER} yourself, or use InfluxDB 3 Enterprise"
        )
    make = _of_v1 if major == 1 else _of_v2
    return [
        _keep(directory / right.file, make(server, right))
        for right in RIGHTS
        if renew or not _works(server.address, right, directory / right.file)
    ]


def _works(address: Address, right: Right, file: Path) -> bool:
    """Whether a credential may do what it is for, at every level. Raises InfluxError."""
    if not file.exists():
        return False
    with closing(Server(replace(address, token_file=file))) as own:
        return all(_may(own, right, level_ms) for level_ms in (RAW, *LEVELS_MS))


def _may(own: Server, right: Right, level_ms: int) -> bool:
    if right.action == "write":
        answer = own.write(level_ms, [NO_LINE])
        if answer.status == NO_ANSWER:
            raise InfluxError(answer.text)
        return answer.status in (400, 422)  # let in, and not understood
    try:
        own.query(level_ms, questions.samples()[-1][1], **questions.sample_values())
    except InfluxError as exc:
        if exc.status == NO_ANSWER:
            raise
        return False
    return True


def _of_v1(server: Server, right: Right) -> str:
    user, password = questions.quoted(right.user), secrets.token_urlsafe(24)
    known = server.ask("SHOW USERS").get("series", [{}])[0].get("values", [])
    if right.user in [name for name, _ in known]:
        server.ask(f"SET PASSWORD FOR {user} = '{password}'")
    else:
        server.ask(f"CREATE USER {user} WITH PASSWORD '{password}'")
    for level_ms in (RAW, *LEVELS_MS):
        database = questions.quoted(server.address.database_of(level_ms))
        server.ask(f"GRANT {right.action.upper()} ON {database} TO {user}")
    return f"{right.user}:{password}"


def _of_v2(server: Server, right: Right) -> str:
    """https://docs.influxdata.com/influxdb/v2/admin/tokens/create-token/"""
    organisation = organisation_id(server)
    resources = [
        {"type": "buckets", "id": bucket, "orgID": organisation}
        for bucket in bucket_ids(server, organisation).values()
    ]
    listed = put(server, "GET", f"/api/v2/authorizations?orgID={organisation}")
    for old in listed["authorizations"]:
        if old["description"] == right.user:
            put(server, "DELETE", f"/api/v2/authorizations/{old['id']}")
    body = {
        "orgID": organisation,
        "description": right.user,
        "permissions": [{"action": right.action, "resource": one} for one in resources],
    }
    token = put(server, "POST", "/api/v2/authorizations", body).get("token")
    if not isinstance(token, str):
        raise InfluxError("InfluxDB made a token and did not say which")
    return token


def _keep(file: Path, secret: str) -> Path:
    """Replace a file by one that only its owner reads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(secret + "\n")
    return new.rename(file)

"""Opening the ledger: it is made where it does not exist and migrated where it is older."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import ArgumentError, OperationalError

from storage.ledger.schema import meta, metadata

SCHEMA_VERSION = 1
# MIGRATIONS[n] brings a ledger from version n to n + 1, inside the opening transaction.
MIGRATIONS: dict[int, Callable[[Connection], None]] = {}
BUSY_S = 10  # a writer waits this long for another one's transaction


class LedgerError(Exception):
    """The ledger cannot be used; the text says what to do."""


class Ledger:
    """An open ledger. Safe to share between threads; close it when done."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that writes: all or nothing. SQLite's takes the write lock at once."""
        with self.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view for reading."""
        with self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Release all connections."""
        self.engine.dispose()


def open_ledger(url: str) -> Ledger:
    """The ledger at an SQLAlchemy URL, at SCHEMA_VERSION.

    Raises LedgerError where the database does not answer, or was written by a newer govsense.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise LedgerError(f"storage.ledger_url {url!r} is not a database URL") from exc
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
        connect_args={"timeout": BUSY_S} if parsed.get_backend_name() == "sqlite" else {},
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    ledger = Ledger(engine)
    try:
        with ledger.begin() as connection:
            _migrate(connection, engine.url.render_as_string(hide_password=True))
    except OperationalError as exc:
        where = engine.url.render_as_string(hide_password=True)
        raise LedgerError(f"the ledger {where} does not answer: {exc.orig}") from exc
    return ledger


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")


def _migrate(connection: Connection, where: str) -> None:
    if not inspect(connection).has_table("meta"):
        metadata.create_all(connection)
        connection.execute(
            insert(meta),
            [
                {"key": "schema_version", "value": str(SCHEMA_VERSION)},
                {"key": "registry_version", "value": "0"},
            ],
        )
        return
    is_version = meta.c.key == "schema_version"
    version = int(connection.execute(select(meta.c.value).where(is_version)).scalar_one())
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"the ledger {where} has version {version}, this govsense knows up to"
            f" {SCHEMA_VERSION}: install the govsense that wrote it, or a newer one"
        )
    for step in range(version, SCHEMA_VERSION):
        MIGRATIONS[step](connection)
    connection.execute(sql_update(meta).where(is_version).values(value=str(SCHEMA_VERSION)))

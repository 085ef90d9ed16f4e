"""Opening the ledger: it is made where it does not exist and migrated where it is older."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from storage import wal
from storage.faults import is_away
from storage.ledger.bin_days import fill_days
from storage.ledger.schema import (
    actions,
    alerts,
    api_keys,
    audit,
    bin_days,
    bins,
    enrolments,
    handling,
    incident_changes,
    incident_sites,
    incidents,
    meta,
    metadata,
    quarantine,
    reports,
    sequences,
    speed_days,
    windows,
)
from storage.ledger.sight import Sight, restricted

Step = Callable[[Connection], None]


def add_detection(connection: Connection) -> None:
    """Incidents and bins, and what alerts say of them."""
    for table in (incidents, incident_changes, bins):
        table.create(connection)
    connection.execute(text("ALTER TABLE alerts ADD COLUMN incident VARCHAR"))
    connection.execute(
        text("ALTER TABLE alerts ADD COLUMN backfilled BOOLEAN DEFAULT false NOT NULL")
    )


def add_enrolments(connection: Connection) -> None:
    """What is decided of devices that are not registered, and a quick way to who they are."""
    enrolments.create(connection)
    (by_sender,) = (one for one in quarantine.indexes if one.name == "quarantine_by_sender")
    by_sender.create(connection)


def add_operators_work(connection: Connection) -> None:
    """What people do with alerts and incidents, windows, and the indexes of a long history."""
    for table in (handling, actions, windows, incident_sites):
        table.create(connection)
    if "excluded_by" not in {one["name"] for one in inspect(connection).get_columns(bins.name)}:
        connection.execute(text("ALTER TABLE bins ADD COLUMN excluded_by VARCHAR"))
    there = {one["name"] for one in inspect(connection).get_indexes(alerts.name)}
    for index in alerts.indexes:
        if index.name not in there:
            index.create(connection)
    known = connection.execute(select(incidents.c.incident, incidents.c.sites)).all()
    rows = [{"incident": name, "site": site} for name, sites in known for site in set(sites)]
    if rows:
        connection.execute(insert(incident_sites), rows)


def add_reports(connection: Connection) -> None:
    """Bins by day, speed tests and issued reports. The days are made of the bins that there are."""
    for table in (bin_days, speed_days, reports):
        table.create(connection)
    fill_days(connection)


def add_rights(connection: Connection) -> None:
    """Keys of the API, and the audit with what keeps it append-only."""
    api_keys.create(connection)
    audit.create(connection)


def add_bins_left_out(connection: Connection) -> None:
    """A quick way to the bins that windows leave out, among many."""
    there = {one["name"] for one in inspect(connection).get_indexes(bins.name)}
    for index in bins.indexes:
        if index.name not in there:
            index.create(connection)


# STEPS[n] brings a ledger from version n + 1 to n + 2, within the opening transaction.
STEPS: tuple[Step, ...] = (
    sequences.create,
    add_detection,
    add_enrolments,
    add_operators_work,
    add_reports,
    add_rights,
    add_bins_left_out,
)
# A request of the API holds a connection while it reads; a server answers 40 at a time.
POOLED, OVERFLOW = 8, 40
MOST_SIGHTS = 1000  # that are remembered
# How long PostgreSQL may take to let us in, and a lost network to be noticed.
CONNECT_S, SILENT_MS = 5, 20_000
# The number that PostgreSQL knows the right to make or migrate tables by; any other would do.
TURN = text("SELECT pg_advisory_xact_lock(7319840111)")


# Not the text itself: it may hold a password.
NO_URL = "storage.ledger_url is not a database URL, such as postgresql+psycopg://user@host/database"


class LedgerError(Exception):
    """The ledger cannot be used; the text says what to do."""


class LedgerAwayError(LedgerError):
    """PostgreSQL does not let us in now; trying again may help."""


class Ledger:
    """An open ledger. Safe to share between threads; close it when done."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._limited: dict[Sight, Ledger] = {}

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that writes: all or nothing.

        SQLite's takes the write lock at once, so that what it reads cannot change before it
        writes.
        """
        with self.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A view for reading: all statements see the same commits."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def seen_by(self, sight: Sight) -> Ledger:
        """The same ledger, as one sees it who may not see all of it; shares its connections."""
        if sight.is_whole:
            return self
        limited = self._limited.get(sight)
        if limited is None:
            if len(self._limited) >= MOST_SIGHTS:
                self._limited.clear()
            limited = self._limited[sight] = Ledger(restricted(self.engine, sight))
        return limited

    def close(self) -> None:
        """Release all connections."""
        self.engine.dispose()


def open_ledger(
    url: str, *, password_file: Path | None = None, steps: Sequence[Step] = STEPS
) -> Ledger:
    """The ledger at an SQLAlchemy URL, at the version that `steps` lead to (1 without any).

    password_file: its first line is the password for PostgreSQL, read again for each connection.
    Any number of processes may open a new one at once. Raises LedgerError where the database
    cannot be opened, holds something else, or was written by a newer govsense.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise LedgerError(NO_URL) from exc
    where = parsed.render_as_string(hide_password=True)
    if password_file is not None and parsed.get_backend_name() == "sqlite":
        raise LedgerError(
            f"the ledger {where} is a file and takes no password: name a PostgreSQL in"
            " storage.ledger_url, or leave storage.ledger_password_file empty"
        )
    try:
        ledger = Ledger(engine_of(parsed, password_file))
    except (ArgumentError, ImportError) as exc:
        raise LedgerError(f"the ledger {where}: there is no driver for it ({exc})") from exc
    except OSError as exc:
        raise LedgerError(f"the ledger {where}: {exc}") from exc
    try:
        with ledger.begin() as connection:
            _migrate(connection, where, steps)
    except DatabaseError as exc:
        ledger.close()
        kind = LedgerAwayError if is_away(exc) else LedgerError
        raise kind(f"the ledger {where} cannot be opened: {exc.orig}") from exc
    except LedgerError:
        ledger.close()
        raise
    return ledger


def file_of(url: str) -> Path | None:
    """The file of a ledger in SQLite; None for one in a server. Raises LedgerError."""
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise LedgerError(NO_URL) from exc
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database
    return Path(parsed.database) if is_file and parsed.database else None


def shown_url(url: str) -> str:
    """A ledger's URL as people may see it: without a password; of SQLite, the file."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return str(parsed.database)
    return parsed.render_as_string(hide_password=True)


def engine_of(url: URL, password_file: Path | None = None) -> Engine:
    """Connections to a database, which may not be there yet. Raises ArgumentError, ImportError.

    password_file: of PostgreSQL, read again for each connection.
    """
    options: dict[str, Any] = {
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
        "pool_size": POOLED,
        "max_overflow": OVERFLOW,
    }
    if url.get_backend_name() != "sqlite":
        patience = {"connect_timeout": CONNECT_S, "tcp_user_timeout": SILENT_MS}
        engine = create_engine(url, pool_pre_ping=True, connect_args=patience, **options)
        if password_file is not None:
            event.listen(engine, "do_connect", _with_password(password_file))
        return engine
    if not url.database or url.database == ":memory:":
        raise ArgumentError("a ledger in memory cannot be shared; name a file")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": wal.BUSY_S}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _with_password(file: Path) -> Callable[..., None]:
    """What puts the password of a file among the parameters of a new connection."""

    def put(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        try:
            parameters["password"] = file.read_text("utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as exc:
            said = psycopg.OperationalError(f"its password cannot be read from {file}: {exc}")
            raise OperationalError("connect", None, said) from exc

    return put


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    wal.prepare(connection)


def _migrate(connection: Connection, where: str, steps: Sequence[Step]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(TURN)
    tables = inspect(connection).get_table_names()
    if not tables:
        metadata.create_all(connection)
        versions = {"schema_version": str(1 + len(steps)), "registry_version": "0"}
        connection.execute(insert(meta), [{"key": k, "value": v} for k, v in versions.items()])
        return
    if meta.name not in tables:
        raise LedgerError(f"{where} holds something else than a ledger; name another database")
    is_version = meta.c.key == "schema_version"
    version = int(connection.execute(select(meta.c.value).where(is_version)).scalar_one())
    if version > 1 + len(steps):
        raise LedgerError(
            f"the ledger {where} has version {version}, this govsense knows up to"
            f" {1 + len(steps)}: install the govsense that wrote it, or a newer one"
        )
    for step in steps[version - 1 :]:
        step(connection)
    if version <= len(steps):
        connection.execute(update(meta).where(is_version).values(value=str(1 + len(steps))))

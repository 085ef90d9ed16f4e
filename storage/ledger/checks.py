"""Whether the ledger answers, fits this govsense, and lets us do what we need and no more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError

from storage.checks import Check
from storage.ledger.migrations import STEPS, Ledger, engine_of, file_of
from storage.ledger.schema import meta

AHEAD_S = 2.0
MARK = "doctor"


class _TakenBackError(Exception):
    """Ends a transaction without a commit."""


def check_ledger(url: str, password_file: Path | None) -> Iterator[Check]:
    """Every check of the ledger at an SQLAlchemy URL. Makes nothing and migrates nothing."""
    try:
        where = make_url(url).render_as_string(hide_password=True)
        file = file_of(url)
        if file is not None and not file.exists():
            yield Check("warning", "ledger", f"{file} is not there: the first start makes it")
            return
        engine = engine_of(make_url(url), password_file)
    except (ArgumentError, ImportError) as exc:
        yield Check("wrong", "ledger", f"storage.ledger_url: {exc}")
        return
    try:
        with engine.connect() as connection:
            has_tables = inspect(connection).has_table(meta.name)
            yield _version(connection, where)
        if has_tables:
            yield _rights(Ledger(engine))
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                yield _least_rights(connection)
                yield clock_against("PostgreSQL", _time_of(connection))
    except SQLAlchemyError as exc:
        yield Check("wrong", "ledger", f"{where}: {_first_line(exc)}; start its server, or correct"
                    " storage.ledger_url and the rights of its user")  # fmt: skip
    finally:
        engine.dispose()


def clock_against(server: str, their_s: float) -> Check:
    """How far a server's clock is from ours. their_s: seconds since 1970."""
    what, off_s = f"clock: {server}", their_s - time.time()
    if abs(off_s) <= AHEAD_S:
        return Check("ok", what, f"within {AHEAD_S:.0f} s of ours")
    return Check("wrong", what, f"{server}'s clock is {off_s:+.0f} s from ours: synchronise both"
                 " (chrony, systemd-timesyncd)")  # fmt: skip


def _version(connection: Connection, where: str) -> Check:
    known = 1 + len(STEPS)
    if not inspect(connection).get_table_names():
        return Check("warning", "ledger", f"{where} is empty: the first start fills it")
    if not inspect(connection).has_table(meta.name):
        return Check("wrong", "ledger", f"{where} holds something else: name another database")
    query = select(meta.c.value).where(meta.c.key == "schema_version")
    found = int(connection.execute(query).scalar_one())
    if found > known:
        return Check("wrong", "ledger", f"{where} has version {found}, this govsense knows up to"
                     f" {known}: install the govsense that wrote it, or a newer one")  # fmt: skip
    if found < known:
        return Check("warning", "ledger", f"{where} has version {found}: the next start brings it"
                     f" to {known}; back up before")  # fmt: skip
    return Check("ok", "ledger", f"{where} answers and has version {found}")


def _rights(ledger: Ledger) -> Check:
    """Write, and take it back."""
    what = "ledger: rights"
    try:
        with suppress(_TakenBackError), ledger.begin() as connection:
            connection.execute(insert(meta), [{"key": MARK, "value": "never committed"}])
            raise _TakenBackError
        with ledger.read() as connection:
            left = connection.execute(select(meta.c.key).where(meta.c.key == MARK)).all()
    except DatabaseError as exc:
        return Check("wrong", what, f"we cannot write: {_first_line(exc)}; make our user the owner"
                     " of the database, or of the file")  # fmt: skip
    if left:
        return Check("wrong", what, "what is taken back stays: the database has no transactions")
    return Check("ok", what, "we can write, and take back what we wrote")


def _least_rights(connection: Connection) -> Check:
    query = text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if connection.execute(query).scalar():
        return Check("warning", "ledger: least rights", "our user is a superuser of PostgreSQL:"
                     " make one that owns only this database")  # fmt: skip
    return Check("ok", "ledger: least rights", "our user is no superuser")


def _time_of(connection: Connection) -> float:
    return float(
        connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    )


def _first_line(exc: SQLAlchemyError) -> str:
    return str(getattr(exc, "orig", None) or exc).strip().splitlines()[0]

"""The ledger as a database: made once, migrated whole or not at all, safe between processes."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import IntegrityError

from storage.ledger.migrations import STEPS, Ledger, LedgerError, open_ledger
from storage.ledger.schema import meta, totals

on_sqlite = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)

FIRST = Path(__file__).with_name("ledger_v1.sql")


def url(directory: Path) -> str:
    """The URL of a ledger in a directory that need not exist."""
    return f"sqlite:///{directory / 'new' / 'ledger.db'}"


def versions(ledger: Ledger) -> dict[str, str]:
    """What the ledger says of itself."""
    with ledger.read() as connection:
        return dict(connection.execute(select(meta.c.key, meta.c.value)).all())


def add_column(connection: Connection) -> None:
    """A step of a migration."""
    connection.execute(text("ALTER TABLE totals ADD COLUMN unit TEXT DEFAULT 'one'"))


def fail(connection: Connection) -> None:
    """A step that does half of its work."""
    connection.execute(text("CREATE TABLE half (a INTEGER)"))
    raise ZeroDivisionError


def test_a_new_ledger_is_made_with_its_directory(ledger: Ledger) -> None:
    """A ledger that does not exist is made, directory included, at the newest version."""
    assert versions(ledger) == {"schema_version": str(1 + len(STEPS)), "registry_version": "0"}


def test_many_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    """Processes that start together all get the one ledger, none an error."""
    for attempt in range(10):
        path = url(tmp_path / str(attempt))
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(open_ledger, [path] * 8))
        assert {versions(one)["registry_version"] for one in opened} == {"0"}
        for one in opened:
            one.close()


@on_sqlite
def test_commits_are_durable_and_readers_do_not_wait(ledger: Ledger) -> None:
    """SQLite runs in WAL mode with full synchronisation."""
    with ledger.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2


def test_an_older_ledger_is_migrated(tmp_path: Path) -> None:
    """Opening runs the steps that are missing, once, and keeps what is there."""
    old = open_ledger(url(tmp_path), steps=[])
    with old.begin() as connection:
        connection.execute(totals.insert(), {"name": "messages_stored", "value": 3})
    old.close()
    for _ in range(2):
        new = open_ledger(url(tmp_path), steps=[add_column])
        assert versions(new)["schema_version"] == "2"
        with new.read() as connection:
            assert connection.execute(text("SELECT * FROM totals")).all() == [
                ("messages_stored", 3, "one")
            ]
        new.close()


def test_a_migration_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """Either every step is taken or none."""
    open_ledger(url(tmp_path), steps=[]).close()
    with pytest.raises(ZeroDivisionError):
        open_ledger(url(tmp_path), steps=[add_column, fail])
    old = open_ledger(url(tmp_path), steps=[])
    with old.read() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master")).scalars().all()
        columns = connection.execute(text("PRAGMA table_info(totals)")).all()
    assert "half" not in names
    assert len(columns) == 2
    assert versions(old)["schema_version"] == "1"
    old.close()


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    """A ledger of a newer govsense is not touched, and the error says what to do."""
    open_ledger(url(tmp_path), steps=[add_column]).close()
    with pytest.raises(LedgerError, match=r"has version 2, this govsense knows up to 1: install"):
        open_ledger(url(tmp_path), steps=[])


@on_sqlite
def test_the_first_ledger_becomes_like_a_new_one(tmp_path: Path, ledger: Ledger) -> None:
    """A ledger of version 1 has, once migrated, every table and index of a new one."""
    path = tmp_path / "first.db"
    with sqlite3.connect(path) as first:
        first.executescript(FIRST.read_text(encoding="utf-8"))
    first.close()
    migrated = open_ledger(f"sqlite:///{path}")
    assert described(migrated) == described(ledger)
    assert versions(migrated) == versions(ledger)
    migrated.close()


def described(ledger: Ledger) -> dict[str, object]:
    """Columns and indexes of every table, in any order."""
    found = inspect(ledger.engine)
    return {
        table: (
            sorted((c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)),
            sorted((str(i["name"]), i["column_names"]) for i in found.get_indexes(table)),
            found.get_pk_constraint(table)["constrained_columns"],
        )
        for table in found.get_table_names()
    }


def test_another_database_is_refused(tmp_path: Path) -> None:
    """A database that holds something else stays as it is."""
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE accounts (a)")
    other.close()
    with pytest.raises(LedgerError, match="holds something else"):
        open_ledger(f"sqlite:///{tmp_path / 'other.db'}")


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("not a url", "is not a database URL"),
        ("nosuch://localhost/ledger", "there is no driver for it"),
        ("sqlite://", "name a file"),
        ("sqlite:////proc/nowhere/ledger.db", "No such file|Read-only|Permission|cannot"),
        ("sqlite:////dev/null", "cannot be opened|holds something else"),
    ],
)
def test_what_cannot_be_opened_is_named(bad: str, complaint: str) -> None:
    """An unusable URL raises LedgerError in words, never a driver's own error."""
    with pytest.raises(LedgerError, match=complaint):
        open_ledger(bad)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A text file under the ledger's name is not overwritten."""
    (tmp_path / "ledger.db").write_text("notes of last year, more than a header long " * 50)
    with pytest.raises(LedgerError, match="not a database"):
        open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_reads_see_one_moment(tmp_path: Path, ledger: Ledger) -> None:
    """Within one read nothing changes, whatever is committed meanwhile."""
    with ledger.read() as connection:
        assert connection.execute(select(totals)).all() == []
        with ledger.begin() as writer:
            writer.execute(totals.insert(), {"name": "messages_stored", "value": 1})
        assert connection.execute(select(totals)).all() == []
    with ledger.read() as connection:
        assert len(connection.execute(select(totals)).all()) == 1


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    """An exception inside begin() takes everything back."""
    row = {"name": "messages_stored", "value": 1}
    with pytest.raises(IntegrityError), ledger.begin() as connection:
        connection.execute(totals.insert(), [row, row])
    with ledger.read() as connection:
        assert connection.execute(select(totals)).all() == []

"""The audit: append-only, one chain whoever writes, and any change of it is found."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import DatabaseError

from runtime.cli import main
from storage.ledger.audit import BEGINNING, Entry, digest_of, list_audit, record, verify
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.schema import audit
from tests.project.broker import ROOT


def fill(ledger: Ledger, count: int = 5) -> None:
    """Some rows."""
    for n in range(count):
        record(ledger, Entry(n, "write", "key-1", "S. Vong", "10.0.0.1", "POST", f"/x/{n}", 200))


def unguarded(ledger: Ledger) -> None:
    """What an administrator of the database can do."""
    with ledger.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("DROP TRIGGER audit_no_change ON audit"))
            return
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("DROP TRIGGER audit_no_delete"))


def test_rows_are_numbered_and_chained(ledger: Ledger) -> None:
    """From 1 on without a gap; each holds the hash of the one before."""
    assert verify(ledger) == (0, BEGINNING, None, "")
    fill(ledger)
    rows = list_audit(ledger, limit=10)[::-1]
    assert [row.id for row in rows] == [1, 2, 3, 4, 5]
    assert [row.previous for row in rows] == [BEGINNING, *(row.hash for row in rows[:-1])]
    assert verify(ledger) == (5, rows[-1].hash, None, "")
    assert [row.id for row in list_audit(ledger, before=4, limit=2)] == [3, 2]


@pytest.mark.parametrize("change", [delete(audit), update(audit).values(what="nothing")])
def test_the_database_refuses_to_change_it(ledger: Ledger, change: Any) -> None:
    """Neither UPDATE nor DELETE, from whatever program."""
    fill(ledger)
    with pytest.raises(DatabaseError, match="append-only"), ledger.begin() as connection:
        connection.execute(change)
    if ledger.engine.dialect.name == "postgresql":
        with pytest.raises(DatabaseError, match="append-only"), ledger.begin() as connection:
            connection.execute(text("TRUNCATE audit"))
    assert verify(ledger).rows == 5


@pytest.mark.parametrize("column", [c.name for c in audit.c if c.name not in ("id", "hash")])
def test_a_change_of_any_column_is_found(ledger: Ledger, column: str) -> None:
    """The first broken row is named, with why."""
    fill(ledger)
    unguarded(ledger)
    other = 7 if column in ("at_ms", "status") else "x"
    with ledger.begin() as connection:
        connection.execute(update(audit).where(audit.c.id == 3).values({column: other}))
    found = verify(ledger)
    assert (found.rows, found.broken) == (2, 3)


def test_a_row_that_is_taken_out_or_made_anew_is_found(ledger: Ledger) -> None:
    """Also where the row itself has the right hash for its content."""
    fill(ledger)
    unguarded(ledger)
    old = list_audit(ledger, before=4, limit=1)[0]._asdict()
    with ledger.begin() as connection:
        connection.execute(delete(audit).where(audit.c.id == 3))
    assert verify(ledger).broken == 3
    forged = {**old, "who": "key-2"}
    with ledger.begin() as connection:
        connection.execute(insert(audit).values({**forged, "hash": digest_of(forged)}))
    assert verify(ledger).broken == 4


def test_rows_that_are_cut_off_are_found_with_a_kept_hash(ledger: Ledger) -> None:
    """A chain is whole without its end; who kept a row's hash sees that it is gone or another."""
    fill(ledger)
    head = verify(ledger).head
    unguarded(ledger)
    with ledger.begin() as connection:
        connection.execute(delete(audit).where(audit.c.id > 3))
    assert verify(ledger).broken is None
    assert verify(ledger, kept=(5, head)).broken == 4
    fill(ledger)
    assert verify(ledger).rows == 8
    assert verify(ledger, kept=(5, head)).broken == 5


def test_many_writers_make_one_chain(ledger: Ledger, ledger_url: str) -> None:
    """Several processes' connections append at once, and the chain neither forks nor has gaps."""
    others = [open_ledger(ledger_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: fill(one, 25), others))
    for one in others:
        one.close()
    assert verify(ledger).rows == 100
    assert verify(ledger).broken is None


texts = st.text(max_size=8)
rows = st.fixed_dictionaries(
    {"id": st.integers(), "who": texts, "name": texts, "path": texts, "previous": texts}
)


@settings(max_examples=200)
@given(rows, rows)
def test_different_rows_have_different_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    """No two contents have one canonical form, wherever a text ends and the next one begins."""
    one, other = {**one, "previous": "0" * 64}, {**other, "previous": "0" * 64}
    assert (digest_of(one) == digest_of(other)) == (one == other)


def test_the_command_says_whether_it_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 and the first broken row; else 0 and what to keep."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    fill(ledger)
    call = ["--data-dir", str(tmp_path), "audit"]
    assert main([*call, "verify"]) == 0
    said = capsys.readouterr().out
    head = said.split()[-1]
    assert head == f"5:{verify(ledger).head}"
    assert main([*call, "list", "--limit", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    unguarded(ledger)
    with ledger.begin() as connection:
        connection.execute(update(audit).where(audit.c.id == 2).values(name="nobody"))
    ledger.close()
    assert main([*call, "verify"]) == 1
    assert "row 2 is broken: its content was changed; 1 rows before" in capsys.readouterr().err
    assert main([*call, "verify", "--kept", head]) == 1


def test_no_two_locks_of_postgresql_have_one_number() -> None:
    """Who appends to the audit waits for others who do, and not for an ingest that runs."""
    found = [
        number
        for file in (ROOT / "storage").rglob("*.py")
        for number in re.findall(r"advisory\w*_lock\((\d+)\)", file.read_text(encoding="utf-8"))
    ]
    assert len(found) >= 4
    assert len(found) == len(set(found))

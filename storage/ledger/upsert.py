"""Insert or update in one statement, in the dialect of the connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, case
from sqlalchemy.dialects import postgresql, sqlite


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    add: Sequence[str] = (),
    keep: Sequence[str] = (),
    largest: Sequence[str] = (),
) -> None:
    """Insert rows, all with the same columns; where the primary key exists, update those instead.

    Rows are locked in the order of their keys, so that two writers never wait for each other.
    add: columns to which the new value is added. keep: columns whose first value stays. largest:
    columns whose larger value stays.
    """
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    changes: dict[str, ColumnElement[Any]] = {}
    for name in rows[0]:
        old, new = table.c[name], statement.excluded[name]
        if name in add:
            changes[name] = old + new
        elif name in largest:
            changes[name] = case((new > old, new), else_=old)
        elif name not in keys and name not in keep:
            changes[name] = new
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changes)
        if changes
        else statement.on_conflict_do_nothing(index_elements=keys),
        sorted(rows, key=lambda row: tuple(row[key] for key in keys)),
    )

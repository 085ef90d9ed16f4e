"""Silences and maintenance in the ledger: proposed, approved, ended early, each act kept."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.ledger.actions import (
    Deed,
    KeyReusedError,
    StaleError,
    Subject,
    add_action,
    digest_of,
    was_done,
)
from storage.ledger.handling import NotPossibleError
from storage.ledger.migrations import Ledger
from storage.ledger.schema import actions, windows
from storage.ledger.transactions import in_transaction

REVISED_MS = 4 * 86_400_000  # so long ago, at most, a window may begin that changes the past


class WindowRow(NamedTuple):
    """A window as it is now, of [start_ms, end_ms). state: proposed, approved or withdrawn.

    is_late: it began before it was announced, and so changed the account of the past.
    """

    window: str
    kind: str
    scope_type: str
    scope_id: str
    province: str | None
    agency: str | None
    start_ms: int
    end_ms: int
    state: str
    is_late: bool
    reason: str
    author_id: str
    author: str
    created_at_ms: int
    approved_by: str | None
    approved_at_ms: int | None
    ended_by: str | None
    ended_at_ms: int | None
    revision: int


class Plan(NamedTuple):
    """What is asked for. start_ms None: now."""

    kind: str
    scope_type: str
    scope_id: str
    start_ms: int | None
    end_ms: int
    reason: str


class Terms(NamedTuple):
    """On what terms a plan is taken. province, agency: in which its scope lies as a whole."""

    province: str | None
    agency: str | None
    start_ms: int
    is_late: bool
    needs_second: bool


# What an act changes of a window; None: it is so already.
_Change = Callable[[WindowRow], dict[str, Any] | None]


class WindowFilter(NamedTuple):
    """Which windows; None does not restrict.

    status: proposed, planned, active, over, expired or withdrawn, as of `now_ms`. from_ms, to_ms:
    of which they have a part.
    """

    now_ms: int
    kind: str | None = None
    status: str | None = None
    scope_type: str | None = None
    scope_id: str | None = None
    province: str | None = None
    agency: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


class SamePersonError(Exception):
    """Who proposed a window cannot approve it."""


def status_of(row: WindowRow, now_ms: int) -> str:
    """What a window is at a time, in a word."""
    if row.state == "withdrawn":
        return "withdrawn"
    if row.state == "proposed":
        until_ms = row.created_at_ms + REVISED_MS if row.is_late else row.end_ms
        return "expired" if until_ms <= now_ms else "proposed"
    if row.end_ms <= now_ms:
        return "over"
    return "planned" if row.start_ms > now_ms else "active"


def proposed(ledger: Ledger, plan: Plan, deed: Deed) -> WindowRow | None:
    """The window that this plan was taken for before, None where it is new.

    That is the one of the same key, or without one of the same content, of the same author, while
    it has not ended. Raises KeyReusedError.
    """
    return in_transaction(ledger, lambda connection: _find(connection, plan, deed)[1])


def propose(ledger: Ledger, plan: Plan, terms: Terms, deed: Deed) -> WindowRow:
    """A new window, in force unless it needs a second person; or the one of `proposed`."""

    def put(connection: Connection) -> WindowRow:
        window, known = _find(connection, plan, deed)
        while known is None:
            if _insert(connection, _row(window, plan, terms, deed)):
                data = {"start_ms": terms.start_ms, "end_ms": plan.end_ms}
                add_action(connection, Subject("window", window), "propose", deed,
                           text=plan.reason, data=data, digest=digest_of(plan))  # fmt: skip
                return _get(connection, window)
            taken = window
            window, known = _find(connection, plan, deed)
            if known is None and window == taken:  # it is there, and out of the author's sight now
                raise KeyReusedError("it has come before, of what is out of your sight")
        return known

    return in_transaction(ledger, put)


def _find(connection: Connection, plan: Plan, deed: Deed) -> tuple[str, WindowRow | None]:
    """The window that a plan was taken for, or the name of the one that it is to be."""
    digest = digest_of(plan)
    asked = [deed.author_id, deed.key or digest, deed.key is not None]
    for attempt in count():
        window = "w" + digest_of(asked, attempt)[:15]
        row = _look(connection, window)
        if row is None:
            break
        was_done(connection, Subject("window", window), deed, digest)
        if deed.key is not None or (row.ended_at_ms is None and row.end_ms > deed.at_ms):
            return window, row
    return window, None


def approve(ledger: Ledger, window: str, deed: Deed, *, text: str) -> WindowRow:
    """Put a proposed window in force, from now on where its start has passed.

    Only one that was late from the beginning changes the past. Raises KeyError, SamePersonError,
    NotPossibleError, StaleError, KeyReusedError.
    """

    def change(row: WindowRow) -> dict[str, Any] | None:
        if row.state == "approved" and row.approved_by == deed.author:
            return None
        status = status_of(row, deed.at_ms)
        if status != "proposed":
            allowed = "only a proposed one is approved"
            raise NotPossibleError(Subject("window", window), status, allowed)
        if row.author_id == deed.author_id or _same_name(row.author, deed.author):
            raise SamePersonError(f"window {window} was proposed by the same person")
        start_ms = row.start_ms if row.is_late else max(row.start_ms, deed.at_ms)
        approved = {"approved_by": deed.author, "approved_at_ms": deed.at_ms}
        return {"state": "approved", "start_ms": start_ms, **approved}

    return _change(ledger, window, "approve", deed, text, change)


def end(ledger: Ledger, window: str, deed: Deed, *, text: str, may_rewrite: bool) -> WindowRow:
    """End a window now; one that has not begun is withdrawn.

    may_rewrite: also one that changed the past is taken back. What has ended early stays as it is.
    Raises KeyError, NotPossibleError, StaleError, KeyReusedError.
    """

    def change(row: WindowRow) -> dict[str, Any] | None:
        if row.ended_at_ms is not None:
            return None
        status = status_of(row, deed.at_ms)
        ended = {"ended_by": deed.author, "ended_at_ms": deed.at_ms}
        if status in ("proposed", "planned") or (row.is_late and may_rewrite):
            return {"state": "withdrawn", **ended}
        if status != "active":
            allowed = "only one that is not over is ended"
            raise NotPossibleError(Subject("window", window), status, allowed)
        return {"end_ms": deed.at_ms, **ended}

    return _change(ledger, window, "end", deed, text, change)


def get_window(ledger: Ledger, window: str) -> WindowRow | None:
    """One window, None where there is none of that id."""
    query = select(windows).where(windows.c.window == window)
    with ledger.read() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return None if row is None else WindowRow(**row)


def list_windows(
    ledger: Ledger,
    which: WindowFilter,
    *,
    before: tuple[int, str] | None = None,
    limit: int,
) -> list[WindowRow]:
    """At most `limit` windows, the last to begin first, behind (start_ms, window) `before`."""
    start, name = windows.c.start_ms, windows.c.window
    query = select(windows).where(*_conditions(which))
    if before is not None:
        at_ms, last = before
        query = query.where(or_(start < at_ms, and_(start == at_ms, name < last)))
    query = query.order_by(start.desc(), name.desc()).limit(limit)
    with ledger.read() as connection:
        return [WindowRow(**row) for row in connection.execute(query).mappings()]


def in_force(ledger: Ledger, since_ms: int) -> list[WindowRow]:
    """Every approved window that ends after `since_ms`, in order of beginning."""
    query = select(windows).where(windows.c.state == "approved", windows.c.end_ms > since_ms)
    with ledger.read() as connection:
        rows = connection.execute(query.order_by(windows.c.start_ms, windows.c.window)).mappings()
        return [WindowRow(**row) for row in rows]


def version(ledger: Ledger) -> int:
    """A number that rises with every act on a window; 0 before the first."""
    with ledger.read() as connection:
        query = select(func.count()).where(actions.c.type == "window")
        return connection.execute(query).scalar_one()


def _change(
    ledger: Ledger, window: str, action: str, deed: Deed, text: str, change: _Change
) -> WindowRow:
    subject, digest = Subject("window", window), digest_of(action, text)

    def put(connection: Connection) -> WindowRow:
        row = _get(connection, window)
        if was_done(connection, subject, deed, digest):
            return row
        if deed.revision not in (None, row.revision):
            raise StaleError(row.revision)
        values = change(row)
        if values is None:
            return row
        connection.execute(
            update(windows)
            .where(windows.c.window == window)
            .values(revision=row.revision + 1, **values)
        )
        before = {name: getattr(row, name) for name in ("start_ms", "end_ms")}
        add_action(connection, subject, action, deed, text=text, data={"before": before},
                   digest=digest)  # fmt: skip
        return _get(connection, window)

    return in_transaction(ledger, put)


def _same_name(one: str, other: str) -> bool:
    """Whether two names are one person's, whose next key or token has another id."""
    return one.casefold().split() == other.casefold().split()


def _get(connection: Connection, window: str) -> WindowRow:
    row = _look(connection, window)
    if row is None:
        raise KeyError(window)
    return row


def _look(connection: Connection, window: str) -> WindowRow | None:
    query = select(windows).where(windows.c.window == window).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else WindowRow(**row)


def _insert(connection: Connection, row: WindowRow) -> bool:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(windows).on_conflict_do_nothing().returning(windows.c.window)
    return connection.execute(statement, [row._asdict()]).first() is not None


def _row(window: str, plan: Plan, terms: Terms, deed: Deed) -> WindowRow:
    return WindowRow(
        window=window,
        kind=plan.kind,
        scope_type=plan.scope_type,
        scope_id=plan.scope_id,
        province=terms.province,
        agency=terms.agency,
        start_ms=terms.start_ms,
        end_ms=plan.end_ms,
        state="proposed" if terms.needs_second else "approved",
        is_late=terms.is_late,
        reason=plan.reason,
        author_id=deed.author_id,
        author=deed.author,
        created_at_ms=deed.at_ms,
        approved_by=None,
        approved_at_ms=None,
        ended_by=None,
        ended_at_ms=None,
        revision=1,
    )


def _conditions(which: WindowFilter) -> list[ColumnElement[bool]]:
    same = ("kind", "scope_type", "scope_id", "province", "agency")
    conditions: list[ColumnElement[bool]] = [
        windows.c[name] == getattr(which, name) for name in same if getattr(which, name) is not None
    ]
    if which.status is not None:
        conditions += _status(which.status, which.now_ms)
    if which.from_ms is not None:
        conditions.append(windows.c.end_ms > which.from_ms)
    if which.to_ms is not None:
        conditions.append(windows.c.start_ms < which.to_ms)
    return conditions


def _status(status: str, now_ms: int) -> list[ColumnElement[bool]]:
    """The conditions of `status_of`."""
    state, start, last = windows.c.state, windows.c.start_ms, windows.c.end_ms
    until = case((windows.c.is_late, windows.c.created_at_ms + REVISED_MS), else_=last)
    return {
        "withdrawn": [state == "withdrawn"],
        "expired": [state == "proposed", until <= now_ms],
        "proposed": [state == "proposed", until > now_ms],
        "over": [state == "approved", last <= now_ms],
        "planned": [state == "approved", last > now_ms, start > now_ms],
        "active": [state == "approved", last > now_ms, start <= now_ms],
    }[status]

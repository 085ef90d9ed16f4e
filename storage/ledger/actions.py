"""Actions: what people did to alerts, incidents and windows. Appended only, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, insert, select

from storage.ledger.migrations import Ledger
from storage.ledger.schema import actions

SubjectType = Literal["alert", "incident", "window"]


class Subject(NamedTuple):
    """What an action is about."""

    type: SubjectType
    id: str


class Deed(NamedTuple):
    """Who acts, and when. key: by which the same request is known when it is sent again.

    revision: that the subject must still have; None: any.
    """

    author_id: str
    author: str
    at_ms: int
    key: str | None = None
    revision: int | None = None


class Action(NamedTuple):
    """One act of one person."""

    id: int
    at_ms: int
    action: str
    author_id: str
    author: str
    text: str
    data: dict[str, Any]


class KeyReusedError(Exception):
    """The idempotency key has come before, with another request."""


class StaleError(Exception):
    """Somebody else acted since the caller looked; `revision` is what it is now."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"it was changed meanwhile: its revision is {revision}")
        self.revision = revision


def was_done(connection: Connection, subject: Subject, deed: Deed, digest: str) -> bool:
    """Whether the request with this key was carried out before. Raises KeyReusedError."""
    if deed.key is None:
        return False
    query = _of(subject).where(actions.c.author_id == deed.author_id, actions.c.key == deed.key)
    before = connection.execute(query).mappings().one_or_none()
    if before is not None and before["digest"] != digest:
        raise KeyReusedError(f"Idempotency-Key {deed.key} has come before, with another request")
    return before is not None


def add_action(
    connection: Connection,
    subject: Subject,
    action: str,
    deed: Deed,
    *,
    text: str = "",
    data: Mapping[str, Any] | None = None,
    digest: str = "",
) -> None:
    """Append what somebody did."""
    row = {
        "at_ms": deed.at_ms,
        "type": subject.type,
        "subject": subject.id,
        "action": action,
        "author_id": deed.author_id,
        "author": deed.author,
        "text": text,
        "data": dict(data or {}),
        "key": deed.key,
        "digest": digest,
    }
    connection.execute(insert(actions), row)


def actions_on(ledger: Ledger, subject: Subject, *, limit: int) -> list[Action]:
    """The last `limit` actions on something, the oldest first."""
    with ledger.read() as connection:
        rows = connection.execute(
            _of(subject).order_by(actions.c.id.desc()).limit(limit)
        ).mappings()
        return [Action(**{name: row[name] for name in Action._fields}) for row in rows][::-1]


def last_action(connection: Connection, subject: Subject) -> Action | None:
    """The newest action on something."""
    query = _of(subject).order_by(actions.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else Action(**{name: row[name] for name in Action._fields})


def digest_of(*parts: Any) -> str:
    """What a request asks for, in short: equal where all parts are."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _of(subject: Subject) -> Any:
    return select(actions).where(actions.c.type == subject.type, actions.c.subject == subject.id)

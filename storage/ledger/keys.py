"""Keys of the API: 256 bits that are shown once and kept as a hash.

Times are of the machine, not of the platform, whose clock may run faster.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from storage.ledger.audit import Entry, append
from storage.ledger.migrations import Ledger
from storage.ledger.schema import api_keys

ROLES = ("viewer", "operator", "admin", "auditor")
DAY_MS = 86_400_000
USED_EVERY_MS = 60_000  # how exact `last_used_ms` is
FORM = re.compile(r"gvs_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
NO_HASH = "0" * 64
FIRST_NAME = "first admin"
FIRST_DAYS = 365


class Key(NamedTuple):
    """A key as it is known: everything but the key itself. provinces, agencies None: all."""

    id: str
    prefix: str
    hash: str
    name: str
    role: str
    provinces: list[str] | None
    agencies: list[str] | None
    created_ms: int
    expires_ms: int
    last_used_ms: int | None
    revoked_ms: int | None
    replaced_by: str | None

    def state(self, now_ms: int) -> str:
        """valid, revoked or expired."""
        if self.revoked_ms is not None and self.revoked_ms <= now_ms:
            return "revoked"
        return "expired" if self.expires_ms <= now_ms else "valid"


class NewKey(NamedTuple):
    """A key that was just made; text: what is given to its user and kept nowhere."""

    key: Key
    text: str


def create_key(
    ledger: Ledger,
    *,
    name: str,
    role: str,
    days: float,
    now_ms: int,
    by: str,
    provinces: Iterable[str] | None = None,
    agencies: Iterable[str] | None = None,
) -> NewKey:
    """Make a key that expires after some days. by: who asks, for the audit."""
    with ledger.begin() as connection:
        limits = {"provinces": _listed(provinces), "agencies": _listed(agencies)}
        expires_ms = round(now_ms + days * DAY_MS)
        made = _insert(connection, now_ms, expires_ms, {"name": name, "role": role, **limits})
        subject = f"{made.key.id} {role} {name}"
        append(connection, Entry(now_ms, "key created", name=by, subject=subject))
    return made


def first_admin_key(ledger: Ledger, *, now_ms: int, by: str) -> NewKey | None:
    """A key for an administrator, if there never was one; of several callers one gets it."""
    with ledger.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE api_keys IN EXCLUSIVE MODE")
        if _has_admin(connection):
            return None
        facts = {"name": FIRST_NAME, "role": "admin", "provinces": None, "agencies": None}
        made = _insert(connection, now_ms, now_ms + FIRST_DAYS * DAY_MS, facts)
        subject = f"{made.key.id} admin {FIRST_NAME}"
        append(connection, Entry(now_ms, "key created", name=by, subject=subject))
    return made


def has_admin_key(ledger: Ledger) -> bool:
    """Whether there ever was a key for an administrator."""
    with ledger.read() as connection:
        return _has_admin(connection)


def list_keys(ledger: Ledger) -> list[Key]:
    """Every key, the oldest first, those that are over included."""
    query = select(api_keys).order_by(api_keys.c.created_ms, api_keys.c.id)
    with ledger.read() as connection:
        return [Key(**row) for row in connection.execute(query).mappings()]


def find_key(ledger: Ledger, text: str) -> Key | None:
    """The key of that text, whether it still holds or not; None where nobody has it.

    Takes the same time for a wrong secret as for none: hashes are compared in constant time.
    """
    form = FORM.fullmatch(text)
    row = None
    if form is not None:
        with ledger.read() as connection:
            query = select(api_keys).where(api_keys.c.prefix == form[1])
            row = connection.execute(query).mappings().one_or_none()
    same = hmac.compare_digest(_hash(text), row["hash"] if row else NO_HASH)
    return Key(**row) if row and same else None


def get_key(ledger: Ledger, name: str) -> Key | None:
    """The key of an id or a prefix."""
    with ledger.read() as connection:
        return _get(connection, name)


def revoke_key(ledger: Ledger, name: str, *, now_ms: int, by: str) -> Key:
    """End a key, by its id or prefix, now. Raises KeyError; one that is revoked stays so."""
    with ledger.begin() as connection:
        key = _get(connection, name)
        if key is None:
            raise KeyError(name)
        if key.revoked_ms is None:
            key = key._replace(revoked_ms=now_ms)
            _put(connection, key.id, revoked_ms=now_ms)
            subject = f"{key.id} {key.role} {key.name}"
            append(connection, Entry(now_ms, "key revoked", name=by, subject=subject))
    return key


def rotate_key(
    ledger: Ledger, name: str, *, days: float, overlap_h: float, now_ms: int, by: str
) -> NewKey:
    """A new key with the rights of an old one, which ends after the overlap.

    Raises KeyError where there is no such key, ValueError where it holds no more.
    """
    with ledger.begin() as connection:
        old = _get(connection, name)
        if old is None:
            raise KeyError(name)
        if (state := old.state(now_ms)) != "valid":
            raise ValueError(f"key {old.id} is {state}: make a new one with `govsense keys create`")
        if old.replaced_by is not None:
            raise ValueError(f"key {old.id} is replaced by {old.replaced_by} already: rotate that")
        facts = {n: getattr(old, n) for n in ("name", "role", "provinces", "agencies")}
        made = _insert(connection, now_ms, round(now_ms + days * DAY_MS), facts)
        ends_ms = min(old.expires_ms, round(now_ms + overlap_h * 3_600_000))
        _put(connection, old.id, expires_ms=ends_ms, replaced_by=made.key.id)
        subject = f"{old.id} by {made.key.id}, {old.role} {old.name}"
        append(connection, Entry(now_ms, "key rotated", name=by, subject=subject))
    return made


def note_use(ledger: Ledger, key: Key, now_ms: int) -> None:
    """Remember that a key is used; at most once a minute."""
    before_ms = now_ms - USED_EVERY_MS
    if key.last_used_ms is not None and key.last_used_ms > before_ms:
        return
    last = api_keys.c.last_used_ms
    with ledger.begin() as connection:
        connection.execute(
            update(api_keys)
            .where(api_keys.c.id == key.id, or_(last.is_(None), last <= before_ms))
            .values(last_used_ms=now_ms)
        )


def _insert(connection: Connection, now_ms: int, expires_ms: int, facts: dict[str, Any]) -> NewKey:
    while True:
        prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        text = f"gvs_{prefix}_{secret}"
        row: dict[str, Any] = {
            "id": f"key-{secrets.token_hex(4)}",
            "prefix": prefix,
            "hash": _hash(text),
            "created_ms": now_ms,
            "expires_ms": expires_ms,
            **facts,
        }
        try:
            with connection.begin_nested():
                connection.execute(insert(api_keys).values(**row))
        except IntegrityError:  # a prefix or id that is taken
            continue
        return NewKey(Key(**row, last_used_ms=None, revoked_ms=None, replaced_by=None), text)


def _has_admin(connection: Connection) -> bool:
    query = select(api_keys.c.id).where(api_keys.c.role == "admin").limit(1)
    return connection.execute(query).first() is not None


def _get(connection: Connection, name: str) -> Key | None:
    query = select(api_keys).where(or_(api_keys.c.id == name, api_keys.c.prefix == name))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else Key(**row)


def _put(connection: Connection, key: str, **values: Any) -> None:
    connection.execute(update(api_keys).where(api_keys.c.id == key).values(**values))


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _listed(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else sorted(set(names))

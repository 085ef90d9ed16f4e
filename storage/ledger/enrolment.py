"""Enrolment: devices that send without being registered, and what is decided of them.

What they send is held in quarantine. A device that is accepted is registered in the transaction
that notes the acceptance; ingest asks for the replay itself, once it uses a registry that knows
the device: whatever was refused up to then is held by then, and nothing is refused after it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, update

from devices.registry import Device, Problem, RegistryError
from devices.topics import Topic, parse_topic
from devices.wire import reasons
from storage.ledger.migrations import Ledger
from storage.ledger.registry import add_device
from storage.ledger.schema import devices, enrolments, quarantine, sites
from storage.ledger.sight import sent_in
from storage.ledger.transactions import in_transaction
from storage.ledger.upsert import upsert

DAY_MS = 86_400_000
STATES = ("pending", "refused")

IS_HELD = and_(quarantine.c.reason == reasons.UNKNOWN_DEVICE, quarantine.c.state == "held")


class Refused(NamedTuple):
    """A refusal. shown_again_ms: what the device sends from then on brings it up again."""

    at_ms: int
    by: str
    reason: str
    shown_again_ms: int


class Newcomer(NamedTuple):
    """A device that is not registered; receive times of what is held of it. refused: at last."""

    device: str
    first_ms: int
    last_ms: int
    messages: int
    refused: Refused | None

    @property
    def state(self) -> str:
        """One of STATES."""
        refused = self.refused
        return "refused" if refused and self.last_ms < refused.shown_again_ms else "pending"


class Sent(NamedTuple):
    """One held message; payload: its first bytes, as many as were asked for."""

    topic: Topic
    received_ms: int
    payload: bytes


class NobodyError(LookupError):
    """Nothing is held of a device of that id, or it is registered."""


def list_newcomers(
    ledger: Ledger,
    *,
    state: str = "pending",
    provinces: Collection[str] | None = None,
    after: str = "",
    limit: int,
) -> list[Newcomer]:
    """At most `limit` of one state in order of id, beginning behind the id `after`.

    provinces: only what was sent on topics of these; None: of any.
    """
    of_them = [] if provinces is None else [sent_in(quarantine.c.topic, provinces)]
    heard = _heard(quarantine.c.device > after, *of_them)
    is_refused = and_(
        enrolments.c.state == "refused", heard.c.last_ms < enrolments.c.shown_again_ms
    )
    query = _newcomers(heard)
    if state == "refused":
        query = query.where(is_refused)
    else:
        query = query.where(or_(enrolments.c.device.is_(None), ~is_refused))
    with ledger.read() as connection:
        rows = connection.execute(query.order_by(heard.c.device).limit(limit)).all()
    return [_newcomer(row) for row in rows]


def get_newcomer(ledger: Ledger, device: str) -> Newcomer | None:
    """One of either state, None where nothing is held of it or it is registered."""
    with ledger.read() as connection:
        return _get(connection, device)


def sent_by(
    ledger: Ledger, device: str, *, newest: int, oldest: int = 0, most_bytes: int
) -> list[Sent]:
    """The newest and the oldest messages that are held of a device, the newest first.

    A device says what it is when it starts, so that the oldest tell what the newest may not.
    """
    payload = func.substr(quarantine.c.payload, 1, most_bytes)
    columns = (quarantine.c.id, quarantine.c.topic, quarantine.c.received_ms, payload)
    query = select(*columns).where(IS_HELD, quarantine.c.device == device)
    at = quarantine.c.received_ms
    with ledger.read() as connection:
        rows = list(connection.execute(query.order_by(at.desc()).limit(newest)))
        known = {row[0] for row in rows}
        first = connection.execute(query.order_by(at).limit(oldest)).all() if oldest else []
    rows += [row for row in reversed(first) if row[0] not in known]
    return [Sent(parse_topic(topic), at_ms, bytes(start)) for _, topic, at_ms, start in rows]


def accept(ledger: Ledger, device: Device, *, by: str, now_ms: int) -> Newcomer:
    """Register a device of which something is held, which ingest then replays.

    Raises NobodyError where nothing is held, RegistryError where the device is not valid or where
    its site is in another province than the one in which it sent last: all that it sends would
    be refused.
    """

    def put(connection: Connection) -> Newcomer:
        newcomer = _get(connection, device.device)
        if newcomer is None:
            raise NobodyError(device.device)
        version = add_device(connection, device)
        _refuse_other_province(connection, device)
        _decide(connection, device.device, "accepted", now_ms, by, version=version)
        return newcomer

    return in_transaction(ledger, put)


def refuse(
    ledger: Ledger, device: str, *, reason: str, days: int, by: str, now_ms: int
) -> Newcomer:
    """Show a device no more until it sends something `days` from now or later.

    What it sends is held on. Raises NobodyError where nothing is held of it.
    """

    def put(connection: Connection) -> Newcomer:
        if _get(connection, device) is None:
            raise NobodyError(device)
        again_ms = now_ms + days * DAY_MS
        _decide(connection, device, "refused", now_ms, by, reason=reason, again_ms=again_ms)
        refused = _get(connection, device)
        assert refused is not None
        return refused

    return in_transaction(ledger, put)


def request_accepted(ledger: Ledger, *, registry_version: int) -> list[str]:
    """Ask for the replay of what accepted devices sent while they were not known.

    Only of those that a registry of this version knows; returns them.
    """
    due = and_(enrolments.c.replay_due, enrolments.c.registry_version <= registry_version)
    with ledger.read() as connection:
        known = connection.execute(select(enrolments.c.device).where(due)).scalars().all()
    if known:
        of_them = quarantine.c.device.in_(known)
        with ledger.begin() as connection:
            connection.execute(update(quarantine).where(IS_HELD, of_them).values(state="requested"))
            is_known = enrolments.c.device.in_(known)
            connection.execute(update(enrolments).where(due, is_known).values(replay_due=False))
    return list(known)


def _heard(*conditions: ColumnElement[bool]) -> Any:
    at = quarantine.c.received_ms
    return (
        select(
            quarantine.c.device,
            func.min(at).label("first_ms"),
            func.max(at).label("last_ms"),
            func.count().label("messages"),
        )
        .where(IS_HELD, *conditions)
        .group_by(quarantine.c.device)
        .subquery()
    )


def _newcomers(heard: Any) -> Select[Any]:
    registered = select(devices.c.device).where(devices.c.device == heard.c.device).exists()
    return (
        select(
            *heard.c,
            enrolments.c.state,
            enrolments.c.at_ms,
            enrolments.c.by,
            enrolments.c.reason,
            enrolments.c.shown_again_ms,
        )
        .select_from(heard.outerjoin(enrolments, enrolments.c.device == heard.c.device))
        .where(~registered)
    )


def _newcomer(row: Any) -> Newcomer:
    device, first_ms, last_ms, messages, state, *decided = row
    refused = Refused(*decided) if state == "refused" else None
    return Newcomer(device, first_ms, last_ms, messages, refused)


def _get(connection: Connection, device: str) -> Newcomer | None:
    heard = _heard(quarantine.c.device == device)
    row = connection.execute(_newcomers(heard)).one_or_none()
    return None if row is None else _newcomer(row)


def _decide(
    connection: Connection,
    device: str,
    state: str,
    now_ms: int,
    by: str,
    *,
    reason: str = "",
    again_ms: int = 0,
    version: int = 0,
) -> None:
    row = {
        "device": device,
        "state": state,
        "at_ms": now_ms,
        "by": by,
        "reason": reason,
        "shown_again_ms": again_ms,
        "registry_version": version,
        "replay_due": state == "accepted",
    }
    upsert(connection, enrolments, [row])


def _refuse_other_province(connection: Connection, device: Device) -> None:
    place = select(sites.c.province).where(sites.c.site == device.site)
    province = connection.execute(place).scalar_one()
    last = select(quarantine.c.topic).where(IS_HELD, quarantine.c.device == device.device)
    last = last.order_by(quarantine.c.received_ms.desc()).limit(1)
    sends_in = parse_topic(connection.execute(last).scalar_one()).province
    if province != sends_in:
        allowed = f"a site in {sends_in}, where it sends; or let it send in {province}"
        problem = Problem("", 0, "site", f"{device.site!r} in {province}", allowed)
        raise RegistryError([problem])

"""What the public may be told, as the ledger holds it: newest bins and group incidents."""

from __future__ import annotations

from typing import NamedTuple, cast

from sqlalchemy import Connection, or_, select

from detection.outages import BinState
from storage.ledger.migrations import Ledger
from storage.ledger.schema import bins, incidents, sites

GROUP_SCOPES = ("district", "province", "provider", "feeder", "platform")


class SiteNow(NamedTuple):
    """A site with its newest bin; state and start_ms are None where there is none of late."""

    site: str
    province: str
    site_class: str
    state: BinState | None
    start_ms: int | None


class GroupNow(NamedTuple):
    """An incident of several sites. is_over: it is resolved. is_final: its cause is certain.

    started_ms, ended_ms: event times. changed_ms: when the platform last learned of it.
    """

    incident: str
    cause: str
    is_over: bool
    is_final: bool
    started_ms: int
    ended_ms: int | None
    changed_ms: int
    sites: list[str]


class PublicFacts(NamedTuple):
    """Both, as of one state of the ledger."""

    sites: list[SiteNow]
    groups: list[GroupNow]


def public_facts(
    ledger: Ledger, *, bins_from_ms: int, over_from_ms: int, now_ms: int
) -> PublicFacts:
    """Every site with its newest bin that began in [bins_from_ms, now_ms], and group incidents.

    Those are all that are open, the newest first, and those resolved from over_from_ms on.
    """
    with ledger.read() as connection:
        return PublicFacts(
            _sites(connection, bins_from_ms, now_ms), _groups(connection, over_from_ms)
        )


def _sites(connection: Connection, from_ms: int, now_ms: int) -> list[SiteNow]:
    recent = select(bins.c.site, bins.c.state, bins.c.start_ms).where(
        bins.c.start_ms >= from_ms, bins.c.start_ms <= now_ms
    )
    newest: dict[str, tuple[BinState, int]] = {
        site: (cast("BinState", state), start_ms)
        for site, state, start_ms in connection.execute(recent.order_by(bins.c.start_ms))
    }
    query = select(sites.c.site, sites.c.province, sites.c["class"]).order_by(sites.c.site)
    return [
        SiteNow(site, province, site_class, *newest.get(site, (None, None)))
        for site, province, site_class in connection.execute(query)
    ]


def _groups(connection: Connection, over_from_ms: int) -> list[GroupNow]:
    query = select(incidents).where(
        incidents.c.scope_type.in_(GROUP_SCOPES),
        or_(incidents.c.state != "resolved", incidents.c.at_ms >= over_from_ms),
    )
    query = query.order_by(incidents.c.opened_at_ms.desc(), incidents.c.incident.desc())
    return [
        GroupNow(
            incident=row["incident"],
            cause=row["cause"],
            is_over=row["state"] == "resolved",
            is_final=row["phase"] == "final",
            started_ms=row["started_ms"],
            ended_ms=row["ended_ms"],
            changed_ms=row["at_ms"],
            sites=row["sites"],
        )
        for row in connection.execute(query).mappings()
    ]

"""Reads of sites and devices together with what was heard of them: lists, details, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import ColumnElement, Select, case, func, select

from detection.findings import PLATFORM
from storage.ledger.migrations import Ledger
from storage.ledger.schema import alerts, device_states, devices, sites

Lifecycle = Literal["registered", "active", "silent", "abandoned"]
LIFECYCLES: tuple[str, ...] = get_args(Lifecycle)
SILENT_AFTER_INTERVALS = 3
ABANDONED_AFTER_MS = 90 * 86_400_000


class DeviceFilter(NamedTuple):
    """Which devices; None does not restrict."""

    province: str | None = None
    district: str | None = None
    site: str | None = None
    kind: str | None = None
    lifecycle: str | None = None
    agency: str | None = None


class SiteFilter(NamedTuple):
    """Which sites; None does not restrict."""

    province: str | None = None
    district: str | None = None
    agency: str | None = None
    site_class: str | None = None


class DeviceRow(NamedTuple):
    """A device, where it stands and what was heard of it (times None: never)."""

    device: str
    site: str
    kind: str
    interval_s: float
    uplink: int
    params: dict[str, Any]
    province: str
    district: str
    lifecycle: Lifecycle
    state: str | None
    status: dict[str, Any] | None
    first_seen_ms: int | None
    last_seen_ms: int | None
    latest: dict[str, tuple[int, float]]


class LatestRow(NamedTuple):
    """What a device said last, by metric: event time in ms, and value."""

    device: str
    site: str
    province: str
    kind: str
    lifecycle: Lifecycle
    last_seen_ms: int | None
    latest: dict[str, tuple[int, float]]


class SiteRow(NamedTuple):
    """A site as registered."""

    site: str
    name_en: str
    name_lo: str
    site_class: str
    province: str
    district: str
    lat: float | None
    lon: float | None
    agency: str
    feeder: str
    priority: str
    uplinks: list[dict[str, Any]]


class ProvinceCounts(NamedTuple):
    """How many sites, devices by lifecycle and open alerts a province has."""

    sites: int
    devices: dict[str, int]
    open_alerts: int


def list_devices(
    ledger: Ledger, which: DeviceFilter, *, now_ms: int, after: str = "", limit: int
) -> list[DeviceRow]:
    """At most `limit` devices in order of id, beginning behind the id `after`."""
    query = _chosen(_devices(now_ms), which, now_ms).where(devices.c.device > after)
    return _device_rows(ledger, query.order_by(devices.c.device).limit(limit))


def list_latest(
    ledger: Ledger, which: DeviceFilter, *, now_ms: int, after: str = "", limit: int
) -> list[LatestRow]:
    """As `list_devices`, with what is needed of the latest readings, in one query."""
    columns = (
        devices.c.device,
        devices.c.site,
        sites.c.province,
        devices.c.kind,
        lifecycle(now_ms),
        device_states.c.last_seen_ms,
        device_states.c.latest,
    )
    query = _chosen(select(*columns).select_from(_joined()), which, now_ms)
    query = query.where(devices.c.device > after).order_by(devices.c.device).limit(limit)
    with ledger.read() as connection:
        rows = connection.execute(query).all()
    return [LatestRow._make((*row[:-1], row[-1] or {})) for row in rows]


def get_device(ledger: Ledger, device: str, *, now_ms: int) -> DeviceRow | None:
    """One device, None when it is not registered."""
    rows = _device_rows(ledger, _devices(now_ms).where(devices.c.device == device))
    return rows[0] if rows else None


def get_devices(ledger: Ledger, names: Sequence[str], *, now_ms: int) -> list[DeviceRow]:
    """Those of the devices that are registered, in order of id."""
    query = _devices(now_ms).where(devices.c.device.in_(names))
    return _device_rows(ledger, query.order_by(devices.c.device))


def list_sites(ledger: Ledger, which: SiteFilter, *, after: str = "", limit: int) -> list[SiteRow]:
    """At most `limit` sites in order of id, beginning behind the id `after`."""
    query = _sites().where(sites.c.site > after)
    columns = {
        "province": sites.c.province,
        "district": sites.c.district,
        "agency": sites.c.agency,
        "site_class": sites.c["class"],
    }
    for name, value in which._asdict().items():
        if value is not None:
            query = query.where(columns[name] == value)
    return _site_rows(ledger, query.order_by(sites.c.site).limit(limit))


def get_site(ledger: Ledger, site: str) -> SiteRow | None:
    """One site, None when it is not registered."""
    rows = _site_rows(ledger, _sites().where(sites.c.site == site))
    return rows[0] if rows else None


def province_counts(ledger: Ledger, *, now_ms: int) -> dict[str, ProvinceCounts]:
    """Counts by province code, for the provinces that have a site."""
    state = lifecycle(now_ms)
    by_lifecycle = (
        select(sites.c.province, state, func.count())
        .select_from(_joined())
        .group_by(sites.c.province, state)
    )
    site_counts = select(sites.c.province, func.count()).group_by(sites.c.province)
    alert_counts = (
        select(sites.c.province, func.count())
        .join_from(alerts, sites, alerts.c.site == sites.c.site)
        .where(alerts.c.state.in_(("firing", "acknowledged")))
        .group_by(sites.c.province)
    )
    with ledger.read() as connection:
        devices_of: dict[str, Counter[str]] = {}
        for province, name, count in connection.execute(by_lifecycle):
            devices_of.setdefault(province, Counter())[name] = count
        open_alerts: dict[str, int] = dict(connection.execute(alert_counts).all())
        return {
            province: ProvinceCounts(
                count,
                {name: devices_of.get(province, Counter())[name] for name in LIFECYCLES},
                open_alerts.get(province, 0),
            )
            for province, count in connection.execute(site_counts)
        }


def open_platform_alerts(ledger: Ledger) -> int:
    """How many alerts on the platform itself are firing or acknowledged."""
    query = select(func.count()).where(
        alerts.c.device == PLATFORM, alerts.c.state.in_(("firing", "acknowledged"))
    )
    with ledger.read() as connection:
        return connection.execute(query).scalar_one()


def lifecycle(now_ms: int) -> ColumnElement[str]:
    """Lifecycle of a device, for queries over devices outer-joined with device_states."""
    seen = device_states.c.last_seen_ms
    silent_after = devices.c.interval_s * (SILENT_AFTER_INTERVALS * 1000)
    return case(
        (seen.is_(None), "registered"),
        (seen < now_ms - ABANDONED_AFTER_MS, "abandoned"),
        (seen + silent_after < now_ms, "silent"),
        else_="active",
    )


def _chosen(query: Select[Any], which: DeviceFilter, now_ms: int) -> Select[Any]:
    """A query over devices and their sites, for those of a filter."""
    columns: dict[str, ColumnElement[Any]] = {
        "province": sites.c.province,
        "district": sites.c.district,
        "site": devices.c.site,
        "kind": devices.c.kind,
        "lifecycle": lifecycle(now_ms),
        "agency": sites.c.agency,
    }
    for name, value in which._asdict().items():
        if value is not None:
            query = query.where(columns[name] == value)
    return query


def _joined() -> Any:
    return devices.join(sites, devices.c.site == sites.c.site).outerjoin(
        device_states, devices.c.device == device_states.c.device
    )


def _devices(now_ms: int) -> Select[Any]:
    return select(
        devices,
        sites.c.province,
        sites.c.district,
        lifecycle(now_ms).label("lifecycle"),
        device_states.c.state,
        device_states.c.status,
        device_states.c.first_seen_ms,
        device_states.c.last_seen_ms,
        device_states.c.latest,
    ).select_from(_joined())


def _device_rows(ledger: Ledger, query: Select[Any]) -> list[DeviceRow]:
    with ledger.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [DeviceRow(**{**row, "latest": row["latest"] or {}}) for row in rows]


def _sites() -> Select[Any]:
    return select(sites)


def _site_rows(ledger: Ledger, query: Select[Any]) -> list[SiteRow]:
    with ledger.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        SiteRow(
            **{name: row["class" if name == "site_class" else name] for name in SiteRow._fields}
        )
        for row in rows
    ]

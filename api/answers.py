"""What the API answers, as the client reads it. A member that is not listed here is left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct


class Answer(Struct, frozen=True):
    """Something that the API answered; it cannot be changed."""


class Health(Answer, frozen=True):
    status: str


class Check(Answer, frozen=True):
    name: str
    ok: bool
    reason: str | None


class Ready(Answer, frozen=True):
    now: datetime
    checks: list[Check]


class Loop(Answer, frozen=True):
    name: str
    moves: bool
    last_moved: datetime


class Live(Answer, frozen=True):
    now: datetime
    loops: list[Loop]


class Me(Answer, frozen=True):
    """Whose key it is. provinces, agencies: which it may see; None: all."""

    id: str
    name: str
    role: str
    provinces: list[str] | None
    agencies: list[str] | None
    requests_per_minute: int
    page_items: int
    stored_rows: int


class AuditRow(Answer, frozen=True):
    id: int
    at: datetime
    who: str
    name: str
    address: str
    what: str
    method: str
    path: str
    status: int | None
    subject: str
    previous: str
    hash: str


class Span(Answer, frozen=True):
    p50: float | None
    p99: float | None
    count: int


class Stats(Answer, frozen=True):
    now: datetime
    messages_received: int
    messages_stored: int
    messages_duplicate: int
    messages_quarantined: int
    messages_pending: int
    readings_stored: int
    readings_duplicate: int
    readings_late: int
    event_to_stored_ms: Span
    event_to_alert_ms: Span
    alerts_open: int
    devices: int
    devices_heard: int


class Metric(Answer, frozen=True):
    metric: str
    unit: str
    hard: tuple[float, float]
    plausible: tuple[float, float] | None
    max_rate_per_min: float | None
    resolution: float
    meaning: str


class Kind(Answer, frozen=True):
    kind: str
    metrics: list[Metric]


class Province(Answer, frozen=True):
    province: str
    name_en: str
    name_lo: str
    capital: str
    population_2015: int
    lat: float
    lon: float
    sites: int
    devices: dict[str, int]
    open_alerts: int


class District(Answer, frozen=True):
    province: str
    district: str
    name_en: str
    name_lo: str | None
    lat: float
    lon: float


class Uplink(Answer, frozen=True):
    provider: str
    link_type: str
    contracted_down_mbps: float | None
    contracted_up_mbps: float | None


class Device(Answer, frozen=True):
    device: str
    site: str
    province: str
    district: str
    kind: str
    interval_s: float
    uplink: int
    lifecycle: str
    state: str | None
    first_seen: datetime | None
    last_seen: datetime | None
    params: dict[str, Any] | None = None  # of one device, not in lists
    status: dict[str, Any] | None = None


class Site(Answer, frozen=True):
    site: str
    name_en: str
    name_lo: str | None
    site_class: str
    province: str
    district: str
    lat: float | None
    lon: float | None
    agency: str
    feeder: str | None
    priority: str
    uplinks: list[Uplink]
    devices: list[Device] = []  # of one site, not in lists

"""What the API answers, as the client reads it. A member that is not listed here is left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct, field


class Answer(Struct, frozen=True):
    """Something that the API answered; it cannot be changed."""


class Loop(Answer, frozen=True):
    name: str
    moves: bool
    last_moved: datetime


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


class Reading(Answer, frozen=True):
    metric: str
    unit: str
    at: datetime
    value: float


class Latest(Answer, frozen=True):
    device: str
    lifecycle: str
    last_seen: datetime | None
    readings: list[Reading]


class Point(Answer, frozen=True):
    """A reading, or a bucket that begins at `at`; None: not asked for."""

    metric: str
    at: datetime
    received_at: datetime | None = None
    value: float | None = None
    count: int | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    last: float | None = None
    coverage: float | None = None


class Numbered(Answer, frozen=True):
    waiting: int
    lost: int


class Hour(Answer, frozen=True):
    hour: datetime
    expected: int
    received: int
    late: int
    duplicate: int
    quarantined: int
    missing: int


class Accounting(Answer, frozen=True):
    start: datetime
    end: datetime
    province: str | None
    devices: int
    expected: int
    received: int
    late: int
    duplicate: int
    quarantined: int
    missing: int
    numbered: Numbered


class Range(Answer, frozen=True):
    first: int
    last: int


class Boot(Answer, frozen=True):
    boot: str
    highest: int
    waiting: list[Range]
    lost: list[Range]


class Downtime(Answer, frozen=True):
    started_at: datetime
    ended_at: datetime
    minutes: float
    open: bool


class Availability(Answer, frozen=True):
    site: str
    up: int
    degraded: int
    down: int
    unknown: int
    excluded: int
    on_backup: int
    availability: float | None
    lower: float | None
    upper: float | None
    coverage: float | None
    sufficient: bool
    quality_ok: float | None
    mttr_minutes: float | None
    mtbf_minutes: float | None
    outages: list[Downtime]


class Scope(Answer, frozen=True):
    type: str
    id: str


class Incident(Answer, frozen=True):
    incident: str
    state: str
    scope: Scope
    cause: str
    phase: str
    confidence: float
    started_at: datetime
    ended_at: datetime | None
    opened_at: datetime
    at: datetime
    sites: list[str]
    devices: list[str]
    evidence: list[str]
    evidence_lo: list[str]
    changes: list[Incident] = []  # of one incident, not in lists


class Alert(Answer, frozen=True):
    alert: str
    state: str
    device: str
    site: str
    province: str | None
    kind: str | None
    metric: str | None
    rule: str
    nature: str
    severity: str
    at: datetime
    event_time: datetime
    resolved_at: datetime | None
    resolved_event_time: datetime | None
    value: float | None
    expected: tuple[float | None, float | None] | None
    text_en: str
    text_lo: str
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    comment: str | None
    incident: str | None
    backfilled: bool


class Refusal(Answer, frozen=True):
    reason: str
    where: str
    detail: str


class Quarantined(Answer, frozen=True):
    id: int
    received_at: datetime
    topic: str
    device: str
    reason: str
    refusals: list[Refusal]
    whole: bool
    state: str
    replayed_at: datetime | None
    payload: str | None = None  # of one message, not in lists
    payload_b64: str | None = None


class Said(Answer, frozen=True):
    kind: str | None
    interval_s: float | None
    firmware: str | None


class RefusedNewcomer(Answer, frozen=True):
    at: datetime
    by: str
    reason: str
    shown_again_at: datetime


class Sent(Answer, frozen=True):
    topic: str
    received_at: datetime
    payload: str
    whole: bool


class Newcomer(Answer, frozen=True):
    device: str
    state: str
    provinces: list[str]
    first_seen: datetime
    last_seen: datetime
    messages: int
    said: Said
    metrics: list[str]
    kinds: list[str]
    refused: RefusedNewcomer | None
    example: Sent | None = None  # of one device, not in lists


class Accepted(Answer, frozen=True):
    device: str
    site: str
    kind: str
    interval_s: float
    uplink: int
    params: dict[str, Any]
    messages: int
    unknown_metrics: list[str]


class PublicClass(Answer, frozen=True):
    name_en: str
    name_lo: str
    sites: int | None
    reachable: int | None
    in_trouble: int | None
    not_known: int | None
    site_class: str = field(name="class")


class PublicProvince(Answer, frozen=True):
    province: str
    name_en: str
    name_lo: str
    state: str
    state_en: str
    state_lo: str
    classes: list[PublicClass]


class PublicIncident(Answer, frozen=True):
    id: str
    started_at: datetime
    changed_at: datetime
    cause: str
    cause_final: bool
    provinces: list[str]
    text_en: str
    text_lo: str


class PublicStatus(Answer, frozen=True):
    computed_at: datetime
    age_s: int
    stale: bool
    known_until: datetime | None
    provinces: list[PublicProvince]
    incidents: list[PublicIncident]


class Event(Answer, frozen=True):
    """type: alert, incident, device, or reset: the stream could not be resumed, read anew."""

    id: int
    type: str
    data: dict[str, Any]

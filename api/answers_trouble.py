"""What is wrong and what is done about it, as the client reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import field

from api.answers import Answer


class Scope(Answer, frozen=True):
    type: str
    id: str


class Action(Answer, frozen=True):
    """What happened to an alert, an incident or a window; by None: govsense itself."""

    at: datetime
    action: str
    by: str | None
    text: str
    data: dict[str, Any]


class Measured(Answer, frozen=True):
    at: datetime
    value: float


class Bin(Answer, frozen=True):
    at: datetime
    state: str


class Evidence(Answer, frozen=True):
    start: datetime
    end: datetime
    readings: list[Measured]
    complete: bool
    bins: list[Bin]


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
    agency: str | None
    cause: str | None
    assigned_to: str | None
    closed_at: datetime | None
    closed_by: str | None
    close_reason: str | None
    revision: int
    # Of one alert, not in lists:
    muted: str | None = None
    evidence: Evidence | None = None
    history: list[Action] = field(default_factory=list)


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
    assigned_to: str | None
    closed_at: datetime | None
    closed_by: str | None
    close_reason: str | None
    revision: int
    # Of one incident, not in lists:
    changes: list[Incident] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    history: list[Action] = field(default_factory=list)


class Window(Answer, frozen=True):
    """A silence or maintenance."""

    window: str
    kind: str
    scope: Scope
    province: str | None
    agency: str | None
    start: datetime
    end: datetime
    status: str
    late: bool
    reason: str
    author: str
    created_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None
    revision: int
    history: list[Action] = field(default_factory=list)  # of one window, not in lists


class Event(Answer, frozen=True):
    """type: alert, incident, device, or reset: the stream could not be resumed, read anew."""

    id: int
    type: str
    data: dict[str, Any]

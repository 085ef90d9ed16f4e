"""What was measured, and how much of it came, as the client reads it."""

from __future__ import annotations

from datetime import datetime

from api.answers import Answer


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


class LatestOfSite(Latest, frozen=True):
    site: str
    province: str
    kind: str


class Point(Answer, frozen=True):
    """A reading, or a bucket that begins at `at`; None: not asked for.

    device: of several; None where one was asked for.
    """

    metric: str
    at: datetime
    device: str | None = None
    received_at: datetime | None = None
    value: float | None = None
    count: int | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    last: float | None = None
    p95: float | None = None

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


class Sequences(Answer, frozen=True):
    device: str
    boots: list[Boot]


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

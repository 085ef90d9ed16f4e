"""Reports, as the client reads them; docs/reports.md says what every figure means."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.answers import Answer


class Period(Answer, frozen=True):
    name: str
    start: datetime
    end: datetime


class Report(Answer, frozen=True):
    """A connectivity report. To verify one, keep the file: Client.connectivity_file."""

    kind: str
    schema: int
    status: str
    revision: int
    as_of: datetime
    digest: str
    scope: dict[str, str]
    period: Period
    calendar: dict[str, Any]
    data_until: datetime
    rules: dict[str, Any]
    total: dict[str, Any]
    provinces: list[dict[str, Any]]
    districts: list[dict[str, Any]]
    agencies: list[dict[str, Any]]
    providers: list[dict[str, Any]]
    sites: list[dict[str, Any]]
    worst_sites: list[dict[str, Any]]
    planned_work: list[dict[str, Any]]
    outages: dict[str, Any]
    data: dict[str, Any]


class Revision(Answer, frozen=True):
    revision: int
    issued_at: datetime
    digest: str


class Counts(Answer, frozen=True):
    """Offices by whether their link reaches the target; share: of those of which it is known."""

    sites: int
    meets: int
    misses: int
    unknown: int
    share: float | None
    services: dict[str, dict[str, float | None]]
    agency: str | None = None
    province: str | None = None


class Rollout(Answer, frozen=True):
    period: Period
    scope: dict[str, str]
    target: dict[str, float]
    services: list[dict[str, Any]]
    total: Counts
    agencies: list[Counts]
    provinces: list[Counts]
    agencies_by_province: list[Counts]
    sites: list[dict[str, Any]]

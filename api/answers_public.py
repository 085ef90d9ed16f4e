"""What everybody may know, as the client reads it."""

from __future__ import annotations

from datetime import datetime

from msgspec import field

from api.answers import Answer


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

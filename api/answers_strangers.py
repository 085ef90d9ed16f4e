"""What was refused, and who sends without being registered, as the client reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.answers import Answer


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

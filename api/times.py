"""Times on the wire: ISO 8601 in UTC outward, any zone but never none inward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

EXAMPLE = "2026-10-05T01:30:00.000Z"
ALLOWED = (
    f"ISO 8601 with Z or an offset, like {EXAMPLE} or 2026-10-05T08:30:00+07:00 (in a URL %2B07:00)"
)
EARLIEST_MS = 0
# In the document. Taken are also the hours of 1970 that are so in UTC, and other ways of ISO 8601.
PATTERN = (
    r"^(197[1-9]|19[89][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
LATEST_MS = 32_503_680_000_000  # the year 3000: what is computed from a time stays a time
_EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)


@lru_cache(maxsize=4096)  # the metrics of a round share its time, devices of a minute their buckets
def iso(at_ms: int) -> str:
    """`2026-10-05T01:30:00.000Z` for integer milliseconds since 1970 UTC, years 1 to 9999."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds") + "Z"


def iso_or_none(at_ms: int | None) -> str | None:
    """As `iso`; None stays None."""
    return None if at_ms is None else iso(at_ms)


def parse_time(text: str) -> int:
    """Integer milliseconds since 1970 UTC; ValueError with a sentence for the caller."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        if " " in text:
            raise ValueError("not a time; in a URL a + is written %2B") from exc
        raise ValueError("not a time") from exc
    if at.tzinfo is None:
        raise ValueError("has no zone: append Z for UTC, or +07:00 for Laos (in a URL %2B07:00)")
    at_ms = (at - _EPOCH.replace(tzinfo=UTC)) // _MILLISECOND
    if not EARLIEST_MS <= at_ms <= LATEST_MS:
        raise ValueError("is not between the years 1970 and 3000")
    return at_ms


def _validate(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_time(value)
    except ValueError as exc:
        raise PydanticCustomError(
            "time", "{reason}", {"reason": str(exc), "allowed": ALLOWED}
        ) from exc


TimeIn = Annotated[
    int,
    BeforeValidator(_validate),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": PATTERN, "examples": [EXAMPLE]}
    ),
]
TimeOut = Annotated[
    str, WithJsonSchema({"type": "string", "format": "date-time", "examples": [EXAMPLE]})
]

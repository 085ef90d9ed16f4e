"""The format of an answer: as `format` says, else as the header Accept prefers, else JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query, Request

from api.problems import FieldError, ProblemError, invalid

JSON, CSV, PARQUET, GEOJSON = "json", "csv", "parquet", "geojson"
MEDIA_TYPES = {
    JSON: "application/json",
    CSV: "text/csv",
    PARQUET: "application/vnd.apache.parquet",
    GEOJSON: "application/geo+json",
}
VARY = {"Vary": "Accept"}

TableFormat = Annotated[
    Literal["json", "csv", "parquet"] | None,
    Query(description="json, csv or parquet; without it as the header Accept prefers"),
]
Bom = Annotated[
    bool, Query(description="CSV begins with a byte order mark, by which Excel knows UTF-8")
]


def format_of(request: Request, asked: str | None, offered: Sequence[str]) -> str:
    """The format to answer in, one of `offered`, of which the first is the default.

    Raises a 406 where Accept (RFC 9110, 12.5.1) takes none of them.
    """
    if asked is not None:
        return asked
    accept = ",".join(request.headers.getlist("accept")) or "*/*"
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    wanted = {name: _quality(MEDIA_TYPES[name], ranges) for name in offered}
    best = max(offered, key=lambda name: wanted[name])  # the first of equals
    if wanted[best] > 0 or not ranges:
        return best
    allowed = ", ".join(MEDIA_TYPES[name] for name in offered)
    error = FieldError("Accept", "takes none of the formats of this path", accept[:200], allowed)
    raise ProblemError(406, "Accept takes none of the formats of this path", errors=[error])


def check_bom(bom: bool, format_: str) -> None:
    """Refuse a byte order mark before anything but CSV."""
    if bom and format_ != CSV:
        raise invalid("bom", "is for CSV", got="true", allowed="only with format=csv")


def _range(text: str) -> tuple[str, float]:
    """A media range and its quality, 0 to 1; what cannot be read as one counts as 0."""
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    stated = [part[2:] for part in parameters if part.startswith("q=")]
    try:
        return media, float(stated[0]) if stated else 1.0
    except ValueError:
        return media, 0.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """How much a media type is wanted: the most specific range that holds it decides."""
    for candidate in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        found = [quality for media, quality in ranges if media == candidate]
        if found:
            return max(found)
    return 0.0

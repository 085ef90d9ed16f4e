"""Query parameters that several routes share, and the refusal of those that none has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_origin

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant
from pydantic import Field

from api.problems import FieldError, ProblemError, invalid, unknown, unknown_parameter
from api.times import TimeIn, iso
from devices.geography import PROVINCES
from devices.kinds import KINDS, METRICS
from devices.registry import DEVICE_ID, SITE_ID


def names_pattern(name: str) -> str:
    """What `listed` takes in one value, where each name is like `name`."""
    return f"^({name})?(,({name})?)*$"


Limit = Annotated[int, Query(ge=1, le=1000, description="items a page")]
WORD = r"^[^\x00-\x1f\x7f]{1,100}$"
Word = Annotated[str | None, Query(pattern=WORD)]
Cursor = Annotated[
    str | None, Query(max_length=512, description="`next` of the page before this one")
]
From = Annotated[TimeIn | None, Query(alias="from", description="first instant, included")]
To = Annotated[TimeIn | None, Query(alias="to", description="end, excluded")]
PROVINCE_NAMES: dict[str, Any] = {"enum": sorted(PROVINCES)}  # what check_province lets through
KIND_NAMES: dict[str, Any] = {"enum": sorted(KINDS)}  # what check_kind lets through
ProvinceFilter = Annotated[
    str | None,
    Query(description="ISO 3166-2 code", examples=["LA-LP"], json_schema_extra=PROVINCE_NAMES),
]
TextFilter = Annotated[
    str | None,
    Query(
        min_length=2,
        pattern=WORD,
        description="words that their text holds, in either language; large and small are one",
    ),
]
KindFilter = Annotated[
    str | None, Query(examples=["connectivity-probe"], json_schema_extra=KIND_NAMES)
]
MetricNames = Annotated[
    str,
    Field(json_schema_extra={"pattern": names_pattern("|".join({m.name: 0 for m in METRICS}))}),
]
SiteFilter = Annotated[str | None, Query(pattern=f"^{SITE_ID.pattern}$", description="a site's id")]
DeviceFilter = Annotated[
    str | None, Query(pattern=f"^{DEVICE_ID.pattern}$", description="a device's id")
]


async def check_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have, or that is given twice."""
    fields = {field.alias: field for field in _query_fields(request.scope["route"].dependant)}
    errors = [
        unknown_parameter(name, fields) for name in request.query_params if name not in fields
    ]
    for name, field in fields.items():
        given = request.query_params.getlist(name)
        if len(given) > 1 and get_origin(field.field_info.annotation) is not list:
            errors.append(FieldError(name, "is given twice", ", ".join(given)[:200], "once"))
    if errors:
        detail = "; ".join(f"{error.field} {error.reason}" for error in errors)
        raise ProblemError(422, detail, errors=errors)


def check_province(province: str | None) -> None:
    """Refuse a province that there is not."""
    if province is not None and province not in PROVINCES:
        raise unknown("province", province, PROVINCES)


def check_kind(kind: str | None) -> None:
    """Refuse a kind of device that there is not."""
    if kind is not None and kind not in KINDS:
        raise unknown("kind", kind, KINDS)


def check_order(from_ms: int | None, to_ms: int | None) -> None:
    """Refuse a range that ends before it begins."""
    if from_ms is not None and to_ms is not None and to_ms < from_ms:
        raise invalid("to", "is before from", got=iso(to_ms), allowed=f"from {iso(from_ms)} on")


def listed(values: list[str]) -> list[str]:
    """The names in a parameter that is given several times, or once with commas."""
    return list(dict.fromkeys(name for value in values for name in value.split(",") if name))


def _query_fields(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for inner in dependant.dependencies:
        yield from _query_fields(inner)

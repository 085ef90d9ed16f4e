"""What OpenAPI says of every route: an example of its answer, and the problems it can end in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from api.problems import MEDIA_TYPE


class ErrorDetails(BaseModel):
    """One thing wrong with a request."""

    field: str
    reason: str
    got: str | None
    allowed: str | None


class ProblemDetails(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ErrorDetails]


_ERRORS: dict[int, list[dict[str, str]]] = {
    422: [
        {
            "field": "limit",
            "reason": "Input should be less than or equal to 1000",
            "got": "5000",
            "allowed": "at most 1000",
        }
    ]
}


def documented(
    example: Any,
    *problems: int,
    media_type: str = "application/json",
    also: Mapping[str, str] = {},
) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: its 200 with an example, and its problems by status.

    also: examples of the media types beside, in which the 200 is no JSON.
    """
    others = {other: {"schema": {"type": "string"}, "example": also[other]} for other in also}
    return {
        200: {"content": {media_type: {"example": example}, **others}},
        **{status: _problem(status) for status in (*problems, 422, 503)},
    }


def complete(app: FastAPI, routes: Iterable[tuple[str, BaseRoute]]) -> None:
    """Put into the OpenAPI document what FastAPI leaves out of it.

    That is the schema of problems, to which every route refers, and every null of an example.
    routes: those of the document, each with the prefix of its path.
    """
    document = app.openapi()
    _, schemas = models_json_schema(
        [(ProblemDetails, "serialization")], ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"].update(schemas["$defs"])
    for prefix, route in routes:
        assert isinstance(route, APIRoute)
        for method in route.methods or ():
            described = document["paths"][prefix + route.path][method.lower()]["responses"]
            for status, response in route.responses.items():
                for media_type, content in response["content"].items():
                    media = described[str(status)]["content"][media_type]
                    media["example"] = content["example"]


def _problem(status: int) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    example = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": title.lower(),
        "instance": "/api/v1/...",
        "errors": _ERRORS.get(status, []),
    }
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {"description": title, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}

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
from api.rules import MAY, Rule, Rules


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


SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key, gvs_..., or a token"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "a key"},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "the `ETag` of an answer that is held: 304 while nothing has changed",
    "schema": {"type": "string"},
}
SCOPING = {
    "sites": "Answers what belongs to the sites that the caller may see; all else is not there.",
    "asked": "A caller who may see a part of the country asks with `province` and `agency` of that"
    " part, or with one of its sites.",
    "country": "For callers who may see the whole country.",
    "none": "The same for every caller.",
}
_ERRORS: dict[int, list[dict[str, str]]] = {
    422: [
        {
            "field": "limit",
            "reason": "must be at most 1000",
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
    kept: bool = False,
) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: its 200 with an example, and its problems by status.

    also: examples of the media types beside, in which the 200 is no JSON. kept: it may be answered
    with 304, where If-None-Match names its tag.
    """
    others = {other: {"schema": {"type": "string"}, "example": also[other]} for other in also}
    return {
        200: {"content": {media_type: {"example": example}, **others}},
        **({304: {"description": "Nothing has changed"}} if kept else {}),
        **{status: _problem(status) for status in (*problems, 422, 503)},
    }


def complete(app: FastAPI, routes: Iterable[tuple[str, BaseRoute]], rules: Rules) -> None:
    """Put into the OpenAPI document what FastAPI leaves out of it.

    That is the schema of problems, to which every route refers, every null of an example, that no
    parameter is null, and who may call. routes: those of the document, each with its path's prefix.
    """
    document = app.openapi()
    _, schemas = models_json_schema(
        [(ProblemDetails, "serialization")], ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"].update(schemas["$defs"])
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for prefix, route in routes:
        assert isinstance(route, APIRoute)
        for method in route.methods or ():
            operation = document["paths"][prefix + route.path][method.lower()]
            described = operation["responses"]
            parameters = operation.get("parameters", [])
            if "304" in described and all(p["name"] != "If-None-Match" for p in parameters):
                operation["parameters"] = [*parameters, IF_NONE_MATCH]
            for parameter in parameters:
                parameter["schema"] = _never_null(parameter["schema"])
            _describe_rights(operation, rules.find(method, prefix + route.path))
            for status, response in route.responses.items():
                for media_type, content in response.get("content", {}).items():
                    media = described[str(status)]["content"][media_type]
                    media["example"] = content["example"]


def _describe_rights(operation: dict[str, Any], rule: Rule | None) -> None:
    if rule is None or rule.least == "public":
        return
    operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
    described = operation["responses"]
    always = (401, 403, 429, *((400, 413, 415) if "requestBody" in operation else ()))
    described.update({str(s): _problem(s) for s in always if str(s) not in described})
    said = f"Role: {' or '.join(sorted(MAY[rule.least]))}. {SCOPING[rule.scoping]}"
    operation["description"] = f"{operation['description']}\n\n{said}"


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, which is there or not, but never null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if not kinds:
        return schema
    others = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**others, **kinds[0]} if len(kinds) == 1 else {**others, "anyOf": kinds}


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

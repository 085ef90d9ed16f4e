"""Errors on the wire: every 4xx and 5xx is an RFC 9457 problem that says what, got and allowed."""

from __future__ import annotations

import difflib
import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from api.headers import SECURITY_HEADERS
from api.plain_words import plain
from storage.influx.server import InfluxError
from storage.ledger.sight import OutOfSightError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
LONGEST_GOT = 200  # characters of a bad value that are shown back


class FieldError(NamedTuple):
    """One thing wrong with a request: the parameter or body field, why, its value, what may be."""

    field: str
    reason: str
    got: str | None
    allowed: str | None


class ProblemError(Exception):
    """A request that cannot be answered. extra: further members of the problem object."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def invalid(field: str, reason: str, *, got: Any, allowed: str) -> ProblemError:
    """A 422 about one parameter."""
    error = FieldError(field, reason, _shown(got), allowed)
    return ProblemError(422, f"{field} {reason}", errors=[error])


def unknown(field: str, got: str, known: Iterable[str]) -> ProblemError:
    """A 422 about a name that does not exist, with the nearest that does."""
    names = sorted(known)
    return invalid(field, f"is unknown{_nearest(got, names)}", got=got, allowed=", ".join(names))


def not_found(what: str, got: str) -> ProblemError:
    """A 404 about an id in the path."""
    return ProblemError(404, f"there is no {what} {_shown(got)!r}")


def unknown_parameter(name: str, known: Iterable[str]) -> FieldError:
    """The error for a query parameter that a route does not have."""
    names = sorted(known)
    allowed = ", ".join(names) or "no query parameter"
    return FieldError(name, f"is no parameter of this path{_nearest(name, names)}", None, allowed)


def unavailable(exc: Exception) -> ProblemError:
    """The 503 for a store that does not answer."""
    log.warning("a store did not answer: %s", exc)
    text = "a store did not answer; GET /api/v1/ready says which"
    return ProblemError(503, text, headers={"Retry-After": "5"})


def respond(request: Request, problem: ProblemError) -> Response:
    """The problem as a response; ASCII only, so that any text can be quoted."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.scope["path"],
        "errors": [error._asdict() for error in problem.errors],
        **problem.extra,
    }
    return Response(
        json.dumps(body),
        problem.status,
        headers={**SECURITY_HEADERS, **problem.headers},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Turn every exception that leaves a route into a problem response."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(OperationalError, _on_unavailable)
    app.add_exception_handler(sqlite3.OperationalError, _on_unavailable)
    app.add_exception_handler(InfluxError, _on_unavailable)
    app.add_exception_handler(OutOfSightError, _on_out_of_sight)
    app.add_exception_handler(Exception, _on_bug)


async def _on_problem(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, ProblemError)
    return respond(request, exc)


async def _on_validation(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = [_field_error(error) for error in exc.errors()]
    detail = "; ".join(f"{error.field}: {error.reason}" for error in errors)
    return respond(request, ProblemError(422, detail, errors=errors))


async def _on_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if exc.status_code == 400:  # of FastAPI, about bytes that are no text
        error = FieldError("body", "cannot be read", None, "JSON in UTF-8")
        problem = ProblemError(400, "the body cannot be read as JSON in UTF-8", errors=[error])
        return respond(request, problem)
    path = _shown(request.scope["path"])
    detail = {
        404: f"there is nothing at {path}; GET /api/v1/openapi.json lists what there is",
        405: f"{path} does not take {request.method}",
    }.get(exc.status_code, str(exc.detail))
    headers = dict(exc.headers or {})
    if exc.status_code == 405:  # the router knows those of one of its routes only
        headers["Allow"] = ", ".join(request.state.others)
    return respond(request, ProblemError(exc.status_code, detail, headers=headers))


async def _on_unavailable(request: Request, exc: Exception) -> Response:
    return respond(request, unavailable(exc))


async def _on_out_of_sight(request: Request, exc: Exception) -> Response:
    return respond(request, ProblemError(403, f"your key is limited to a part: {exc}"))


async def _on_bug(request: Request, exc: Exception) -> Response:
    # uvicorn closes the connection behind an exception: say so, lest a client sends more on it.
    text = "a fault of ours; it is in the log of govsense api"
    return respond(request, ProblemError(500, text, headers={"Connection": "close"}))


def _field_error(error: Mapping[str, Any]) -> FieldError:
    if error["type"] == "json_invalid":  # its place is an offset, its input always {}
        offset, why = error["loc"][-1], error["ctx"]["error"]
        return FieldError("body", f"is not JSON: {why} at character {offset}", None, "JSON")
    place = [str(part) for part in error["loc"][1:]]
    reason, allowed = plain(error)
    return FieldError(
        field=".".join(place) or str(error["loc"][0]),
        reason=reason,
        got=None if error["type"] == "missing" else _shown(error["input"]),
        allowed=allowed,
    )


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST_GOT else text[:LONGEST_GOT] + "..."


def _nearest(got: str, names: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(got[:LONGEST_GOT].lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""

"""Who may call, and with how much: host, origin, type and size are checked before any route."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.headers import headers_of
from api.problems import FieldError, ProblemError, respond

READING = ("GET", "HEAD", "OPTIONS")
MOST_BODY_BYTES = 64 * 1024


def host_names(listed: str) -> frozenset[str]:
    """Host names from a comma-separated list such as "localhost,127.0.0.1,[::1]"."""
    return frozenset(name.strip().lower() for name in listed.split(",") if name.strip())


class Protection:
    """ASGI middleware: refuses foreign hosts and cross-site writes, adds the security headers.

    A page elsewhere can point a name of its own at 127.0.0.1 (DNS rebinding): its requests then
    carry that name as Host, which is why only names from `allowed_hosts` are served.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed_hosts: frozenset[str],
        allowed_origins: frozenset[str],
        is_route: Callable[[str, str], bool],
    ) -> None:
        """is_route: whether there is one for a method and a path; without one it is no body's type
        that is wrong."""
        self._app = app
        self._is_route = is_route
        self._allowed_hosts = allowed_hosts
        self._allowed_origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = (
            self._host_problem(scope)
            or _origin_problem(scope, self._allowed_origins)
            or self._type_problem(scope)
        )
        if problem:
            await respond(Request(scope), problem)(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in headers_of(scope["method"], scope["path"]).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, _limited(receive), send_protected)

    def _host_problem(self, scope: Scope) -> ProblemError | None:
        got = Headers(scope=scope).getlist("host")
        if len(got) == 1 and _without_port(got[0]) in self._allowed_hosts:
            return None
        error = FieldError(
            "Host",
            "is not a name of this server; the setting http.allowed_hosts lists them",
            ", ".join(got),
            ", ".join(sorted(self._allowed_hosts)),
        )
        return ProblemError(421, "this server does not answer to that host name", errors=[error])

    def _type_problem(self, scope: Scope) -> ProblemError | None:
        if scope["method"] != "POST" or not self._is_route("POST", scope["path"]):
            return None
        stated = Headers(scope=scope).get("content-type", "")
        content_type = stated.partition(";")[0].strip().lower()
        if content_type == "application/json":
            return None
        error = FieldError("Content-Type", "is not JSON", content_type, "application/json")
        return ProblemError(415, "the body must be application/json", errors=[error])


def _limited(receive: Receive) -> Receive:
    """`receive` that ends in a 413 when the body is larger than we read."""
    total = 0

    async def receive_limited() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_BODY_BYTES:
            raise HTTPException(413, f"a body may have at most {MOST_BODY_BYTES} bytes")
        return message

    return receive_limited


def _without_port(host: str) -> str:
    end = host.rfind("]") + 1  # the colons inside [::1] are not a port's
    name, _, port = host[end:].partition(":")
    return (host[:end] + name).lower() if port.isdigit() or not port else host


def _origin_problem(scope: Scope, allowed_origins: frozenset[str]) -> ProblemError | None:
    if scope["method"] in READING:
        return None
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    is_ours = site in ("same-origin", "none") and (not origin or _netloc(origin) == headers["host"])
    if not is_ours and origin not in allowed_origins:
        error = FieldError("Origin", "is another site", origin, headers["host"])
        return ProblemError(
            403, "writes are taken from this server's own pages only", errors=[error]
        )
    return None


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""

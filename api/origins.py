"""Pages of other sites that may read the API: none, unless the settings name their origins."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = "GET, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, X-API-Key, Content-Type, Last-Event-ID, If-None-Match"
EXPOSED = "ETag, Retry-After, WWW-Authenticate"
ASK_AGAIN_S = 600


def origins(listed: str) -> frozenset[str]:
    """Origins from a list such as `https://a.gov.la,https://b.gov.la`. Raises ValueError.

    `*` and `null` are none: a key in a page must not be usable from everywhere.
    """
    found = frozenset(one.strip().lower().rstrip("/") for one in listed.split(",") if one.strip())
    for one in found:
        parts = urlsplit(one)
        if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != one:
            raise ValueError(f"http.allowed_origins: {one!r} is not like https://portal.gov.la")
    return found


class Origins:
    """ASGI middleware: answers the questions of browsers about origins that are allowed.

    Without cookies there are no credentials that a browser would add by itself: what another origin
    sends is what its page has.
    """

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        origin = headers.get("origin", "")
        if origin not in self._allowed:
            await self._app(scope, receive, send)
            return
        shared = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            allowed = {
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": HEADERS,
                "Access-Control-Max-Age": str(ASK_AGAIN_S),
            }
            await _empty(send, shared | allowed)
            return

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = MutableHeaders(scope=message)
                said["Access-Control-Allow-Origin"] = origin
                said["Access-Control-Expose-Headers"] = EXPOSED
                said.add_vary_header("Origin")
            await send(message)

        await self._app(scope, receive, send_shared)


async def _empty(send: Send, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})

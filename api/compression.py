"""Compression of text answers by gzip, where the client takes it."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.formats import MEDIA_TYPES, PARQUET

LEAST_BYTES = 1024
LEVEL = 5  # of 9: a level more costs a third more time and saves about a hundredth


class Compression:
    """ASGI middleware: compresses answers from 1 KB on, but not the event stream and Parquet.

    A strong tag becomes a weak one with it: it names the content, no longer its bytes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(
            self._with_own_headers,
            minimum_size=LEAST_BYTES,
            compresslevel=LEVEL,
            exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, MEDIA_TYPES[PARQUET]),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_weakened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if headers.get("content-encoding") == "gzip" and "etag" in headers:
                    headers["ETag"] = f"W/{headers['etag']}"
            await send(message)

        if _refuses_gzip(Headers(scope=scope).get("accept-encoding", "")):
            scope = {
                **scope,
                "headers": [h for h in scope["headers"] if h[0] != b"accept-encoding"],
            }
        await self._compressing(scope, receive, send_weakened)

    async def _with_own_headers(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, each answer with headers of its own: the page sends the same again."""

        async def send_copied(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message["headers"])}
            await send(message)

        await self._app(scope, receive, send_copied)


def _refuses_gzip(accepted: str) -> bool:
    """Whether gzip is named with the quality 0, which GZipMiddleware takes for a wish."""
    codings = [part.replace(" ", "").lower().split(";q=") for part in accepted.split(",")]
    return any(
        name == "gzip" and quality and not quality[0].strip("0.") for name, *quality in codings
    )

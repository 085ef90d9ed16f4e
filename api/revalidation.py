"""Tags of answers: who holds one already is told so, and is sent nothing (RFC 9110, 13.1.2)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

from fastapi import Depends, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TAG_BYTES = 16
KEPT = {"Cache-Control": "private, no-cache"}  # may be kept, and is asked about before each use
IN_304 = frozenset({b"cache-control", b"vary", b"etag"})  # RFC 9110, 15.4.5


async def _keep(response: Response) -> None:
    response.headers.update(KEPT)


Tagged = Depends(_keep)  # of a route whose answers get a tag
TaggedNow = Annotated[None, Tagged]


class Revalidation:
    """ASGI middleware: answers that may be kept get a strong ETag over their content.

    A request whose If-None-Match names it is answered with 304. An answer that is streamed has
    no tag: its content is not known when its header goes out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        asked = ",".join(Headers(scope=scope).getlist("if-none-match"))
        start: Message | None = None

        async def send_tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_kept(message):
                start = message
                return
            if start is not None:
                begun, start = start, None
                if not message.get("more_body"):
                    begun, message = _tagged(begun, message, asked)
                await send(begun)
            await send(message)

        await self._app(scope, receive, send_tagged)


def matches(asked: str, tag: str) -> bool:
    """Whether If-None-Match names a tag, by weak comparison (RFC 9110, 8.8.3.2)."""
    named = [one.strip().removeprefix("W/") for one in asked.split(",")]
    return "*" in named or tag in named


def _may_be_kept(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == 200 and headers.get("cache-control") == KEPT["Cache-Control"]


def _tagged(start: Message, body: Message, asked: str) -> tuple[Message, Message]:
    headers = MutableHeaders(raw=start["headers"])
    digest = blake2b(headers.get("content-type", "").encode(), digest_size=TAG_BYTES)
    digest.update(body.get("body", b""))
    headers["ETag"] = tag = f'"{digest.hexdigest()}"'
    if not matches(asked, tag):
        return start, body
    headers.add_vary_header("Accept-Encoding")  # as Compression adds it to what is sent
    kept = [pair for pair in start["headers"] if pair[0].lower() in IN_304]
    return {**start, "status": 304, "headers": kept}, {**body, "body": b""}

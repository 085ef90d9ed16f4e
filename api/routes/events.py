"""/events: what happens, as Server-Sent Events that can be resumed."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from api.credentials import RefusedError
from api.documentation import documented
from api.feed import Feed, Frame, Listener
from api.in_sight import part_of
from api.platform import Platform, PlatformNow
from api.problems import ProblemError
from api.times import EXAMPLE, iso, iso_or_none
from storage.ledger import events as ledger_events
from storage.ledger.migrations import Ledger

log = logging.getLogger(__name__)
router = APIRouter(tags=["events"])

MOST_LISTENERS = 2000
HEARTBEAT_S = 15
LAST_ID = 2**63 - 1
RENEW_S = 5.0  # how long a stream goes on for credentials that hold no longer
LISTENING = b": listening\r\n\r\n"  # so that who looks on sees at once that it works
SEND_WITHIN_S = 20.0  # a client that takes nothing for this long is dropped

STREAM_EXAMPLE = (
    ": listening\r\n\r\n"
    "id: 4711\r\nevent: alert\r\n"
    f'data: {{"at":"{EXAMPLE}","alert":"a1b2c3d4e5f6","state":"firing","device":"probe-0042",'
    '"severity":"critical","text_en":"..."}\r\n\r\n'
    ": still here\r\n\r\n"
)


class Stream(EventSourceResponse):
    """The stream of one listener; it ends quietly when its client does not take what is sent."""

    def __init__(self, feed: Feed, listener: Listener, texts: AsyncIterator[bytes]) -> None:
        super().__init__(
            texts,
            ping=HEARTBEAT_S,
            ping_message_factory=lambda: ServerSentEvent(comment="still here"),
            send_timeout=SEND_WITHIN_S,
        )
        self._leave = partial(feed.leave, listener)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until either side ends it; where we end it because we stop, as a whole answer."""
        whole = False

        async def tell(message: Message) -> None:
            nonlocal whole
            whole = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await super().__call__(scope, receive, tell)
            if not whole:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except SendTimeoutError:
            log.info("an event stream was dropped: its client took nothing for %s s", SEND_WITHIN_S)
        finally:
            self._leave()


def feed_of(ledger: Ledger) -> Feed:
    """The live feed of a ledger's events."""

    def read(after: int, limit: int) -> Sequence[Frame]:
        return [_frame(event) for event in ledger_events.since(ledger, after, limit)]

    return Feed(read, lambda: ledger_events.last_id(ledger))


@router.get(
    "/events",
    response_class=Response,
    responses=documented(STREAM_EXAMPLE, media_type="text/event-stream"),
)
async def events(
    request: Request,
    platform: PlatformNow,
    after: Annotated[int | None, Query(ge=0, le=LAST_ID, description="id of an event")] = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=LAST_ID)] = None,
) -> Response:
    """Changes of alerts (`alert`), incidents (`incident`) and devices (`device`), as committed.

    Without `after` or `Last-Event-ID` the stream begins now; with one, behind that event. The
    event `reset` says that the stream could not be resumed there: read the lists anew. A comment
    comes at once and every 15 seconds. A client that falls behind is cut off and may resume.
    """
    feed: Feed = request.app.state.feed
    numbers: Ledger = request.app.state.platform.ledger  # of events, which are nobody's
    if len(feed) >= MOST_LISTENERS:
        raise ProblemError(503, "too many event streams are open", headers={"Retry-After": "30"})
    begin = after if last_event_id is None else last_event_id
    oldest = await run_in_threadpool(ledger_events.oldest_id, numbers)
    show = partial(_shown, platform)
    listener = await feed.join()
    return Stream(feed, listener, _texts(feed, listener, begin, oldest, show, request))


async def _texts(
    feed: Feed,
    listener: Listener,
    after: int | None,
    oldest: int,
    show: Callable[[Frame], Awaitable[bytes]],
    request: Request,
) -> AsyncIterator[bytes]:
    """The stream from behind `after`; `oldest` is the first event that is still kept.

    It ends before the next event once the caller's credentials hold no longer.
    """
    renewed_at = time.monotonic()
    yield LISTENING
    if after is None:
        after = listener.since
    elif not oldest - 1 <= after <= listener.since:
        after = listener.since
        yield _text(after, "reset", "{}")
    async for frame in feed.frames(listener, after):
        if time.monotonic() - renewed_at > RENEW_S:
            try:
                await request.state.renewed()
            except RefusedError as exc:
                log.info("an event stream was ended: %s", exc)
                return
            renewed_at = time.monotonic()
        text = await show(frame)
        if text:
            yield text


async def _shown(platform: Platform, frame: Frame) -> bytes:
    """What of an event its listener sees, b"" for nothing."""
    if platform.caller.sight.is_whole:
        return frame.text
    seen = await run_in_threadpool(platform.seen)
    assert seen is not None
    event: ledger_events.NumberedEvent = frame.about
    if event.type == "incident" and not seen.sites.isdisjoint(event.data["sites"]):
        return _frame(event._replace(data=part_of(event.data, seen))).text
    is_theirs = (event.type == "alert" and event.data["site"] in seen.sites) or (
        event.type == "device" and event.data["device"] in seen.devices
    )
    return frame.text if is_theirs else b""


def _frame(event: ledger_events.NumberedEvent) -> Frame:
    data = msgspec.json.encode({"at": iso(event.at_ms), **_public(event.data)}).decode()
    return Frame(event.id, _text(event.id, event.type, data), event)


def _text(number: int, kind: str, data: str) -> bytes:
    return f"id: {number}\r\nevent: {kind}\r\ndata: {data}\r\n\r\n".encode()


def _public(data: dict[str, Any]) -> dict[str, Any]:
    """An event's data under the names and with the times of the other routes."""
    shown = {name: value for name, value in data.items() if not name.endswith("_ms")}
    if "event_ms" in data:
        shown["event_time"] = iso(data["event_ms"])
    if "started_ms" in data:
        shown["started_at"] = iso(data["started_ms"])
        shown["ended_at"] = iso_or_none(data["ended_ms"])
    if data.get("metric") == "":
        shown["metric"] = None
    return shown

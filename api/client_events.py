"""The client's side of the event stream: Server-Sent Events that are resumed when they break."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import msgspec

from api.answers import Event
from api.client_errors import AwayError, error_of

SILENT_S = 45.0  # a comment comes every 15 s
PASSING = (429, 502, 503, 504)


def read_events(
    http: httpx.Client,
    *,
    after: int | None,
    tries: int,
    wait: Callable[[int, str | None], None],
) -> Iterator[Event]:
    """Events behind the id `after`, or from now on; for ever, unless `tries` in a row fail."""
    failed = 0
    while True:
        retry_after = None
        try:
            for event in _connection(http, after):
                failed, after = 0, event.id
                yield event
            reason = "the stream has ended"
        except httpx.TransportError as exc:
            reason = f"the stream broke: {exc or type(exc).__name__}"
        except _LaterError as exc:
            reason, retry_after = "the platform asks to come back later", exc.retry_after
        failed += 1
        if failed >= tries:
            raise AwayError(0, reason)
        wait(failed, retry_after)


class _LaterError(Exception):
    def __init__(self, retry_after: str | None) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


def _connection(http: httpx.Client, after: int | None) -> Iterator[Event]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    timeout = httpx.Timeout(http.timeout.connect, read=SILENT_S)
    with http.stream("GET", "/api/v1/events", headers=headers, timeout=timeout) as answer:
        if answer.status_code in PASSING:
            raise _LaterError(answer.headers.get("retry-after"))
        if answer.status_code != 200:
            raise error_of(answer.status_code, _problem(answer.read()))
        yield from parse(answer.iter_lines())


def parse(lines: Iterator[str]) -> Iterator[Event]:
    """The events in lines of a stream; an event ends with an empty line, a comment begins with :.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            data = msgspec.json.decode(fields["data"])
            yield Event(int(fields["id"]), fields.get("event", "message"), data)
            fields = {}
        else:
            fields = {}


def _problem(body: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.MsgspecError:
        return {}

"""The client's side of the event stream: Server-Sent Events that are resumed when they break."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import msgspec

from api.answers_trouble import Event
from api.client_errors import AwayError, error_of_answer

SILENT_S = 45.0  # a comment comes every 15 s


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
        except AwayError as exc:
            reason, retry_after = "the platform asks to come back later", exc.retry_after
        failed += 1
        if failed >= tries:
            raise AwayError(0, reason)
        wait(failed, retry_after)


def _connection(http: httpx.Client, after: int | None) -> Iterator[Event]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    timeout = httpx.Timeout(http.timeout.connect, read=SILENT_S)
    with http.stream("GET", "/api/v1/events", headers=headers, timeout=timeout) as answer:
        if answer.status_code != 200:
            answer.read()
            raise error_of_answer(answer)
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

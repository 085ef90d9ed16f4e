"""Malformed payloads: a good one made bad in each way that devices in the field have shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MAX_PAYLOAD = 256 * 1024

Message = dict[str, Any]


def _text(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def _with_value(message: Message, literal: str) -> bytes:
    """The message with its first value replaced by a literal."""
    first = next(iter(message["m"]))
    marked = {**message, "m": {**message["m"], first: "\x00"}}
    return _text(marked).replace(b'"\\u0000"', literal.encode(), 1)


def _truncated(message: Message) -> bytes:
    payload = _text(message)
    return payload[: len(payload) * 2 // 3]


def _without_time(message: Message) -> bytes:
    return _text({key: value for key, value in message.items() if key != "ts"})


def _unknown_metric(message: Message) -> bytes:
    return _text({**message, "m": {**message["m"], "temprature": 21.5}})


def _too_many_fields(message: Message) -> bytes:
    return _text({**message, "m": {f"metric_{n}": n for n in range(300)}})


# name: (what it makes of a good message, an object in native JSON of one round)
MALFORMED: dict[str, Callable[[Message], bytes]] = {
    "empty": lambda message: b"",
    "not-json": lambda message: b"temperature=21.5;humidity=60",
    "truncated": _truncated,
    "bad-utf8": lambda message: _text(message).replace(b'"m":{"', b'"m":{"\xff\xfe', 1),
    "not-a-number": lambda message: _with_value(message, "NaN"),
    "number-too-large": lambda message: _with_value(message, "1e400"),
    "text-value": lambda message: _with_value(message, '"21,5 C"'),
    "too-deep": lambda message: _with_value(message, "[" * 12 + "]" * 12),
    "too-many-fields": _too_many_fields,
    "wrong-version": lambda message: _text({**message, "v": 9}),
    "without-time": _without_time,
    "unknown-key": lambda message: _text({**message, "colour": "green"}),
    "unknown-metric": _unknown_metric,
    "oversize": lambda message: _text({**message, "a": {"note": "x" * MAX_PAYLOAD}}),
}


def malformed(payload: bytes, name: str) -> bytes:
    """A good payload (native JSON, one round) made bad in the way that `name` says."""
    return MALFORMED[name](json.loads(payload))

"""Cursors: where the next page begins, bound to the question that was asked."""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import blake2b
from typing import Any

from fastapi import Request

from api.problems import ProblemError, invalid

DIGEST_BYTES = 6
LARGEST = 2**45  # of a number in a position: beyond any time that can be asked for


def encode(request: Request, position: tuple[int | str, ...]) -> str:
    """The cursor for a position in the answer to this request."""
    body = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(request, body) + body).decode().rstrip("=")


def decode(request: Request, cursor: str, shape: tuple[type, ...]) -> tuple[Any, ...]:
    """The position of a cursor, of the types in `shape`; a 422 for one that we did not make.

    The digest is there against mistakes, not attackers: a position grants nothing that the
    request itself could not ask for. That is why the types are checked too.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        digest, body = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
        position = json.loads(body)
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise _refusal(cursor) from exc
    if digest != _digest(request, body) or not _fits(position, shape):
        raise _refusal(cursor)
    return tuple(position)


def _digest(request: Request, body: bytes) -> bytes:
    asked = sorted(
        item for item in request.query_params.multi_items() if item[0] not in ("cursor", "limit")
    )
    question = json.dumps([request.scope["path"], asked]).encode()
    return blake2b(question + body, digest_size=DIGEST_BYTES).digest()


def _fits(position: Any, shape: tuple[type, ...]) -> bool:
    return (
        isinstance(position, list)
        and [type(part) for part in position] == list(shape)
        and all(_is_plain(part) for part in position)
    )


def _is_plain(part: int | str) -> bool:
    if isinstance(part, int):
        return abs(part) <= LARGEST
    return part.isascii() and part.isprintable()


def _refusal(cursor: str) -> ProblemError:
    return invalid(
        "cursor",
        "was not made for this question",
        got=cursor,
        allowed="the `next` of an answer to the same path and filters",
    )

"""JSON as the contract allows it: parsed within limits, or refused with the reason why not."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from devices.wire import reasons
from devices.wire.message import PayloadError, check_structure

_DECODER = msgspec.json.Decoder()
_AT_BYTE = re.compile(r"\(byte (\d+)\)")
_NON_FINITE = re.compile(rb"[:\[,]\s*[-+]?(?:nan|inf(?:inity)?)\b", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def parse_json(payload: bytes) -> Any:
    """The tree of a JSON text. Raises PayloadError, and nothing else, on any bytes."""
    try:
        tree = _DECODER.decode(payload)
    except UnicodeDecodeError as exc:
        raise PayloadError(reasons.BAD_UTF8, "", str(exc)[:200]) from exc
    except RecursionError as exc:
        raise PayloadError(reasons.TOO_DEEP, "", "nested without end") from exc
    except msgspec.ValidationError as exc:
        raise PayloadError(reasons.NUMBER_TOO_LARGE, "", "a number beyond a double") from exc
    except msgspec.DecodeError as exc:
        raise _syntax_error(payload, str(exc)) from exc
    check_structure(tree)
    return tree


def _syntax_error(payload: bytes, message: str) -> PayloadError:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as exc:
        return PayloadError(reasons.BAD_UTF8, "", str(exc)[:200])
    if _has_lone_surrogate(text):
        return PayloadError(reasons.BAD_UTF8, "", "half of a surrogate pair")
    if (at := _AT_BYTE.search(message)) is not None:
        byte = int(at[1])
        if (found := _NON_FINITE.search(payload, max(0, byte - 12), byte + 12)) is not None:
            literal = found[0].lstrip(b":[, \t\r\n").decode("ascii")
            return PayloadError(reasons.NOT_A_NUMBER, "", f"{literal} at byte {byte}")
    return PayloadError(reasons.BAD_JSON, "", message)


def _has_lone_surrogate(text: str) -> bool:
    high = False
    end = 0
    for escape in _ESCAPE.finditer(text):
        unit = int(escape[1] or "0", 16)
        follows = high and escape.start() == end
        if high and not (follows and 0xDC00 <= unit < 0xE000):
            return True
        if not high and 0xDC00 <= unit < 0xE000:
            return True
        high = 0xD800 <= unit < 0xDC00
        end = escape.end()
    return high

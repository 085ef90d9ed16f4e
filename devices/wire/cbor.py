"""A strict reader for the part of CBOR (RFC 8949) that SenML needs.

Arrays, maps with integer or text keys, integers, floats, decimal fractions, texts, byte strings,
booleans and null, with definite and indefinite lengths. It allocates only for bytes that are
there, reads no map of more than MAX_FIELDS members (a general decoder spends seconds on a map
whose keys collide) and no array of more than MAX_RECORDS items, and refuses every tag that would
build an object.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from devices.wire import reasons
from devices.wire.message import MAX_DEPTH, MAX_FIELDS, MAX_RECORDS, PayloadError, to_double

_INDEFINITE = 31
_BREAK = 0xFF
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None}


def parse_cbor(payload: bytes) -> Any:
    """The tree of one CBOR item. Raises PayloadError, and nothing else, on any bytes."""
    reader = _Reader(payload)
    tree = reader.item(1)
    if reader.at != len(payload):
        raise _malformed(f"{len(payload) - reader.at} bytes after the end")
    return tree


def _malformed(detail: str) -> PayloadError:
    return PayloadError(reasons.BAD_CBOR, "", detail)


class _Reader:
    """A place in a buffer, and the items from there on."""

    def __init__(self, buffer: bytes) -> None:
        self._buffer = buffer
        self.at = 0

    def item(self, depth: int) -> Any:
        major, info = self._head()
        if major <= 1:
            number = self._argument(info)
            return number if major == 0 else -1 - number
        if major <= 3:
            return self._string(major, info)
        if major == 7:
            return self._simple(info)
        if depth > MAX_DEPTH:
            raise PayloadError(reasons.TOO_DEEP, "", f"deeper than {MAX_DEPTH}")
        if major == 6:
            return self._tagged(self._argument(info), depth)
        return self._array(info, depth) if major == 4 else self._map(info, depth)

    def _head(self) -> tuple[int, int]:
        byte = self._take(1)[0]
        return byte >> 5, byte & 31

    def _take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._buffer):
            raise _malformed(f"ends {end - len(self._buffer)} bytes early")
        taken = self._buffer[self.at : end]
        self.at = end
        return taken

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise _malformed(f"length code {info} at byte {self.at}")
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _ends(self) -> bool:
        """Whether an indefinite-length item ends here; steps over the end."""
        if self.at < len(self._buffer) and self._buffer[self.at] == _BREAK:
            self.at += 1
            return True
        return False

    def _string(self, major: int, info: int) -> str | bytes:
        if info != _INDEFINITE:
            return self._chunk(major, info)
        chunks: list[str | bytes] = []
        while not self._ends():
            _check_count(chunks)
            chunk_major, chunk_info = self._head()
            if chunk_major != major or chunk_info == _INDEFINITE:
                raise _malformed(f"a string in pieces of other types at byte {self.at}")
            chunks.append(self._chunk(major, chunk_info))
        return (b"" if major == 2 else "").join(chunks)  # type: ignore[arg-type]

    def _chunk(self, major: int, info: int) -> str | bytes:
        content = self._take(self._argument(info))
        if major == 2:
            return content
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise PayloadError(reasons.BAD_UTF8, "", str(exc)[:200]) from exc

    def _array(self, info: int, depth: int) -> list[Any]:
        items: list[Any] = []
        count = None if info == _INDEFINITE else self._argument(info)
        while not self._ends() if count is None else len(items) < count:
            _check_count(items)
            items.append(self.item(depth + 1))
        return items

    def _map(self, info: int, depth: int) -> dict[int | str, Any]:
        members: dict[int | str, Any] = {}
        count = None if info == _INDEFINITE else self._argument(info)
        while not self._ends() if count is None else len(members) < count:
            if len(members) == MAX_FIELDS:
                detail = f"more than {MAX_FIELDS} fields in one map"
                raise PayloadError(reasons.TOO_MANY_FIELDS, "", detail)
            key = self.item(depth + 1)
            if type(key) is not int and type(key) is not str:
                raise _malformed(f"a key that is neither integer nor text at byte {self.at}")
            if key in members:
                raise _malformed(f"key {key!r} twice in one map"[:200])
            members[key] = self.item(depth + 1)
        return members

    def _tagged(self, tag: int, depth: int) -> float:
        content = self.item(depth + 1)
        if tag in (2, 3) and isinstance(content, bytes):
            magnitude = to_double(int.from_bytes(content, "big"), "")
            return magnitude if tag == 2 else -1.0 - magnitude
        if tag == 4 and isinstance(content, list) and [type(n) for n in content] == [int, int]:
            exponent, mantissa = content
            return _finite(float(f"{mantissa}e{exponent}"), reasons.NUMBER_TOO_LARGE)
        raise _malformed(f"tag {tag}; allowed: 2, 3, 4 on numbers")

    def _simple(self, info: int) -> Any:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info not in _FLOATS:
            raise _malformed(f"simple value {info} at byte {self.at}")
        form = _FLOATS[info]
        (number,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return _finite(number, reasons.NOT_A_NUMBER)


def _check_count(items: list[Any]) -> None:
    if len(items) == MAX_RECORDS:
        raise PayloadError(reasons.OVERSIZE, "", f"more than {MAX_RECORDS} items in one array")


def _finite(number: float, reason: str) -> float:
    if not math.isfinite(number):
        raise PayloadError(reason, "", f"{number}")
    return number

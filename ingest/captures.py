"""Captures: what arrived at a broker, a JSON line per message in order of arrival."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from ingest.journal import Record

EARLIEST_MS = 1_577_836_800_000  # 2020-01-01
LATEST_MS = 4_102_444_800_000  # 2100-01-01: what is later was not written in milliseconds
SHOWN = 60  # characters of a bad line in an error


class CaptureError(ValueError):
    """A capture or a line of it cannot be read; the text names file, line, what is there, what may
    be.
    """


class _Line(msgspec.Struct, omit_defaults=True):
    at: int
    topic: str
    payload: str | None = None
    payload_b64: str | None = None
    retained: bool = False


_DECODER = msgspec.json.Decoder(_Line)


def capture_line(at_ms: int, topic: str, payload: bytes, *, retained: bool) -> bytes:
    """One message as a line of a capture, with its end of line."""
    line = _Line(at_ms, topic, retained=retained)
    try:
        line.payload = payload.decode()
    except UnicodeDecodeError:
        line.payload_b64 = base64.b64encode(payload).decode()
    return msgspec.json.encode(line) + b"\n"


def read_capture(file: Path) -> Iterator[Record]:
    """The messages of a capture in order; positions count from 0.

    Receive times never run backwards: where one is earlier than that of a line before, the clock
    of the recording machine was set back, and the message counts as received with that line.
    Empty lines are skipped. Raises CaptureError.
    """
    position = latest_ms = 0
    with _opened(file) as lines:
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            said = _read(file, number, text)
            latest_ms = max(latest_ms, said.at)
            payload = _payload(file, number, said)
            yield Record(position, latest_ms, said.topic, payload, said.retained)
            position += 1


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as exc:
        raise CaptureError(
            f"{file}: cannot be read: {exc.strerror}; allowed: a file that `govsense capture` wrote"
        ) from exc


def _read(file: Path, number: int, text: bytes) -> _Line:
    try:
        said = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise _error(file, number, f"{_shown(text)}: {exc}", "a JSON object with at, topic and"
                     " payload") from exc  # fmt: skip
    if not EARLIEST_MS <= said.at <= LATEST_MS:
        raise _error(file, number, f"at is {said.at}", f"milliseconds since 1970 UTC, {EARLIEST_MS}"
                     f" to {LATEST_MS}")  # fmt: skip
    return said


def _payload(file: Path, number: int, said: _Line) -> bytes:
    if (said.payload is None) == (said.payload_b64 is None):
        got = "no payload" if said.payload is None else "payload and payload_b64"
        raise _error(file, number, got, "one of payload and payload_b64")
    if said.payload is not None:
        return said.payload.encode()
    assert said.payload_b64 is not None
    try:
        return base64.b64decode(said.payload_b64, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _error(file, number, f"payload_b64: {exc}", "base64") from exc


def _error(file: Path, number: int, got: str, allowed: str) -> CaptureError:
    return CaptureError(f"{file}, line {number}: {got}; allowed: {allowed}")


def _shown(text: bytes) -> str:
    shown = text.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return repr(shown if len(shown) <= SHOWN else shown[:SHOWN] + "...")

"""Capture files: a line of JSON per message, in order, written from a run or beside a fleet."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import TextIO

from simulators.feed import Step
from simulators.identity import Identity


class CaptureWriter:
    """Writes messages to an open text file (UTF-8)."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.count = 0

    def write(self, at_ms: int, topic: str, payload: bytes) -> None:
        """One message that was published at a time, milliseconds since 1970 UTC."""
        line: dict[str, object] = {"at": at_ms, "topic": topic}
        try:
            line["payload"] = payload.decode("utf-8")
        except UnicodeDecodeError:
            line["payload_b64"] = base64.b64encode(payload).decode("ascii")
        self._file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
        self.count += 1


def write_steps(
    steps: Iterable[Step], identities: Mapping[str, Identity], writer: CaptureWriter
) -> None:
    """Write what a broker would have passed on if every message arrived at its event time.

    A device that is cut is followed by its Will.
    """
    for step in steps:
        identity = identities[step.device]
        if step.what == "connect":
            writer.write(step.at_ms, identity.topic("status"), identity.birth(step.at_ms))
        elif step.what in ("cut", "leave"):
            writer.write(step.at_ms, identity.topic("status"), identity.will())
        else:
            writer.write(step.at_ms, identity.topic(step.what), step.payload)

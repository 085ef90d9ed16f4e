"""What a device says of itself: its birth message, and the Last Will that speaks for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from devices.wire import reasons
from devices.wire.json_text import parse_json
from devices.wire.message import MAX_AT_MS, MAX_BOOT, PayloadError, check_size, shown

_Text = Annotated[str, Meta(max_length=MAX_BOOT, pattern=r"^[^\x00]+$")]
_KEYS = ("v", "state", "boot", "kind", "fw", "interval_s", "ts", "up")


@dataclass(frozen=True, slots=True)
class Status:
    """One status message; None for what it does not say.

    at_ms: event time, milliseconds since 1970 UTC. more: keys that the contract does not have.
    """

    state: Literal["online", "offline"]
    boot: str | None = None
    kind: str | None = None
    fw: str | None = None
    interval_s: float | None = None
    at_ms: int | None = None
    uptime_s: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


class _Status(msgspec.Struct):
    state: Literal["online", "offline"]
    boot: _Text | None = None
    kind: _Text | None = None
    fw: _Text | None = None
    interval_s: Annotated[float, Meta(gt=0)] | None = None
    ts: Annotated[int, Meta(ge=-MAX_AT_MS, le=MAX_AT_MS)] | None = None
    up: Annotated[float, Meta(ge=0)] | None = None


def decode_status(payload: bytes) -> Status:
    """What a status payload says. Raises PayloadError, and nothing else, on any bytes."""
    check_size(payload)
    tree = parse_json(payload)
    if not isinstance(tree, dict):
        raise PayloadError(reasons.BAD_JSON, "", "not an object")
    version = tree.get("v")
    if type(version) is not int:
        detail = f"{shown(version)}; allowed: the integer 1"
        raise PayloadError(reasons.BAD_ENVELOPE, "v", detail)
    if version != 1:
        raise PayloadError(reasons.BAD_VERSION, "v", f"{shown(version)}; allowed: 1")
    try:
        said = msgspec.convert(tree, _Status)
    except msgspec.ValidationError as exc:
        raise PayloadError(reasons.BAD_ENVELOPE, "", str(exc)) from exc
    more = {key: value for key, value in tree.items() if key not in _KEYS}
    return Status(
        said.state, said.boot, said.kind, said.fw, said.interval_s, said.ts, said.up, more
    )


def encode_status(status: Status) -> bytes:
    """The payload of a birth message or Last Will; what is None is left out."""
    said = {
        "v": 1,
        "state": status.state,
        "kind": status.kind,
        "fw": status.fw,
        "boot": status.boot,
        "interval_s": status.interval_s,
        "ts": status.at_ms,
        "up": status.uptime_s,
    }
    return msgspec.json.encode({k: v for k, v in (said | status.more).items() if v is not None})

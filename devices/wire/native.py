"""Telemetry in native JSON: one round or a batch, in both directions.

A payload that is right in every part is decoded in one typed pass; anything else goes to
devices.wire.lenient, which takes it apart field by field.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from devices.kinds import Kind
from devices.wire.lenient import decode_leniently, drop_nulls
from devices.wire.message import (
    MAX_AT_MS,
    MAX_BYTES,
    MAX_FIELDS,
    MAX_ROUNDS,
    MAX_SEQ,
    Message,
    Refusal,
    Round,
    is_boot,
)

_Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
_At = Annotated[int, Meta(ge=-MAX_AT_MS, le=MAX_AT_MS)]
_Up = Annotated[float, Meta(ge=0)]
_Values = dict[str, float | bool | None]


class _Round(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    ts: _At
    m: _Values
    seq: _Seq | None = None
    a: dict[str, str] | None = None
    up: _Up | None = None


class _Payload(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    v: Literal[1]
    boot: str | None = None
    seq: _Seq | None = None
    ts: _At | None = None
    up: _Up | None = None
    m: _Values | None = None
    a: dict[str, str] | None = None
    r: list[_Round] | None = None


_DECODER = msgspec.json.Decoder(_Payload)
_ENCODER = msgspec.json.Encoder()
_MISTYPED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_native(payload: bytes, kind: Kind) -> Message:
    """What a native JSON payload says. Raises PayloadError, and nothing else, on any bytes."""
    try:
        said = _DECODER.decode(payload)
    except _MISTYPED:
        return decode_leniently(payload, kind)
    if said.boot is not None and not is_boot(said.boot):
        return decode_leniently(payload, kind)
    at_ms, values = said.ts, said.m
    if said.r is not None:
        if at_ms is None and values is None and said.seq is None and said.a is None:
            return _typed_batch(payload, said, kind)
    elif at_ms is not None and values is not None and _is_within(values, said.a):
        refusals: list[Refusal] = []
        kept = drop_nulls(values, kind, "m", refusals)
        return Message(said.boot, [Round(said.seq, at_ms, kept, said.a)], refusals, said.up)
    return decode_leniently(payload, kind)


def _typed_batch(payload: bytes, said: _Payload, kind: Kind) -> Message:
    assert said.r is not None
    if not 0 < len(said.r) <= MAX_ROUNDS:
        return decode_leniently(payload, kind)
    rounds: list[Round] = []
    refusals: list[Refusal] = []
    uptime_s = said.up
    for index, one in enumerate(said.r):
        if not _is_within(one.m, one.a):
            return decode_leniently(payload, kind)
        values = drop_nulls(one.m, kind, f"r[{index}].m", refusals)
        rounds.append(Round(one.seq, one.ts, values, one.a))
        if one.up is not None:
            uptime_s = one.up
    return Message(said.boot, rounds, refusals, uptime_s)


def _is_within(values: _Values, attributes: dict[str, str] | None) -> bool:
    return len(values) <= MAX_FIELDS and (attributes is None or len(attributes) <= MAX_FIELDS)


def encode(message: Message) -> bytes:
    """One round as a single payload, several as a batch.

    ValueError when a value is not finite, or when there are more rounds or bytes than allowed.
    """
    if len(message.rounds) != 1:
        return encode_batch(message)
    tree = _head(message) | _round_tree(message.rounds[0])
    return _bounded(_ENCODER.encode(tree))


def encode_batch(message: Message) -> bytes:
    """The rounds as a batch, also when there is only one; errors as encode."""
    if not 0 < len(message.rounds) <= MAX_ROUNDS:
        raise ValueError(f"{len(message.rounds)} rounds in a batch; allowed 1 to {MAX_ROUNDS}")
    tree = _head(message)
    tree["r"] = [_round_tree(one) for one in message.rounds]
    return _bounded(_ENCODER.encode(tree))


def _head(message: Message) -> dict[str, Any]:
    head: dict[str, Any] = {"v": 1}
    if message.boot is not None:
        head["boot"] = message.boot
    if message.uptime_s is not None:
        head["up"] = message.uptime_s
    return head


def _round_tree(said: Round) -> dict[str, Any]:
    check_finite(said.values)
    tree: dict[str, Any] = {} if said.seq is None else {"seq": said.seq}
    tree["ts"] = said.at_ms
    tree["m"] = said.values
    if said.attributes is not None:
        tree["a"] = said.attributes
    return tree


def check_finite(values: dict[str, float]) -> None:
    """Raise ValueError for NaN and infinities: JSON would turn them into nulls unseen."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} {value} is not finite; leave out what was not measured")


def _bounded(payload: bytes) -> bytes:
    if len(payload) > MAX_BYTES:
        raise ValueError(f"{len(payload)} bytes; allowed {MAX_BYTES}")
    return payload

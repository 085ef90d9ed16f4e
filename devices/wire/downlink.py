"""What the platform says to a device: receipts, and requests to send again."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from devices.wire import reasons
from devices.wire.json_text import parse_json
from devices.wire.message import MAX_BOOT, MAX_SEQ, PayloadError, check_size

_Boot = Annotated[str, Meta(min_length=1, max_length=MAX_BOOT)]
_Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]


class Receipt(msgspec.Struct, frozen=True):
    """Every round of this boot up to seq is on the platform's disk."""

    boot: _Boot
    seq: _Seq


class Resend(msgspec.Struct, frozen=True, rename={"from_seq": "from", "to_seq": "to"}):
    """The platform misses the rounds from_seq to to_seq, both included, of this boot."""

    boot: _Boot
    from_seq: _Seq
    to_seq: _Seq


_Said = TypeVar("_Said", Receipt, Resend)


def encode_receipt(receipt: Receipt) -> bytes:
    """The payload of a receipt."""
    return msgspec.json.encode(receipt)


def encode_resend(resend: Resend) -> bytes:
    """The payload of a request to send again."""
    return msgspec.json.encode(resend)


def decode_receipt(payload: bytes) -> Receipt:
    """What a receipt says. Raises PayloadError, and nothing else, on any bytes."""
    return _decode(payload, Receipt)


def decode_resend(payload: bytes) -> Resend:
    """What a request to send again says. Raises PayloadError, and nothing else, on any bytes."""
    resend = _decode(payload, Resend)
    if resend.from_seq > resend.to_seq:
        detail = f"from {resend.from_seq} is after to {resend.to_seq}"
        raise PayloadError(reasons.BAD_ENVELOPE, "from", detail)
    return resend


def _decode(payload: bytes, shape: type[_Said]) -> _Said:
    check_size(payload)
    try:
        return msgspec.convert(parse_json(payload), shape)
    except msgspec.ValidationError as exc:
        raise PayloadError(reasons.BAD_ENVELOPE, "", str(exc)) from exc

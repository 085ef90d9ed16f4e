"""The wire: payloads to what they say, and back.

`decode` reads telemetry and backfill in all three formats, told apart by the first byte. It needs
the device's kind, because a boolean for a quantity is refused and SenML units are turned into
the metric's, and the receive time, because SenML times may be relative to now. A metric that
the kind does not have is passed on as it came: who knows the device refuses it.

A whole payload that is refused raises PayloadError. A part that is refused (a key, a value, a
round) is a Refusal in the Message, beside everything else.
"""

from __future__ import annotations

from devices.kinds import Kind
from devices.wire import reasons
from devices.wire.downlink import (
    Receipt,
    Resend,
    decode_receipt,
    decode_resend,
    encode_receipt,
    encode_resend,
)
from devices.wire.message import (
    MAX_BYTES,
    Message,
    PayloadError,
    Refusal,
    Round,
    check_size,
    listed,
)
from devices.wire.native import decode_native, encode, encode_batch
from devices.wire.senml import (
    decode_senml_cbor,
    decode_senml_json,
    encode_senml_cbor,
    encode_senml_json,
)
from devices.wire.status import Status, decode_status, encode_status

__all__ = [
    "Message",
    "PayloadError",
    "Receipt",
    "Refusal",
    "Resend",
    "Round",
    "Status",
    "decode",
    "decode_receipt",
    "decode_resend",
    "decode_status",
    "encode",
    "encode_batch",
    "encode_receipt",
    "encode_resend",
    "encode_senml_cbor",
    "encode_senml_json",
    "encode_status",
    "reasons",
]

_OBJECT = ord("{")
_ARRAY = ord("[")
_CBOR_ARRAYS = range(0x80, 0xA0)
_WHITESPACE = b" \t\r\n"


def decode(payload: bytes, kind: Kind, received_ms: int) -> Message:
    """What a telemetry or backfill payload of a device of this kind says.

    received_ms: receive time, milliseconds since 1970 UTC. Raises PayloadError, and nothing else,
    on any bytes.
    """
    message = _decode(payload, kind, received_ms)
    return listed(message) if message.refusals else message


def _decode(payload: bytes, kind: Kind, received_ms: int) -> Message:
    if 0 < len(payload) <= MAX_BYTES and payload[0] == _OBJECT:
        return decode_native(payload, kind)
    check_size(payload)
    if payload[0] in _CBOR_ARRAYS:
        return decode_senml_cbor(payload, kind, received_ms)
    start = payload.lstrip(_WHITESPACE)
    if start and start[0] == _ARRAY:
        return decode_senml_json(payload, kind, received_ms)
    return decode_native(payload, kind)

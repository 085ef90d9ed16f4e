"""On any bytes a decoder gives a message or a PayloadError with a reason of the table."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.kinds import KINDS, Kind
from devices.wire import (
    Message,
    PayloadError,
    decode,
    decode_receipt,
    decode_resend,
    decode_status,
    encode,
    encode_batch,
    encode_senml_cbor,
    encode_senml_json,
)
from devices.wire.reasons import REASONS
from tests.devices.messages import NOW, messages


def reasoned(decode_it: Callable[[], Any]) -> Any:
    """What a decoder says; None when it refused the payload for a reason of the table."""
    reason = None
    try:
        return decode_it()
    except PayloadError as exc:
        reason = exc.reason
    assert reason in REASONS
    return None


def check(payload: bytes, kind: Kind) -> None:
    """Decode, and hold the result to what a Message promises."""
    message = reasoned(lambda: decode(payload, kind, NOW))
    if message is None:
        return
    assert all(refusal.reason in REASONS for refusal in message.refusals)
    for said in message.rounds:
        assert type(said.at_ms) is int
        assert abs(said.at_ms) < 2**62
        for name, value in said.values.items():
            assert isinstance(value, float | bool)
            assert math.isfinite(value)
            if isinstance(value, bool) and name in kind.metrics:
                assert kind.metrics[name].is_bool


_KINDS = st.sampled_from(list(KINDS.values()))


@given(_KINDS, st.binary())
@example(KINDS["power"], b"\x80")
@example(KINDS["power"], b"[{}]")
def test_any_bytes(kind: Kind, payload: bytes) -> None:
    """Random bytes raise nothing but PayloadError, in any direction."""
    check(payload, kind)
    for decoder in (decode_status, decode_receipt, decode_resend):
        reasoned(partial(decoder, payload))


_KEYS = "v boot seq ts up m a r bn bt bu bv bs bver n u vs vb vd s t ut dns_ms"
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from([1, 1_790_000_000_123, "9f2c", "dns_ms", 1.5]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_KEYS.split()) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(_KINDS, _JSON)
def test_any_json(kind: Kind, tree: object) -> None:
    """Trees of the contract's own keys with anything in them raise nothing but PayloadError."""
    check(json.dumps(tree).encode(), kind)


@settings(max_examples=300)
@given(messages(), st.integers(0, 3), st.data())
def test_damaged_payloads(said: tuple[Kind, Message], form: int, data: st.DataObject) -> None:
    """A good payload of any format with some bytes changed, cut or doubled is handled."""
    kind, message = said
    payload = bytearray(
        (
            lambda: encode(message),
            lambda: encode_batch(message),
            lambda: encode_senml_json(message, kind),
            lambda: encode_senml_cbor(message, kind),
        )[form]()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(payload) - 1)))
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b"null", b"NaN", b"1e999"]))
        payload[at : at + data.draw(st.integers(0, 5))] = piece
    check(bytes(payload), kind)

"""The CBOR reader agrees with a general one on what SenML needs, and refuses the rest."""

from __future__ import annotations

import math
import struct
import time
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.wire import PayloadError
from devices.wire.cbor import parse_cbor

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary()
)
_RECORDS = st.dictionaries(st.integers(-20, 20) | st.text(max_size=4), _SCALARS, max_size=10)


@given(st.lists(_RECORDS | _SCALARS), st.booleans(), st.booleans())
def test_what_cbor2_writes_is_read(tree: list[Any], canonical: bool, indefinite: bool) -> None:
    """Every shape of a pack is read as cbor2 reads it, with lengths of all forms."""
    payload = cbor2.dumps(tree, canonical=canonical, indefinite_containers=indefinite)
    assert parse_cbor(payload) == tree == cbor2.loads(payload)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        ("f93c00", 1.0),
        ("fa3fc00000", 1.5),
        ("c24101", 1.0),
        ("c34101", -2.0),
        ("c48221196ab3", 273.15),
        ("c4820103", 30.0),
        ("7f61616162ff", "ab"),
        ("5f4161ff", b"a"),
    ],
)
def test_other_forms_of_numbers_and_strings(payload: str, value: Any) -> None:
    """Half and single floats, big integers, decimal fractions (RFC 8428 section 6), pieces."""
    assert parse_cbor(bytes.fromhex(payload)) == value


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "bad-cbor"),  # nothing
        ("81", "bad-cbor"),  # an item short
        ("8101ff", "bad-cbor"),  # a byte after the end
        ("9bffffffffffffffff01", "bad-cbor"),  # an array of 2**64 items
        ("bbffffffffffffffff0102", "bad-cbor"),  # a map of as many
        ("5bffffffffffffffff01", "bad-cbor"),  # a string of as many bytes
        ("9f01", "bad-cbor"),  # no end
        ("ff", "bad-cbor"),  # an end alone
        ("1c", "bad-cbor"),  # a reserved length
        ("1f", "bad-cbor"),  # an integer without length
        ("7f4161ff", "bad-cbor"),  # bytes in a text
        ("7f7f6161ffff", "bad-cbor"),  # pieces of pieces
        ("a200010002", "bad-cbor"),  # a key twice
        ("bf00010002ff", "bad-cbor"),  # the same without length
        ("a1f500", "bad-cbor"),  # a boolean key
        ("a1800100", "bad-cbor"),  # an array as key
        ("f7", "bad-cbor"),  # undefined
        ("f820", "bad-cbor"),  # a simple value
        ("c06161", "bad-cbor"),  # a date
        ("c582010a", "bad-cbor"),  # a bigfloat
        ("d81c81d81d00", "bad-cbor"),  # a list that holds itself
        ("d8236128", "bad-cbor"),  # a regular expression
        ("d8246161", "bad-cbor"),  # a MIME message
        ("d9d9f780", "bad-cbor"),  # self-described
        ("c482c2410103", "bad-cbor"),  # an exponent that is a big integer
        ("61ff", "bad-utf8"),
        ("63eda080", "bad-utf8"),  # half of a surrogate pair
        ("f97e00", "not-a-number"),
        ("f97c00", "not-a-number"),
        ("fbfff0000000000000", "not-a-number"),
        ("c2588100" + "ff" * 128, "number-too-large"),
        ("c25880" + "ff" * 128, "number-too-large"),
        ("c4821b00ffffffffffffff01", "number-too-large"),
        ("9f" + "a0" * 16_385 + "ff", "oversize"),
        ("7f" + "60" * 16_385 + "ff", "oversize"),
        ("81" * 9 + "01", "too-deep"),
        ("c4" * 9 + "01", "too-deep"),
        ("9f" * 100_000, "too-deep"),
        ("b90101" + "".join(f"19{n:04x}00" for n in range(256, 513)), "too-many-fields"),
    ],
)
def test_what_senml_does_not_need_is_refused(payload: str, reason: str) -> None:
    """Each hostile or needless form has its reason, and takes no memory by its stated length."""
    with pytest.raises(PayloadError) as caught:
        parse_cbor(bytes.fromhex(payload))
    assert caught.value.reason == reason


def test_eight_levels_are_read() -> None:
    """The limit of depth is inclusive."""
    assert parse_cbor(bytes.fromhex("81" * 8 + "01")) == [[[[[[[[1]]]]]]]]


def test_keys_that_collide_cost_no_time() -> None:
    """A map of 256 KiB whose keys have one hash is refused at its 257th member."""
    keys = (n * (2**61 - 1) + 1 for n in range(1, 26_000 // 4))
    body = b"".join(b"\x1b" + struct.pack(">Q", key % 2**64) + b"\x00" for key in keys)
    started = time.process_time()
    with pytest.raises(PayloadError, match="too-many-fields"):
        parse_cbor(b"\xbf" + body + b"\xff")
    assert time.process_time() - started < 0.1


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    """Nothing but PayloadError is raised, and what is read is what cbor2 reads."""
    try:
        tree = parse_cbor(payload)
    except PayloadError:
        return
    other = cbor2.loads(payload)
    assert tree == other or (isinstance(tree, float) and math.isclose(tree, other))

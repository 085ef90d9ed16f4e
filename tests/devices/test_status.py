"""Status, receipt and resend: read as written, refused otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.wire import (
    PayloadError,
    Receipt,
    Resend,
    Status,
    decode_receipt,
    decode_resend,
    decode_status,
    encode_receipt,
    encode_resend,
    encode_status,
)
from tests.devices.messages import AT

_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=64)
_SEQS = st.integers(0, 2**53 - 1)
_STATUSES = st.builds(
    Status,
    st.sampled_from(["online", "offline"]),
    st.none() | _TEXTS,
    st.none() | _TEXTS,
    st.none() | _TEXTS,
    st.none() | st.floats(0.5, 86_400),
    st.none() | st.integers(0, 2**52),
    st.none() | st.floats(0, 1e10),
    st.dictionaries(st.sampled_from(["gps", "model"]), _TEXTS | st.integers(0, 9)),
)


@given(_STATUSES)
def test_a_status_is_read_as_it_is_written(status: Status) -> None:
    """Birth, Last Will and whatever else a device tells of itself come back."""
    assert decode_status(encode_status(status)) == status


@given(_TEXTS, _SEQS, _SEQS)
def test_downlink_is_read_as_it_is_written(boot: str, low: int, high: int) -> None:
    """A receipt and a request to send again come back."""
    receipt = Receipt(boot, low)
    assert decode_receipt(encode_receipt(receipt)) == receipt
    resend = Resend(boot, min(low, high), max(low, high))
    assert decode_resend(encode_resend(resend)) == resend


def test_keys_are_those_of_the_contract() -> None:
    """What goes to a device is what the contract's examples show."""
    assert encode_receipt(Receipt("9f2c", 4711)) == b'{"boot":"9f2c","seq":4711}'
    assert encode_resend(Resend("9f2c", 4600, 4655)) == b'{"boot":"9f2c","from":4600,"to":4655}'
    will = encode_status(Status("offline", "9f2c"))
    assert will == b'{"v":1,"state":"offline","boot":"9f2c"}'


def test_a_birth_message_is_read() -> None:
    """Every field of the contract has its place."""
    payload = (
        b'{"v":1,"state":"online","kind":"power","fw":"1.4.2","boot":"9f2c","interval_s":60,'
        b'"ts":1790000000123,"up":86400,"gps":[1]}'
    )
    assert decode_status(payload) == Status(
        "online", "9f2c", "power", "1.4.2", 60.0, AT, 86400.0, {"gps": [1]}
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "empty"),
        ("[]", "bad-json"),
        ("online", "bad-json"),
        ('{"state":"online"}', "bad-envelope"),
        ('{"v":2,"state":"online"}', "bad-version"),
        ('{"v":1}', "bad-envelope"),
        ('{"v":1,"state":"asleep"}', "bad-envelope"),
        ('{"v":1,"state":"online","boot":""}', "bad-envelope"),
        ('{"v":1,"state":"online","boot":"\\u0000"}', "bad-envelope"),
        ('{"v":1,"state":"online","ts":"now"}', "bad-envelope"),
        ('{"v":1,"state":"online","interval_s":0}', "bad-envelope"),
        ('{"v":1,"state":"online","interval_s":NaN}', "not-a-number"),
        ('{"v":1,"state":"online","x":[[[[[[[[]]]]]]]]}', "too-deep"),
        ('{"v":1,"state":"online","x":"' + "x" * 262_144 + '"}', "oversize"),
    ],
)
def test_a_bad_status_is_refused_for_its_reason(payload: str, reason: str) -> None:
    """A status is right as a whole, or refused as a whole."""
    with pytest.raises(PayloadError) as caught:
        decode_status(payload.encode())
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "payload", ['{"boot":"b"}', '{"boot":"b","from":5,"to":4}', '{"boot":"","from":1,"to":2}', "7"]
)
def test_a_bad_downlink_is_refused(payload: str) -> None:
    """A device is not told to send a range that is none."""
    with pytest.raises(PayloadError, match="bad-envelope"):
        decode_resend(payload.encode())
